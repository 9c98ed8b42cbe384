"""The conditions of 0x35A (victron_can facts 4): one table of alarms and warnings, evaluated without allocation.

A row is on from its threshold on (register x percent / 100 + offset) and goes off again `hysteresis` lower. An active
BMS event of the row (live.FAULTS, live.WARNINGS; tinybms_uart facts 11) switches it on as well. "General" follows any other one.
Charge control acts on its own figures: this is only what the GX shows and logs, so a normal day stays silent. What differs from
the cut-off itself is chosen for that: with CVL at cut-off - 50 mV a charger may bring cells to cut-off - 25 mV each day.
"""

from array import array
from micropython import const

from firmware import live as _live

_ABSENT = const(0x3FFFFFFF)
_FAULT = const(0x9B)  # online status

# Items of 0x35A in their order on the wire
GENERAL = const(0)
_HIGH_VOLTAGE = const(1)
_LOW_VOLTAGE = const(2)
_HOT = const(3)
_COLD = const(4)
_HOT_CHARGE = const(5)
_COLD_CHARGE = const(6)
_DISCHARGE_CURRENT = const(7)
_CHARGE_CURRENT = const(8)
_CONTACTOR = const(9)
INTERNAL = const(11)
_IMBALANCE = const(12)
_WARNING = const(16)  # added to the item of a warning

# Measured values that the rows compare. The values of "low" rows are negated, so that every row is "value >= threshold"
_HIGHEST = const(0)  # highest cell, mV
_LOWEST = const(1)  # - lowest cell, mV
_HOTTEST = const(2)  # of all sensors, 0.1 C
_COLDEST = const(3)  # - coldest external sensor (the internal one when there is none), 0.1 C
_CHARGE = const(4)  # mA
_DISCHARGE = const(5)  # mA
_SPREAD = const(6)  # highest - lowest cell, mV
_SPREAD_MIDDLE = const(7)  # the same, while the lowest cell is above 301 + 100 mV
_NONE = const(8)  # events only
_VALUES = const(9)

_NEVER = const(-0x20000000)  # a value that reaches no threshold

_315 = _live.SET_OV
_316 = _live.SET_UV
_317 = _live.SET_DISCHARGE_OC
_318 = _live.SET_CHARGE_OC
_319 = _live.SET_HOT
_320 = _live.SET_COLD
_308 = _live.SET_DISBALANCE

# item, value, register, percent, offset, hysteresis, fault events (bit n = 0x00 + n), warning events (bit n = 0x30 + n)
TABLE = (
    # highest cell >= 315 until 20 mV lower; 0x03 over-voltage
    (_HIGH_VOLTAGE, _HIGHEST, _315, 100, 0, 20, 1 << 0x03, 0),
    # highest cell >= 315 - 20 mV (charge control has stopped charging) until 315 - 40 mV
    (_HIGH_VOLTAGE + _WARNING, _HIGHEST, _315, 100, -20, 20, 0, 0),
    # lowest cell <= 316 until 50 mV higher; 0x02 under-voltage
    (_LOW_VOLTAGE, _LOWEST, _316, -100, 0, 50, 1 << 0x02, 0),
    # lowest cell <= 316 + 50 mV until 316 + 100 mV; 0x31 fully discharged
    (_LOW_VOLTAGE + _WARNING, _LOWEST, _316, -100, -50, 50, 0, 1 << 0x01),
    # hottest sensor >= 319 until 3 C lower; 0x04 over-heat. The TinyBMS has one cut-off for charge and discharge
    (_HOT, _HOTTEST, _319, 100, 0, 30, 1 << 0x04, 0),
    (_HOT + _WARNING, _HOTTEST, _319, 100, -30, 20, 0, 0),  # from 3 C below until 5 C below
    (_HOT_CHARGE, _HOTTEST, _319, 100, 0, 30, 1 << 0x04, 0),
    (_HOT_CHARGE + _WARNING, _HOTTEST, _319, 100, -30, 20, 0, 0),
    # coldest sensor <= -40 C (fixed in the BMS) until -37 C; 0x0A. Warning from -35 C until -33 C
    (_COLD, _COLDEST, -1, 0, 400, 30, 1 << 0x0A, 0),
    (_COLD + _WARNING, _COLDEST, -1, 0, 350, 20, 0, 0),
    # coldest sensor <= 320 until 2 C higher; 0x37 low-temperature charge cut-off. Warning from 2 C above until 4 C above
    (_COLD_CHARGE, _COLDEST, _320, -100, 0, 20, 0, 1 << 0x07),
    (_COLD_CHARGE + _WARNING, _COLDEST, _320, -100, -20, 20, 0, 0),
    # discharge >= 317 until under 95 % of it; 0x05. Warning from 95 % until under 92 % (DCL is at most 90 %)
    (_DISCHARGE_CURRENT, _DISCHARGE, _317, 100, 0, 5, 1 << 0x05, 0),
    (_DISCHARGE_CURRENT + _WARNING, _DISCHARGE, _317, 95, 0, 3, 0, 0),
    # charge >= 318, the same way (CCL is at most 90 %); 0x06 charge, 0x07 regeneration over-current
    (_CHARGE_CURRENT, _CHARGE, _318, 100, 0, 5, 1 << 0x06 | 1 << 0x07, 0),
    (_CHARGE_CURRENT + _WARNING, _CHARGE, _318, 95, 0, 3, 0, 0),
    # 0x0B charger switch, 0x0C load switch, 0x0D single-port switch error
    (_CONTACTOR, _NONE, -1, 0, 0, 0, 1 << 0x0B | 1 << 0x0C | 1 << 0x0D, 0),
    # 0x0E, 0x0F external current sensor lost or found, both need a restart; also: old data, a fault without a cause (below)
    (INTERNAL, _NONE, -1, 0, 0, 0, 1 << 0x0E | 1 << 0x0F, 0),
    # 0x38, 0x39 charger voltage too high or too low to set SoC to 100 %; also: old settings (below)
    (INTERNAL + _WARNING, _NONE, -1, 0, 0, 0, 0, 1 << 0x08 | 1 << 0x09),
    # spread >= 308 + 450 mV until 50 mV less; warning from 308 + 250 mV. 308 is where balancing stops, and an LFP pack
    # spreads by 200 mV at the ends of a normal day; the warning spares a nearly empty pack (lowest cell <= 301 + 100 mV)
    (_IMBALANCE, _SPREAD, _308, 100, 450, 50, 0, 0),
    (_IMBALANCE + _WARNING, _SPREAD_MIDDLE, _308, 100, 250, 50, 0, 0),
)


