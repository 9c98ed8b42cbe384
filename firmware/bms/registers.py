"""Slow register blocks into the snapshot: settings, statistics, version (tinybms_uart facts 8, 9, 15)."""

from array import array
from micropython import const

from firmware import live
from firmware.bms.frames import word

FAST_COUNT = const(56)  # registers 0-55
SETTINGS_AT = const(300)
SETTINGS_COUNT = const(44)
STATISTICS_AT = const(100)
STATISTICS_COUNT = const(18)
VERSION_AT = const(500)
VERSION_COUNT = const(10)

_SOH_SINCE = const(251)  # internal firmware number that knows register 45
_PEAK_SINCE = const(254)  # ... and 305

# register - 300, field, field units a register unit, lowest and highest raw value (the widest the manual names), negative ones as
# words; one flat array takes a quarter of the memory of a tuple of tuples
COLUMNS = const(5)
ORDER = const(9)  # what `settings` gives: 316 < 301 < 300 < 315 does not hold, or this and a row of SETTINGS
ROWS = const(10)
SETTINGS = array("H", (
    0, live.SET_FULL, 1, 1200, 4500,
    1, live.SET_EMPTY, 1, 1000, 3500,
    3, live.SET_BALANCE_FROM, 1, 1000, 4500,
    4, live.SET_TAIL, 1, 100, 5000,
    6, live.SET_CAPACITY, 10, 10, 65500,
    7, live.SET_CELLS, 1, 4, 16,
    8, live.SET_DISBALANCE, 1, 15, 100,
    15, live.SET_OV, 1, 1200, 4500,
    16, live.SET_UV, 1, 800, 3500,
    17, live.SET_DISCHARGE_OC, 1000, 1, 750,
    18, live.SET_CHARGE_OC, 1000, 1, 750,
    19, live.SET_HOT, 10, 20, 90,
    20, live.SET_COLD, 10, -40 & 0xFFFF, 10,
))  # fmt: skip


def signed(value, bits):
    return value - (1 << bits) if value >> (bits - 1) else value


def has_soh(data):
    """1 when the firmware knows the state of health, else 0 (also while the firmware is not known)."""
    return 1 if _SOH_SINCE <= data[live.FIRMWARE] < live.ABSENT else 0


def settings(frame, data):
    """Decode the reply to "read 300-343" into `data`; gives 0 or, with nothing written, a number: why.py tells what is wrong."""
    for write in (False, True):
        if write and not word(frame, 16) < word(frame, 1) < word(frame, 0) < word(frame, 15):
            return ORDER
        for row in range(0, len(SETTINGS), COLUMNS):
            value, low = word(frame, SETTINGS[row]), SETTINGS[row + 3]
            if low >> 15:
                value, low = signed(value, 16), signed(low, 16)
            if write:
                data[SETTINGS[row + 1]] = value * SETTINGS[row + 2]
            elif not low <= value <= SETTINGS[row + 4]:
                return ROWS + row // COLUMNS
    peak = word(frame, 5)
    known = _PEAK_SINCE <= data[live.FIRMWARE] < live.ABSENT and 0 < peak < 0xFFFF
    data[live.SET_PEAK_DISCHARGE] = peak * 1000 if known else live.ABSENT
    data[live.SET_MODE] = word(frame, 40) & 0xFF
    return 0


def statistics(frame, data):
    """Decode the reply to "read 100-117" into `data`."""
    for n in range(10):  # registers 102-109, 111, 112; their fields lie in this order
        value = word(frame, n + 2 if n < 8 else n + 3)
        data[live.STAT_MAX_DISCHARGE + n] = live.ABSENT if value == 0xFFFF else value * 100 if n < 2 else value
    extremes, causes = word(frame, 13), word(frame, 14)
    data[live.STAT_TEMP_MIN] = signed(extremes & 0xFF, 8)
    data[live.STAT_TEMP_MAX] = signed(extremes >> 8, 8)
    data[live.STAT_RESET_CAUSE] = causes & 0xFF
    data[live.STAT_WAKE_CAUSE] = causes >> 8


def version(frame, data):
    """Decode the reply to "read 500-509" into `data`; a serial number of zeros counts as unknown."""
    for n in range(4):
        data[live.HARDWARE + n] = word(frame, n)
    serial = any(frame[11:23])  # words 4 to 9
    for n in range(6):
        data[live.SERIAL + n] = word(frame, 4 + n) if serial else live.ABSENT
