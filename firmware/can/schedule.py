"""When which frame goes out, and what old data does to the limits (DESIGN 4 and 5; victron_can facts 5).

`tick` is the whole of it: it looks at the clock and the ages, encodes at the start of a second and sends one frame a call. It
allocates nothing and needs nobody else, so a `machine.Timer` can call it while the loop hangs; on a host the loop calls it.
The second is kept on a grid: each due time is the one before plus 1000 ms, whenever the tick came.
"""

from micropython import const

from firmware import bus as _bus
from firmware import lazy
from firmware import live as _live
from firmware.can import alarms as _alarms
from firmware.can import frames as _frames
from firmware.lazy import seldom

_ABSENT = const(0x3FFFFFFF)
_PERIOD_MS = const(1000)
_SLOW_EVERY = const(10)  # periods
_GAP_MS = const(5)  # at least, between two frames
_LATE_MS = const(500)  # so late, the grid starts anew instead of sending twice

# No good poll for so long (DESIGN 5)
_STALE_MS = const(5_000)  # no charging
_NO_DISCHARGE_MS = const(10_000)
_SILENT_MS = const(15_000)
# Settings not read again for so long
_SETTINGS_OLD_S = const(600)  # no charging
_SETTINGS_DEAD_S = const(1200)  # no discharging

_CVL_MAX_MV = const(64_000)  # above this no 48 V system is charged, whatever the settings say

# Indices of Frames.work
_CVL = const(0)
_CCL = const(1)
_DCL = const(2)
_ALARM_BITS = const(3)
_WARNING_BITS = const(4)
_GOOD = const(5)


