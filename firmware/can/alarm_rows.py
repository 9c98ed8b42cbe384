"""The conditions of 0x35A (victron_can facts 4), loaded once to be put into the array that `alarms.Alarms` evaluates.

Charge control acts on its own figures: this is only what the GX shows and logs, so a normal day stays silent. What differs from
the cut-off itself is chosen for that: with CVL at cut-off - 50 mV a charger may bring cells to cut-off - 25 mV each day.
"""

from array import array
from micropython import const

from firmware import live as _live
from firmware.can import alarms as _alarms

# Items of 0x35A in their order on the wire (0 is "general")
_HIGH_VOLTAGE = const(1)
_LOW_VOLTAGE = const(2)
_HOT = const(3)
_COLD = const(4)
_HOT_CHARGE = const(5)
_COLD_CHARGE = const(6)
_DISCHARGE_CURRENT = const(7)
_CHARGE_CURRENT = const(8)
_CONTACTOR = const(9)
_INTERNAL = const(11)
_IMBALANCE = const(12)
_WARNING = const(16)  # added to the item of a warning

_315 = _live.SET_OV
_316 = _live.SET_UV
_317 = _live.SET_DISCHARGE_OC
_318 = _live.SET_CHARGE_OC
_319 = _live.SET_HOT
_320 = _live.SET_COLD
_308 = _live.SET_DISBALANCE

# item, value, register, percent, offset, hysteresis, fault events (bit n = 0x00 + n), warning events (bit n = 0x30 + n)
_ROWS = (
    # highest cell >= 315 until 20 mV lower; 0x03 over-voltage
    (_HIGH_VOLTAGE, _alarms.HIGHEST, _315, 100, 0, 20, 1 << 0x03, 0),
    # highest cell >= 315 - 20 mV (charge control has stopped charging) until 315 - 40 mV
    (_HIGH_VOLTAGE + _WARNING, _alarms.HIGHEST, _315, 100, -20, 20, 0, 0),
    # lowest cell <= 316 until 50 mV higher; 0x02 under-voltage
    (_LOW_VOLTAGE, _alarms.LOWEST, _316, -100, 0, 50, 1 << 0x02, 0),
    # lowest cell <= 316 + 50 mV until 316 + 100 mV; 0x31 fully discharged
    (_LOW_VOLTAGE + _WARNING, _alarms.LOWEST, _316, -100, -50, 50, 0, 1 << 0x01),
    # hottest sensor >= 319 until 3 C lower; 0x04 over-heat. The TinyBMS has one cut-off for charge and discharge
    (_HOT, _alarms.HOTTEST, _319, 100, 0, 30, 1 << 0x04, 0),
    (_HOT + _WARNING, _alarms.HOTTEST, _319, 100, -30, 20, 0, 0),  # from 3 C below until 5 C below
    (_HOT_CHARGE, _alarms.HOTTEST, _319, 100, 0, 30, 1 << 0x04, 0),
    (_HOT_CHARGE + _WARNING, _alarms.HOTTEST, _319, 100, -30, 20, 0, 0),
    # coldest sensor <= -40 C (fixed in the BMS) until -37 C; 0x0A. Warning from -35 C until -33 C
    (_COLD, _alarms.COLDEST, -1, 0, 400, 30, 1 << 0x0A, 0),
    (_COLD + _WARNING, _alarms.COLDEST, -1, 0, 350, 20, 0, 0),
    # coldest sensor <= 320 until 2 C higher; 0x37 low-temperature charge cut-off. Warning from 2 C above until 4 C above
    (_COLD_CHARGE, _alarms.COLDEST, _320, -100, 0, 20, 0, 1 << 0x07),
    (_COLD_CHARGE + _WARNING, _alarms.COLDEST, _320, -100, -20, 20, 0, 0),
    # discharge >= 317 until under 95 % of it; 0x05. Warning from 95 % until under 92 % (DCL is at most 90 %)
    (_DISCHARGE_CURRENT, _alarms.DISCHARGE, _317, 100, 0, 5, 1 << 0x05, 0),
    (_DISCHARGE_CURRENT + _WARNING, _alarms.DISCHARGE, _317, 95, 0, 3, 0, 0),
    # charge >= 318, the same way (CCL is at most 90 %); 0x06 charge, 0x07 regeneration over-current
    (_CHARGE_CURRENT, _alarms.CHARGE, _318, 100, 0, 5, 1 << 0x06 | 1 << 0x07, 0),
    (_CHARGE_CURRENT + _WARNING, _alarms.CHARGE, _318, 95, 0, 3, 0, 0),
    # 0x0B charger switch, 0x0C load switch, 0x0D single-port switch error
    (_CONTACTOR, _alarms.NONE, -1, 0, 0, 0, 1 << 0x0B | 1 << 0x0C | 1 << 0x0D, 0),
    # 0x0E, 0x0F external current sensor lost or found, both need a restart; also: old data, a fault without a cause (below)
    (_INTERNAL, _alarms.NONE, -1, 0, 0, 0, 1 << 0x0E | 1 << 0x0F, 0),
    # 0x38, 0x39 charger voltage too high or too low to set SoC to 100 %; also: old settings (below)
    (_INTERNAL + _WARNING, _alarms.NONE, -1, 0, 0, 0, 0, 1 << 0x08 | 1 << 0x09),
    # spread >= 308 + 450 mV until 50 mV less; warning from 308 + 250 mV. 308 is where balancing stops, and an LFP pack
    # spreads by 200 mV at the ends of a normal day; the warning spares a nearly empty pack (lowest cell <= 301 + 100 mV)
    (_IMBALANCE, _alarms.SPREAD, _308, 100, 450, 50, 0, 0),
    (_IMBALANCE + _WARNING, _alarms.SPREAD_MIDDLE, _308, 100, 250, 50, 0, 0),
)


def rows():
    """All rows in one array of 16 bits, alarms.ROW numbers each; events as bit n - 1 (there is no event 0)."""
    rows = array("h", (0 for _ in range(_alarms.ROW * len(_ROWS))))
    at = 0
    for row in _ROWS:
        for i in range(_alarms.ROW):
            rows[at] = row[i] >> 1 if i >= _alarms.FAULTS else row[i]
            at += 1
    return rows