class Alarms:
    """`active` and `warnings`: bit n = item n of 0x35A. `evaluate` is called before each 0x35A."""

    def __init__(self, live):
        self._data = live.data
        self._values = array("i", (_NEVER for _ in range(_VALUES)))
        self._causeless = 0  # evaluations in a row with status fault and no event that tells why
        self.active = 0
        self.warnings = 0

    def evaluate(self, stale, settings_old):
        """`stale`: the data is old, what was known stays and BMS-internal is added. `settings_old`: a warning of it."""
        if stale:
            self.active |= 1 << INTERNAL | 1 << GENERAL
            return
        data = self._data
        self._measure(data)
        faults, events = data[_live.FAULTS], data[_live.WARNINGS]
        if faults == _ABSENT:
            faults = 0
        if events == _ABSENT:
            events = 0
        before_active, before_warnings = self.active, self.warnings
        active = warnings = 0
        for row in TABLE:
            item = row[0]
            was = before_warnings >> (item - _WARNING) if item >= _WARNING else before_active >> item
            if faults & row[6] or events & row[7] or self._reached(row, was & 1):
                if item >= _WARNING:
                    warnings |= 1 << (item - _WARNING)
                else:
                    active |= 1 << item
        # the events are read right after a fault shows: only a second look without a cause counts
        causeless = data[_live.STATUS] == _FAULT and not faults and not events
        self._causeless = min(self._causeless + 1, 2) if causeless else 0
        if self._causeless == 2:
            active |= 1 << INTERNAL
        if settings_old:
            warnings |= 1 << INTERNAL
        self.active = active | 1 if active else 0
        self.warnings = warnings | 1 if warnings else 0

    def _reached(self, row, was):
        """Is the value of this row at its threshold, or, if the row was on, not yet back by the hysteresis?"""
        value = self._values[row[1]]
        threshold = row[4]
        percent = row[3]
        if was:
            if row[1] == _CHARGE or row[1] == _DISCHARGE:
                percent -= row[5]
            else:
                threshold -= row[5] - 1
        if row[2] >= 0:
            register = self._data[row[2]]
            if register == _ABSENT:
                return False
            threshold += register * percent // 100
        return value >= threshold

    def _measure(self, data):
        values = self._values
        for i in range(_VALUES):
            values[i] = _NEVER
        highest, lowest = data[_live.CELL_MAX], data[_live.CELL_MIN]
        if highest != _ABSENT and lowest != _ABSENT:
            values[_HIGHEST] = highest
            values[_LOWEST] = -lowest
            values[_SPREAD] = highest - lowest
            if lowest > data[_live.SET_EMPTY] + 100:
                values[_SPREAD_MIDDLE] = highest - lowest
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
        values[_HOTTEST] = hot
        values[_COLDEST] = cold
        current = data[_live.CURRENT]
        if current != _ABSENT:
            values[_CHARGE] = current
            values[_DISCHARGE] = -current
