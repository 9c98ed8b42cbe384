"""Charge control: what the pack may be charged and discharged with (CVL, CCL, DCL), and why. Integers, no hardware.

    charge = ChargeControl(live, config, clock)
    charge.update()            # at each good poll and each second: allocates nothing, takes its time from `clock`
    charge.configure()         # after any `charge.*` key has changed
    charge.cvl_mv, ccl_ma, dcl_ma   # in wire steps (0.1 V, 0.1 A); to be sent only while `ready`
    charge.ready               # False until there are limits (data qualified, settings read); 15 s after the last poll
    charge.float_cvl_mv        # cells x float: the CVL of the stale row is min(last sent, this)
    charge.state               # STARTING ... STOPPED; texts of it and of why a limit is so: reasons.py
    charge.alerts              # mask of ALERT_*

`update` applies the stale rows (no good poll for 5, 10, 15 s) to its outputs as well, for state and reasons; the CAN
schedule applies them by its own ages, because it must work when nobody calls `update`.

CVL: planned changes go 0.1 V each 20 s. The highest cell lowers it at once, by what it stands above its own limit times
the cells. A falling CVL waits for a pack that rests above it: an inverter would discharge the pack to reach it
(victron_can facts 7). What a charger holds above CVL is learnt while it charges.
"""

from array import array
from micropython import const

from firmware import lazy
from firmware import live as L
from firmware.can.currents import Currents, Limit
from firmware.can.phase import Phase
from firmware.can.sensors import INTERNAL, Cells, Sensors
from firmware.lazy import seldom

STARTING = const(0)
BULK = const(1)
ABSORPTION = const(2)
FLOAT = const(3)
STALE = const(4)
FAULT = const(5)
STOPPED = const(6)

ALERT_CHEMISTRY = const(1)  # the chosen chemistry and the BMS settings disagree
ALERT_SENSOR = const(2)  # a temperature sensor is lost or not plausible
ALERT_NO_SENSOR = const(4)  # notice: no external sensor, cell temperatures are not measured
ALERT_SETTINGS_OLD = const(8)  # not re-read for 10 min
ALERT_SETTINGS = const(16)  # absent, or they contradict each other

_ABSENT = const(0x3FFFFFFF)  # live.ABSENT
_SETTINGS = const(15)  # fields from live.SET_FULL to SET_MODE
_STEP_MV = const(100)  # one step of CVL on the wire
_STEP_MS = const(20_000)  # between planned steps
_SLOW_STEP_MS = const(600_000)  # between steps while FLOAT is shown
_FALL_MS = const(3_600_000)  # so long the way down to float still counts as ABSORPTION
_DT_MAX = const(5_000)  # ms: a longer gap between updates counts as this
_STALE_MS = const(5_000)  # no good poll: CCL 0
_STALE_DCL_MS = const(10_000)  # DCL 0
_STOP_MS = const(15_000)  # no frame
_OLD_S = const(600)  # settings not re-read: alert
_SETTLE_MS = const(10_000)  # after a change of CVL, before the charger's offset is learnt
_NEAR_MV = const(25)  # a cell; so close to the target is at the top
_STEER_MV = const(100)  # the highest cell steers CVL from so far below its limit
_RAISE_MV = const(5)  # the highest cell must be so far below its limit before CVL rises again

# Why: index into reasons.TEXTS
_WHY_SETTINGS = const(12)
_WHY_NO_CELL = const(13)
_WHY_STALE = const(14)
_WHY_ABSORPTION = const(16)
_WHY_FLOAT = const(17)
_WHY_UP = const(18)
_WHY_DOWN = const(19)
_WHY_REST = const(20)
_WHY_STEERED = const(21)


class Targets:
    """What `targets.read` has worked out: in mV (`cvl_*` of the pack in wire steps, the rest a cell), mA, 0.1 C."""


