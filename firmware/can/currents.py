"""CCL and DCL: the least of trip limits, user's limits, curves of cells and temperatures, BMS faults, old settings."""

from array import array
from micropython import const

from firmware import live as L
from firmware.can.sensors import INTERNAL
from firmware.lazy import seldom

_ABSENT = const(0x3FFFFFFF)  # live.ABSENT
_OLD_CHARGE_S = const(600)  # settings not re-read: CCL 0
_OLD_DISCHARGE_S = const(1200)  # DCL 0
_RISE = const(20)  # CCL rises by a 20th (5 %) of its full value a second
_LEAST = const(100)  # mA: below register 315 - 20 mV a full pack may still be charged a little
_OV_STOP = const(20)  # mV below register 315: CCL 0
_UV_NEAR = const(50)  # mV above register 316: CCL 0.05 C
_UV_STOP = const(40)  # mV above register 316: DCL 0, should register 301 be lower
_EMPTY_ROOM = const(10)  # mV above register 301: DCL 0, or the BMS switches off (0x31 below 301)
_BACK = const(100)  # mV higher: back
_HOT_ROOM = const(20)  # 0.1 C below register 319: both 0
_COOL = const(100)  # 0.1 C: the internal sensor alone allows only half below it
_HIGH_BAND = const(5)  # hysteresis of the curves: mV of the highest cell
_LOW_BAND = const(20)  # mV of the lowest
_TEMP_BAND = const(10)  # 0.1 C

# Why: index into reasons.TEXTS
_WHY_TRIP = const(1)
_WHY_OWN = const(2)
_WHY_HIGH = const(3)
_WHY_LOW = const(4)
_WHY_UNDER = const(5)
_WHY_COLD = const(6)
_WHY_HOT = const(7)
_WHY_UNMEASURED = const(8)
_WHY_SENSOR = const(9)
_WHY_FAULT = const(10)
_WHY_OLD = const(11)
_WHY_RISING = const(15)

# (x, permille of the full current) in pairs, x rising: 0 at and below the first x, the last value above the last x.
# x of the cold: 0.1 C above register 320 (dbus-serialbattery's curve, victron_can facts 7)
_COLD_CURVE = array("H", (0, 0, 20, 250, 50, 500, 100, 1000))
_HOT_CHARGE_CURVE = array("H", (0, 0, 50, 250, 100, 500, 150, 1000))  # x: 0.1 C below register 319 - 2 C
_HOT_DISCHARGE_CURVE = array("H", (0, 0, 50, 1000))
# x: mV of the lowest cell above the point of DCL 0
_LOW_CURVE = array("H", (0, 0, 20, 60, 50, 250, 100, 600, 200, 1000))

# BMS events by what they stop (tinybms_uart facts 11): bit n of live.FAULTS is 0x00 + n, of live.WARNINGS 0x30 + n
_F_CHARGE = const(1 << 0x03 | 1 << 0x06 | 1 << 0x07 | 1 << 0x0B)  # CCL 0
_F_DISCHARGE = const(1 << 0x02 | 1 << 0x05 | 1 << 0x0C)  # DCL 0, CCL 0.05 C
_W_CHARGE = const(1 << 0x07)  # 0x37
_W_DISCHARGE = const(1 << 0x01)  # 0x31


class Limit:
    """A value and why it is so: index of a text, which cell, sensor or register, and a number."""

    @seldom
    def __init__(self):
        self.value = self.why = self.at = self.arg = 0

    def set(self, value, why, at, arg):
        self.value = value
        self.why = why
        self.at = at
        self.arg = arg

    def cap(self, value, why, at, arg):
        """`set` where it lowers the value."""
        if value < self.value:
            self.set(value, why, at, arg)


