"""The CAN side of the gateway: driver, schedule and GX presence in one, and what the API shows of them."""

import asyncio
from micropython import const

from firmware import bus as _bus
from firmware import lazy
from firmware.can.schedule import Schedule
from firmware.lazy import seldom

_SECOND_MS = const(1000)
_LOST_MS = const(30_000)
_DAY_MS = const(86_400_000)
_ALIVE = const(0x305)  # what a GX sends
_NAME = const(0x307)

# Received frames that wait for the loop: two bytes of id, length, data
_RX_SLOTS = const(8)
_RX_SIZE = const(11)
_RX_HEAD = const(3)


class Presence:
    """Is there a GX? It sends 0x305 and 0x307 each second (victron_can facts 2); lost when none came for 30 s after one was seen.

    Information only: what we send does not depend on it, and these ids are never sent.
    """

    @seldom
    def __init__(self, bus, clock):
        self._bus = bus
        self._clock = clock
        self._seen_at = None  # ticks of the last frame; None: never, or over a day ago
        self.ever = False
        self.present = False

    def frame(self, can_id):
        """A frame was received."""
        if can_id in (_ALIVE, _NAME):
            self._seen_at = self._clock.ticks_ms()
            self.ever = True

    def age_ms(self):
        """Milliseconds since the GX was heard, None when never or over a day ago."""
        if self._seen_at is None:
            return None
        age = self._clock.ticks_diff(self._clock.ticks_ms(), self._seen_at)
        if 0 <= age < _DAY_MS:
            return age
        self._seen_at = None
        return None

    def check(self):
        """Call at least once a second: publishes bus.GX when the GX appears or is lost."""
        age = self.age_ms()
        present = age is not None and age < _LOST_MS
        if present != self.present:
            self.present = present
            self._bus.publish(_bus.GX, present)


class Can:
    """`driver`: twai.Twai or slcan.Slcan, not started; None: there is none, `status` shows it. `charge`: the ChargeControl.

    `await run()` is the whole of it, for ever. Where the board has a hardware timer: set `timer_driven = True` on `schedule`
    and let the timer call `schedule.tick` each 5-10 ms; the loop then only does what may wait.
    """

    @seldom
    def __init__(self, driver, live, bus, clock, config, charge, log):
        self.driver = driver = driver or lazy.once("can.no_driver").NoDriver()
        self.charge = charge
        self.presence = Presence(bus, clock)
        self.schedule = Schedule(driver, live, bus, clock, config, charge, log)
        self.live = live
        self._bus = bus
        self._clock = clock
        self.config = config
        self._decodes = False  # the module `decode` is loaded
        self._log = log
        self._state = ""
        self._second = clock.ticks_ms()
        self._rx = bytearray(_RX_SLOTS * _RX_SIZE)  # `_received` may run in a timer callback and must not allocate
        self._rx_count = 0
        driver.on_receive = self._received

    def _received(self, can_id, data):
        self.presence.frame(can_id)
        count = self._rx_count
        if count < _RX_SLOTS and self._bus.wants(_bus.CAN_FRAME):
            slots = self._rx
            at = count * _RX_SIZE
            slots[at] = can_id >> 8
            slots[at + 1] = can_id & 255
            slots[at + 2] = len(data)
            at += _RX_HEAD
            for byte in data:
                slots[at] = byte
                at += 1
            self._rx_count = count + 1

    def stop(self):
        """Leave the bus: before a restart, or when CAN is switched off. Nothing is sent any more."""
        self.schedule.stop()
        self.driver.stop()

    async def run(self):
        """Keep everything going, for ever; follows `can.enabled`. A driver that cannot start is reported and stays STOPPED."""
        wanted = None
        while True:
            if wanted != self.config.get("can.enabled"):
                wanted = self.config.get("can.enabled")
                if wanted:
                    await self._start()
                else:
                    self.stop()
            self.work()
            await asyncio.sleep_ms(self.schedule.wait_ms())

    async def _start(self):
        try:
            await self.driver.start()
            self.schedule.running = True
        except (OSError, ValueError) as error:
            self._log.error("can", "cannot start: %s" % error)

    def work(self):
        """One pass of the loop."""
        schedule = self.schedule
        if self._clock.ticks_diff(self._clock.ticks_ms(), self._second) >= _SECOND_MS:
            self._second = self._clock.ticks_ms()
            schedule.update()
            if schedule.speaking:
                schedule.name()
            self.presence.check()
            # ages only saturate when somebody asks for them
            schedule.age_ms()
            self.live.age_ms()
            self.live.settings_age_s()
            if self._decodes and not self._bus.wants(_bus.CAN_FRAME):  # nobody watches any more
                self._decodes = False
                lazy.drop("can.decode")
        if not schedule.timer_driven:
            schedule.tick()
        schedule.flush()
        if self._rx_count:
            self._publish_received()
        if self.driver.state != self._state:
            self._state = self.driver.state
            if self._state == "RUNNING":
                schedule.repeat()
            self._bus.publish(_bus.CAN_STATE, self._state)

    def _publish_received(self):
        slots = self._rx
        for at in range(0, self._rx_count * _RX_SIZE, _RX_SIZE):
            data = bytes(slots[at + _RX_HEAD : at + _RX_HEAD + slots[at + 2]])
            self._bus.publish(_bus.CAN_FRAME, ("RX", slots[at] << 8 | slots[at + 1], data))
        self._rx_count = 0

    def __getattr__(self, name):
        """What is asked for rarely: `can.status()` is `status(can)` of report.py, loaded for it and forgotten."""
        function = getattr(lazy.once("can.report"), name)
        return lambda: function(self)

    def decode(self, can_id, data):
        """What a frame says, as a dict with units in the names; {} for an unknown id. Loads `decode` when first asked."""
        from firmware.can.decode import decode

        self._decodes = True
        return decode(can_id, data)
