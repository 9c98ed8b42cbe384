"""What the pack measures: its temperature sensors, which of them to believe, the coldest and the hottest; the extreme cells.

Sensor 0 is the internal sensor, 1 and 2 the external ones. Temperatures in 0.1 C. Nothing is allocated after the start.
"""

from array import array
from micropython import const

from firmware import live as L
from firmware.lazy import seldom

ABSENT = const(0x3FFFFFFF)  # live.ABSENT
AUTO = const(0)  # external when one has answered since start, else none
EXTERNAL = const(1)
INTERNAL = const(2)
NONE = const(3)  # as if there were no external sensor

_MIN = const(-400)  # -40 C: outside of these a sensor is broken or shorted
_MAX = const(1000)
_JUMP = const(200)  # 20 C between polls
_HOLD_MS = const(60_000)  # distrust after a sensor was gone or out of range
_HOLD_JUMP_MS = const(1_800_000)  # after a jump, unless it comes back: a loose sensor can read well and wrong
_FIRST = const(4)  # live.TEMP_INT, then TEMP_EXT1, TEMP_EXT2


class Sensors:
    """`coldest` of those that steer the cold rules, `hottest` of all, `*_at` which one it is; `bad_at` a sensor that is
    lost or not plausible (-1: none); `external` True when external sensors steer the cold rules."""

    @seldom
    def __init__(self):
        self._trusted = array("i", (ABSENT, ABSENT, ABSENT))  # last reading that was believed; ABSENT: never answered
        self._hold = array("i", (0, 0, 0))  # ms until a doubted sensor is believed again
        self._jumped = bytearray(3)
        self.coldest = self.hottest = ABSENT
        self.cold_at = self.hot_at = 0
        self.bad_at = -1
        self.external = False

    def update(self, data, source, dt):
        """Judge the readings in `data` (live.data), `dt` ms after the last time; `source` is AUTO ... NONE."""
        self.coldest = self.hottest = ABSENT
        self.bad_at = -1
        self.external = False
        i = 3
        while i:  # the external ones first: the internal one steers only without them
            i -= 1
            t = data[_FIRST + i]
            sound = t != ABSENT and _MIN <= t <= _MAX
            self._judge(i, t, sound, dt)
            trusted = self._trusted[i]
            if self._hold[i]:
                self.bad_at = i
            steers = source < INTERNAL if i else self.coldest == ABSENT
            if i and steers and trusted != ABSENT:
                self.external = True
            if sound:
                self._rank(i, t, steers)
                if self._hold[i]:  # in doubt: both what it says and what it said
                    self._rank(i, trusted, steers)
        if self.hottest == ABSENT:
            self.bad_at = 0  # not one sensor
        elif source == EXTERNAL and not self.external:
            self.bad_at = 1  # not the one that was promised

    def _judge(self, i, t, sound, dt):
        trusted, hold = self._trusted[i], self._hold[i]
        hold = hold - dt if hold > dt else 0
        if not sound:
            if (t != ABSENT or trusted != ABSENT) and hold < _HOLD_MS:
                hold = _HOLD_MS
        elif trusted == ABSENT or -_JUMP < t - trusted < _JUMP:
            self._trusted[i] = t
            self._jumped[i] = 0
            hold = min(hold, _HOLD_MS)
        elif not self._jumped[i]:
            self._jumped[i] = 1
            hold = _HOLD_JUMP_MS
        elif not hold:
            self._trusted[i] = t
            self._jumped[i] = 0
        self._hold[i] = hold

    def _rank(self, i, t, steers):
        if t == ABSENT:
            return
        if self.hottest == ABSENT or t > self.hottest:
            self.hottest = t
            self.hot_at = i
        if steers and (self.coldest == ABSENT or t < self.coldest):
            self.coldest = t
            self.cold_at = i


class Cells:
    """The highest and the lowest cell, mV, and where; the BMS's own extremes (registers 40, 41) count as well."""

    @seldom
    def __init__(self):
        self.high = self.low = self.high_at = self.low_at = 0

    def update(self, data, count):
        """0, or the number of a cell that is not measured."""
        high, low = 0, ABSENT
        i = count
        while i:
            mv = data[L.CELL + i - 1]
            if mv == ABSENT:
                return i
            if mv >= high:
                high = mv
                self.high_at = i
            if mv <= low:
                low = mv
                self.low_at = i
            i -= 1
        mv = data[L.CELL_MAX]
        if mv != ABSENT and mv > high:
            high = mv
        mv = data[L.CELL_MIN]
        if mv != ABSENT and mv < low:
            low = mv
        self.high = high
        self.low = low
        return 0