class Schedule:
    """Owns frames, alarms and periods. `charge` is the ChargeControl; its `update()` runs at each poll and each second.

    To be read by others: `speaking` (frames go out), `stale` (the data behind them is over 5 s old), `fault` ("", "STALE",
    "SETTINGS" or "CHARGE"), `sent_at` (ticks of the last 0x351, None before one).
    """

    @seldom
    def __init__(self, driver, live, bus, clock, config, charge, log):
        self.driver = driver
        self.frames = _frames.Frames()
        self.alarms = _alarms.Alarms(live)
        self.speaking = False
        self.stale = False
        self.fault = ""
        self.sent_at = None
        self.running = False  # set once the driver has started
        self.timer_driven = False  # set by who attached `tick` to a hardware timer
        self._live = live
        self._bus = bus
        self._clock = clock
        self._config = config
        self._charge = charge
        self._log = log
        self._updated = None  # ticks of the last update of charge that worked
        self._broken = False  # the last one did not
        self._due = clock.ticks_ms()  # start of the next second
        self._frame_at = self._due  # ticks of the last frame
        self._slow_in = 0  # periods to the next slow frames
        self._pending = 0  # frames to send, a bit each; only `tick` changes it
        self._extra = 0  # frames that others want sent besides the grid
        self._known = 0  # frames whose values are known
        self._sent = 0  # frames sent and not yet published
        self._changed = False  # limits changed and not yet published
        self._cvl = 0  # last CVL on the wire, mV
        self._version = -1
        self._texts = 0  # identity frames that are filled; 0: not yet
        bus.subscribe(_bus.POLL, self._on_poll)
        bus.subscribe(_bus.BMS_EVENTS, self._on_poll)
        bus.subscribe(_bus.CONFIG, self._on_config)
        bus.subscribe(_bus.SETTINGS, self._on_settings)

    # What the bus brings

    def _on_poll(self, topic, payload):
        self.update()
        work = self.frames.work
        if not self.speaking:
            if not self._live.qualified:
                return
            self.name()
        elif self._charge.ccl_ma < 100 <= work[_CCL] or self._charge.dcl_ma < 100 <= work[_DCL]:
            # charging or discharging is forbidden from now on: the GX need not wait for the next second
            self._extra |= 1 << _frames.LIMITS
        else:
            return
        if not self.timer_driven:
            self.tick()

    def _on_settings(self, topic, payload):
        """The settings come before the first poll: what is loaded for the first limits and texts is loaded now."""
        self._charge.prepare()
        if not self.speaking:
            self.name()

    def _on_config(self, topic, keys):
        for key in keys:
            if key.startswith("charge."):
                self._charge.configure()
                break
        self._version = -1
        self.update()

    def update(self):
        """Run charge control; while it fails or has no limits, its last result ages like the data."""
        try:
            self._charge.update()
            if self._charge.ready:
                self._updated = self._clock.ticks_ms()
            self._broken = False
        except Exception as error:
            if not self._broken:
                self._broken = True
                self._log.error("can", "charge control: %r" % error)

    def name(self):
        """Write the texts when they are not there yet, or the configuration or the version of the BMS changed."""
        version = 0
        for i in range(_live.HARDWARE, _live.SERIAL + 6):
            version = (version * 31 + self._live.data[i]) & 0xFFFFF
        if version != self._version:
            try:
                fill = lazy.once("can.identity").fill
                self._texts = fill(self.frames.buffer, self._live.data, self._config, self._log)
            except (MemoryError, OSError, ImportError) as error:  # the old texts stay; asked again in a second
                self._log.warning("can", "identity: %r" % error)
                return
            self._version = version
            if self.speaking:
                self._extra |= self._texts

    def repeat(self):
        """The bus is there again: what goes out each 10 s is sent now."""
        self._extra |= _frames.ALL_MASK ^ _frames.CORE_MASK

    # The tick

    def age_ms(self):
        """Milliseconds that the limits are old: of the data, or of charge control's last good run if that is older."""
        age = self._live.steering_age_ms()
        if self._updated is None:
            return _live.AGE_MAX_MS
        run = self._clock.ticks_diff(self._clock.ticks_ms(), self._updated)
        if run < 0 or run > _SILENT_MS:
            self._updated = None  # old stays old
            return _live.AGE_MAX_MS
        return run if run > age else age

    def tick(self, timer=None):
        """Send what is due: one frame, at the start the first four. Allocates nothing. `timer`: ignored."""
        if not self.running:
            return
        self.driver.poll()
        now = self._clock.ticks_ms()
        starting = not self.speaking
        if starting:
            if not self._live.qualified or not self._texts or self.age_ms() >= _STALE_MS:
                return
            self.speaking = True
            self._due = now
            self._frame_at = self._clock.ticks_add(now, -_GAP_MS)
            self._slow_in = 0
        late = self._clock.ticks_diff(now, self._due)
        if late < 0 and not self._pending and not self._extra:
            return
        age = self.age_ms()
        if age >= _SILENT_MS:
            self._stop()
            return
        if late >= 0:
            self._due = self._clock.ticks_add(now if late > _LATE_MS else self._due, _PERIOD_MS)
            self._second(age)
        elif self._extra or (age >= _STALE_MS and not self.stale):  # what waits for its turn must not go out old
            self._encode(age)
            self._pending |= self._extra & self._known
        self._extra = 0
        if self._pending and self._clock.ticks_diff(now, self._frame_at) >= _GAP_MS:
            self._send(now)
            while starting and self._pending & _frames.CORE_MASK:  # what comes after the first frames blocks the loop
                self._send(now)

    def stop(self):
        """Send nothing any more, until `running` is set again."""
        self.running = False
        self._stop()

    def _stop(self):
        """No frame of any id until new data qualifies."""
        self.speaking = False
        self.stale = False
        self._pending = self._extra = 0
        self._show(False)

    def _second(self, age):
        self._encode(age)
        pending = _frames.CORE_MASK
        self._slow_in -= 1
        if self._slow_in < 0:
            self._slow_in = _SLOW_EVERY - 1
            pending = _frames.ALL_MASK
        self._pending |= (pending | self._extra) & self._known

    def _encode(self, age):
        """Bring all frames up to date: limits by the rows of DESIGN 5, alarms, numbers."""
        frames, charge = self.frames, self._charge
        work = frames.work
        settings_age = self._live.settings_age_s()
        stale = age >= _STALE_MS
        cvl, ccl, dcl = min(charge.cvl_mv, _CVL_MAX_MV), charge.ccl_ma, charge.dcl_ma
        if stale or not charge.ready:
            ccl = 0
            floating = charge.float_cvl_mv
            cvl = min(self._cvl, floating) if self._cvl and floating else self._cvl or floating or cvl  # never 0
        if settings_age >= _SETTINGS_OLD_S:
            ccl = 0
        if age >= _NO_DISCHARGE_MS or settings_age >= _SETTINGS_DEAD_S:
            dcl = 0
        if self.stale and not stale:  # the BMS is back: everything once
            self._slow_in = 0
        self.stale = stale
        self.fault = (
            "CHARGE" if self._broken else "STALE" if stale else "SETTINGS" if settings_age >= _SETTINGS_OLD_S else ""
        )
        self.alarms.evaluate(stale, settings_age >= _SETTINGS_OLD_S)
        work[_CVL] = cvl
        work[_CCL] = ccl
        work[_DCL] = dcl
        work[_ALARM_BITS] = self.alarms.active
        work[_WARNING_BITS] = self.alarms.warnings
        work[_GOOD] = 0 if stale else 1
        data = self._live.data
        self._known = self._texts | _frames.core(data, work, frames.buffer) | _frames.slow(data, work, frames.buffer)
        if stale:
            self._known &= _frames.ALL_MASK ^ _frames.OLD_MASK
            self._pending &= self._known

    def _send(self, now):
        pending = self._pending
        index = 0
        while not pending & 1:
            pending >>= 1
            index += 1
        self._pending &= self._pending - 1
        self._frame_at = now
        accepted = self.driver.send(_frames.IDS[index], self.frames.frame(index))
        if accepted:
            self._sent |= 1 << index
        if index == _frames.LIMITS:
            on_bus = accepted and self.driver.state in ("RUNNING", "ERROR_PASSIVE")  # an accepted frame gets out
            if on_bus:
                self.sent_at = now
                self._cvl = self.frames.work[_CVL]
            self._show(on_bus)

    def _show(self, sent):
        """What the rest of the house is shown: what the 0x351 said that went out, or that nothing is sent."""
        work, data = self.frames.work, self._live.data
        for i in range(3):
            value = work[i] // 100 * 100 if sent else _ABSENT
            if data[_live.CVL + i] != value:
                data[_live.CVL + i] = value
                self._changed = True

    # The loop's part

    def flush(self):
        """Publish what the ticks did: sent frames, changed limits."""
        sent, self._sent = self._sent, 0
        if sent and self._bus.wants(_bus.CAN_FRAME):
            for index in range(_frames.COUNT):
                if sent >> index & 1:
                    data = bytes(self.frames.buffer[8 * index : 8 * index + 8])
                    self._bus.publish(_bus.CAN_FRAME, ("TX", _frames.IDS[index], data))
        if self._changed:
            self._changed = False
            self._bus.publish(_bus.LIMITS)

    def wait_ms(self):
        """How long the loop may sleep until the next tick (1-20 ms), or until it publishes what the timer did."""
        if self.timer_driven:
            return 50
        if self._pending:
            return _GAP_MS + 1
        left = self._clock.ticks_diff(self._due, self._clock.ticks_ms()) if self.speaking else 20
        return 1 if left < 1 else 20 if left > 20 else left