class Currents:
    """`ccl` and `dcl` (Limit, mA) after `update`; `targets`, `sensors` and `cells` are kept up to date by the owner."""

    @seldom
    def __init__(self, targets, sensors, cells):
        self._targets = targets
        self._sensors = sensors
        self._cells = cells
        self.ccl = Limit()
        self.dcl = Limit()
        self._risen = 0  # CCL as far as it has risen, mA
        self._rest = 0  # what a short step left over, mA x ms
        self._under = self._empty = False  # latches of the lowest cell
        self._high = self._low = self._hottest = self._coldest = _ABSENT  # held by hysteresis

    def start(self, current):
        """Begin at the current that flows (mA, + = charging): a restart of the gateway is not noticed."""
        self._risen = max(0, current)

    def update(self, data, dt, settings_age):
        """`data` is live.data, `dt` ms since the last time, `settings_age` s."""
        targets, ccl, dcl = self._targets, self.ccl, self.dcl
        ccl.set(targets.ccl, _WHY_OWN if targets.ccl_own else _WHY_TRIP, 0, targets.ccl)
        dcl.set(targets.dcl, _WHY_OWN if targets.dcl_own else _WHY_TRIP, 0, targets.dcl)
        self._by_cells()
        self._by_temperature()
        self._by_faults(data)
        if settings_age >= _OLD_CHARGE_S:
            ccl.cap(0, _WHY_OLD, 0, settings_age // 60)
            if settings_age >= _OLD_DISCHARGE_S:
                dcl.cap(0, _WHY_OLD, 0, settings_age // 60)
        self._rise(dt)

    def _rise(self, dt):
        goal = self.ccl.value
        if goal <= self._risen:
            self._risen = goal
            return
        gain = self._targets.ccl // _RISE * dt + self._rest
        self._rest = gain % 1000
        self._risen = min(goal, self._risen + gain // 1000)
        self.ccl.cap(self._risen, _WHY_RISING, 0, goal)

    def _by_cells(self):
        targets, cells, ccl = self._targets, self._cells, self.ccl
        self._high = high = _follow(self._high, cells.high, _HIGH_BAND, 0)
        permille = _taper(high, targets.taper_from, targets.taper_small, targets.ov - _OV_STOP)
        if permille < 1000:
            full = targets.ccl
            ccl.cap(max(full * permille // 1000, _LEAST) if permille else 0, _WHY_HIGH, cells.high_at, cells.high)
        if cells.low < targets.uv + _UV_NEAR:
            self._under = True
        elif cells.low >= targets.uv + _UV_NEAR + _BACK:
            self._under = False
        if self._under:
            ccl.cap(targets.crawl, _WHY_UNDER, cells.low_at, cells.low)
        floor = max(targets.empty, targets.uv + _UV_STOP)
        if cells.low <= floor + _EMPTY_ROOM:
            self._empty = True
        elif cells.low >= floor + _BACK:
            self._empty = False
        self._low = low = _follow(self._low, cells.low, 0, _LOW_BAND)
        permille = 0 if self._empty else _curve(_LOW_CURVE, low - floor - _EMPTY_ROOM)
        if permille < 1000:
            self.dcl.cap(targets.dcl * permille // 1000, _WHY_LOW, cells.low_at, cells.low)

    def _by_temperature(self):
        targets, sensors = self._targets, self._sensors
        ccl, dcl = self.ccl, self.dcl  # a tuple of four would be allocated
        hot, cold = sensors.hottest, sensors.coldest
        if hot != _ABSENT:
            self._hottest = held = _follow(self._hottest, hot, _TEMP_BAND, 0)
            room = targets.hot - _HOT_ROOM - held
            ccl.cap(targets.ccl * _curve(_HOT_CHARGE_CURVE, room) // 1000, _WHY_HOT, sensors.hot_at, hot)
            dcl.cap(targets.dcl * _curve(_HOT_DISCHARGE_CURVE, room) // 1000, _WHY_HOT, sensors.hot_at, hot)
        if cold != _ABSENT:
            self._coldest = held = _follow(self._coldest, cold, 0, _TEMP_BAND)
            ccl.cap(targets.ccl * _curve(_COLD_CURVE, held - targets.cold) // 1000, _WHY_COLD, sensors.cold_at, cold)
            if not sensors.external and targets.source != INTERNAL and held < _COOL:
                ccl.cap(targets.ccl // 2, _WHY_UNMEASURED, sensors.cold_at, cold)
        if sensors.bad_at >= 0:
            ccl.cap(targets.crawl, _WHY_SENSOR, sensors.bad_at, 0)
            dcl.cap(targets.dcl // 2, _WHY_SENSOR, sensors.bad_at, 0)

    def _by_faults(self, data):
        faults, warnings = data[L.FAULTS], data[L.WARNINGS]
        status = data[L.STATUS]
        faults = 0 if faults == _ABSENT else faults
        warnings = 0 if warnings == _ABSENT else warnings & (_W_CHARGE | _W_DISCHARGE)
        if status != L.FAULT:
            faults = 0  # whatever the list says: the status is the BMS's own word
            if status == L.DISCHARGING:
                warnings &= _W_CHARGE
            elif status == L.CHARGING or status == L.REGENERATION:
                warnings &= _W_DISCHARGE
        discharge = faults & _F_DISCHARGE or warnings & _W_DISCHARGE
        if faults & _F_CHARGE or warnings & _W_CHARGE:
            self.ccl.cap(0, _WHY_FAULT, faults, warnings)
        if discharge:
            self.ccl.cap(self._targets.crawl, _WHY_FAULT, faults, warnings)
            self.dcl.cap(0, _WHY_FAULT, faults, warnings)
        other = faults & ~(_F_CHARGE | _F_DISCHARGE)
        if other or (status == L.FAULT and not faults and not warnings):
            self.ccl.cap(0, _WHY_FAULT, faults, warnings)
            self.dcl.cap(0, _WHY_FAULT, faults, warnings)


def _curve(points, x):
    """The value of `points` at `x`, by straight lines; `points` as above, products stay below 2^30."""
    if x <= points[0]:
        return 0
    i = 2
    while i < len(points):
        if x < points[i]:
            low = points[i - 1]
            return low + (points[i + 1] - low) * (x - points[i - 2]) // (points[i] - points[i - 2])
        i += 2
    return points[i - 1]


def _taper(x, full, small, zero):
    """Permille for the highest cell at `x` mV: 1000 to `full`, 50 at `small`, 10 just below `zero`, then 0."""
    if x >= zero:
        return 0
    if x <= full:
        return 1000
    if x < small:
        return 1000 - 950 * (x - full) // (small - full)
    return 50 - 40 * (x - small) // (zero - small)


def _follow(held, x, down, up):
    """The new held value: it follows `x`, but only moves once `x` is more than `down` below or `up` above it."""
    if held == _ABSENT:
        return x
    if x > held + up:
        return x - up
    if x < held - down:
        return x + down
    return held
