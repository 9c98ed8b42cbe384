"""The alarms and warnings of 0x35A: the rows of `alarm_rows`, evaluated without allocation.

A row is on from its threshold on (register x percent / 100 + offset) and goes off again `hysteresis` lower. An active
BMS event of the row (live.FAULTS, live.WARNINGS; tinybms_uart facts 11) switches it on as well. "General" follows any other one.
"""

from array import array
from micropython import const

from firmware import lazy
from firmware import live as _live
from firmware.lazy import seldom

_ABSENT = const(0x3FFFFFFF)
_FAULT = const(0x9B)  # online status

# Items of 0x35A as bits; that of a warning is 16 higher
_GENERAL = const(1 << 0)
_INTERNAL = const(1 << 11)
_WARNING = const(16)

# A row: item (+ 16 of a warning), value, register (-1: none), percent, offset, hysteresis, fault events (bit n - 1 = 0x00 + n),
# warning events (bit n - 1 = 0x30 + n; there is no event 0)
ROW = const(8)
_VALUE = const(1)
_REGISTER = const(2)
_PERCENT = const(3)
_OFFSET = const(4)
_HYSTERESIS = const(5)
FAULTS = const(6)
_EVENTS = const(7)

# Measured values that the rows compare. The values of "low" rows are negated, so that every row is "value >= threshold"
HIGHEST = const(0)  # highest cell, mV
LOWEST = const(1)  # - lowest cell, mV
HOTTEST = const(2)  # of all sensors, 0.1 C
COLDEST = const(3)  # - coldest external sensor (the internal one when there is none), 0.1 C
CHARGE = const(4)  # mA
DISCHARGE = const(5)  # mA
SPREAD = const(6)  # highest - lowest cell, mV
SPREAD_MIDDLE = const(7)  # the same, while the lowest cell is above 301 + 100 mV
NONE = const(8)  # events only
_VALUES = const(9)

_NEVER = const(-0x20000000)  # a value that reaches no threshold


class Alarms:
    """`active` and `warnings`: bit n = item n of 0x35A. `evaluate` is called before each 0x35A."""

    @seldom
    def __init__(self, live):
        self._data = live.data
        self._rows = lazy.once("can.alarm_rows").rows()
        self._values = array("i", bytes(4 * _VALUES))  # filled by _measure
        self._causeless = 0  # evaluations in a row with status fault and no event that tells why
        self.active = 0
        self.warnings = 0

    def evaluate(self, stale, settings_old):
        """`stale`: the data is old, what was known stays and BMS-internal is added. `settings_old`: a warning of it."""
        if stale:
            self.active |= _INTERNAL | _GENERAL
            return
        data, rows = self._data, self._rows
        self._measure(data)
        faults, events = data[_live.FAULTS], data[_live.WARNINGS]
        if faults == _ABSENT:
            faults = 0
        if events == _ABSENT:
            events = 0
        before = self.active | self.warnings << _WARNING
        now = 0
        row = len(rows)
        while row:
            row -= ROW
            item = rows[row]
            if (
                faults >> 1 & rows[row + FAULTS]
                or events >> 1 & rows[row + _EVENTS]
                or self._reached(row, before >> item & 1)
            ):
                now |= 1 << item
        # the events are read right after a fault shows: only a second look without a cause counts
        causeless = data[_live.STATUS] == _FAULT and not faults >> 1 and not events
        self._causeless = min(self._causeless + 1, 2) if causeless else 0
        if self._causeless == 2:
            now |= _INTERNAL
        if settings_old:
            now |= _INTERNAL << _WARNING
        active, warnings = now & 0xFFFF, now >> _WARNING
        self.active = active | _GENERAL if active else 0
        self.warnings = warnings | _GENERAL if warnings else 0

    def _reached(self, row, was):
        """Is the value of the row that begins there at its threshold, or, if it was on, not yet back by the hysteresis?"""
        rows = self._rows
        which = rows[row + _VALUE]
        threshold = rows[row + _OFFSET]
        percent = rows[row + _PERCENT]
        if was:
            if which in (CHARGE, DISCHARGE):
                percent -= rows[row + _HYSTERESIS]
            else:
                threshold -= rows[row + _HYSTERESIS] - 1
        register = rows[row + _REGISTER]
        if register >= 0:
            register = self._data[register]
            if register == _ABSENT:
                return False
            threshold += register * percent // 100
        return self._values[which] >= threshold

    def _measure(self, data):
        values = self._values
        for i in range(_VALUES):
            values[i] = _NEVER
        highest, lowest = data[_live.CELL_MAX], data[_live.CELL_MIN]
        if highest != _ABSENT and lowest != _ABSENT:
            values[HIGHEST] = highest
            values[LOWEST] = -lowest
            values[SPREAD] = highest - lowest
            if lowest > data[_live.SET_EMPTY] + 100:
                values[SPREAD_MIDDLE] = highest - lowest
        one, two, inside = data[_live.TEMP_EXT1], data[_live.TEMP_EXT2], data[_live.TEMP_INT]
        hot = cold = _NEVER
        if one != _ABSENT:
            hot, cold = one, -one
        if two != _ABSENT:
            hot, cold = max(hot, two), max(cold, -two)
        if inside != _ABSENT:
            hot = max(hot, inside)
            if cold == _NEVER:
                cold = -inside
        values[HOTTEST] = hot
        values[COLDEST] = cold
        current = data[_live.CURRENT]
        if current != _ABSENT:
            values[CHARGE] = current
            values[DISCHARGE] = -current