class ChargeControl:
    """`live` is a Live, `config` gives `["charge.x"]`, `clock` ticks. See the module's text."""

    @seldom
    def __init__(self, live, config, clock):
        self._live = live
        self._config = config
        self._clock = clock
        self._ticks = clock.ticks_ms()
        self._targets = Targets()
        self._settings = array("i", bytes(4 * _SETTINGS))  # from which the targets were worked out
        self._wishes = None  # of the configuration, for targets.py; None: to be asked for
        self._override = (0, 0, 0)
        self._sound = self._worked_out = False
        self._sensors = Sensors()
        self._cells = Cells()
        self._phase = Phase(self._targets, self._cells)
        self.currents = Currents(self._targets, self._sensors, self._cells)
        self.cvl = Limit()
        self.ready = False
        self.state = STARTING
        self.alerts = 0
        self.cvl_mv = self.ccl_ma = self.dcl_ma = self.float_cvl_mv = 0
        self._fresh = False  # the control runs on; False: the next good poll is a start
        self._offset = 0  # mV that the charger holds above CVL, learnt
        self._step_ms = self._settle_ms = self._fall_ms = 0  # timers, ms

    def configure(self):
        """Take `charge.*` of the configuration anew."""
        self._wishes = None
        self._worked_out = False

    @seldom
    def override(self, cvl_mv, ccl_ma, dcl_ma):
        """Limits of somebody else beside the user's own `charge.*_max_*`, 0 = none; in force until the next call."""
        self._override = (cvl_mv, ccl_ma, dcl_ma)
        self._worked_out = False

    def update(self):
        """Work out the limits from the snapshot; call it at each good poll and at least each second."""
        now = self._clock.ticks_ms()
        dt = self._clock.ticks_diff(now, self._ticks)
        self._ticks = now
        if dt < 0 or dt > _DT_MAX:
            dt = _DT_MAX
        age = self._live.steering_age_ms()
        if age >= _STALE_MS:
            self._stale(age)
            return
        data = self._live.data
        self.alerts = 0
        if not self._settings_sound(data):
            self.alerts = ALERT_SETTINGS
            self._nothing(_WHY_SETTINGS, 0)
            return
        targets = self._targets
        self.float_cvl_mv = targets.cvl_float
        self._sensors.update(data, targets.source, dt)
        missing = self._cells.update(data, targets.cells)
        if missing or data[L.VOLTAGE] == _ABSENT or data[L.CURRENT] == _ABSENT:
            self._nothing(_WHY_NO_CELL, missing)
            return
        if self._fresh:
            self._advance(data, dt)
        else:
            self._start(data)
        self._steer(data)
        self.currents.update(data, dt, self._live.settings_age_s())
        self._publish(data)

    def prepare(self):
        """Work out what follows from the settings now, so that the poll that is to be answered need not."""
        self._settings_sound(self._live.data)

    def _settings_sound(self, data):
        """Work out the targets anew where a setting or the configuration has changed; False while the settings are no good."""
        settings = self._settings
        for i in range(_SETTINGS):
            if settings[i] != data[L.SET_FULL + i]:
                settings[i] = data[L.SET_FULL + i]
                self._worked_out = False
        if not self._worked_out:
            # should it fail for want of memory, the next update tries again, and meanwhile the limits age
            targets = lazy.once("can.targets")
            if not self._wishes:
                self._wishes = targets.wishes(self._config)
            self._sound = targets.read(self._targets, data, self._wishes, self._override)
            self._worked_out = True
        return self._sound

    # When there is nothing to go by

    def _stale(self, age):
        self._fresh = False
        if not self.ready:
            self.state = STOPPED if self.state >= STALE and self._live.age_ms() >= _STALE_MS else STARTING
            return
        if age >= _STOP_MS:
            self.ready = False
            self.state = STOPPED
            return
        self.state = STALE
        seconds = age // 1000
        self.cvl_mv = min(self.cvl_mv, self.float_cvl_mv)
        self.cvl.set(self.cvl_mv, _WHY_STALE, 0, seconds)
        self.currents.ccl.set(0, _WHY_STALE, 0, seconds)
        self.ccl_ma = 0
        if age >= _STALE_DCL_MS:
            self.currents.dcl.set(0, _WHY_STALE, 0, seconds)
            self.dcl_ma = 0

    def _nothing(self, why, at):
        """The data is fresh but tells too little: no current, CVL stays."""
        self._fresh = False
        self.ccl_ma = self.dcl_ma = 0
        self.currents.ccl.set(0, why, at, 0)
        self.currents.dcl.set(0, why, at, 0)
        self.state = FAULT if self.ready else STARTING

    # CVL

    @seldom
    def _start(self, data):
        """First limits after a start or a gap: from what is measured, so that the GX does not notice a restart."""
        targets, volt = self._targets, data[L.VOLTAGE]
        held = volt <= targets.cvl_float + _NEAR_MV * targets.cells  # no more than a charger adds to float
        if not self.ready:
            self._phase.start(data)
            self._offset = self._fall_ms = 0
        top = targets.cvl_float if held and self._phase.now == FLOAT else targets.cvl_absorption
        self.cvl.set(max(targets.cvl_float, min(_wire_up(volt), top)), _WHY_UP, 0, top)
        self._step_ms = self._settle_ms = 0
        self.currents.start(data[L.CURRENT])
        self._fresh = True

    def _advance(self, data, dt):
        before = self._phase.now
        self._phase.update(data, dt, self.ccl_ma > 0)
        if self._phase.now != before:
            self._fall_ms = 0
        self._step_ms = min(self._step_ms + dt, _SLOW_STEP_MS)
        self._settle_ms = min(self._settle_ms + dt, _SETTLE_MS)
        self._fall_ms = min(self._fall_ms + dt, _FALL_MS)

    def _steer(self, data):
        targets, limit, volt = self._targets, self.cvl, data[L.VOLTAGE]
        cvl = new = limit.value
        top = targets.cvl_float if self._phase.now == FLOAT else targets.cvl_absorption
        charging = data[L.CURRENT] >= targets.moving
        if charging and volt > cvl and self._settle_ms >= _SETTLE_MS:
            self._offset = min(volt - cvl, _NEAR_MV * targets.cells)
        # As high as a resting pack may stand over CVL; a load pulls it down and will be gone again
        slack = self._offset if data[L.CURRENT] > -targets.moving else self._offset - _NEAR_MV * targets.cells
        room = targets.high - self._cells.high  # mV that the highest cell may still rise
        guard = max(_wire(volt + room * targets.cells), targets.cvl_float) if room < _STEER_MV else targets.cvl_ceiling
        why = _WHY_FLOAT if self._phase.now == FLOAT else _WHY_ABSORPTION
        if cvl > guard:
            # at once; but a pack that rests above is left there
            new = guard if charging else max(guard, min(cvl, _wire_up(volt - self._offset)))
        elif self._step_ms >= (_SLOW_STEP_MS if self._phase.now == FLOAT and self._fall_ms >= _FALL_MS else _STEP_MS):
            if cvl < top and (room >= _STEER_MV or volt + (room - _RAISE_MV) * targets.cells >= cvl + _STEP_MV):
                new = cvl + _STEP_MV
            elif cvl > top and (charging or volt <= cvl + slack):
                new = cvl - _STEP_MV
        new = min(max(new, targets.cvl_float), targets.cvl_ceiling)
        if new != cvl:
            self._step_ms = self._settle_ms = 0
        if new < top:
            why = _WHY_STEERED if room < _STEER_MV else _WHY_UP
        elif new > top:
            why = _WHY_DOWN if charging or volt <= new + slack else _WHY_REST
        elif self._phase.now == FLOAT:
            self._fall_ms = _FALL_MS
        if why == _WHY_STEERED:
            limit.set(new, why, self._cells.high_at, self._cells.high)
        else:
            limit.set(new, why, 0, top if new != top else top // targets.cells)

    def _publish(self, data):
        targets = self._targets
        self.cvl_mv = self.cvl.value
        self.ccl_ma = _wire(self.currents.ccl.value)
        self.dcl_ma = _wire(self.currents.dcl.value)
        if targets.disagree:
            self.alerts |= ALERT_CHEMISTRY
        if self._sensors.bad_at >= 0:
            self.alerts |= ALERT_SENSOR
        if not self._sensors.external and targets.source != INTERNAL:
            self.alerts |= ALERT_NO_SENSOR
        if self._live.settings_age_s() >= _OLD_S:
            self.alerts |= ALERT_SETTINGS_OLD
        self.ready = True
        if data[L.STATUS] == L.FAULT:
            self.state = FAULT
        elif self._phase.now == FLOAT and self.cvl_mv > targets.cvl_float and self._fall_ms < _FALL_MS:
            self.state = ABSORPTION  # still on the way down
        else:
            self.state = self._phase.now


def _wire(value):
    """`value` rounded down to a step of 0x351."""
    return value // 100 * 100


def _wire_up(value):
    return (value + 99) // 100 * 100
