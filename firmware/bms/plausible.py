"""Is a poll plausible? The rules of DESIGN 5; why.py tells in words which one is broken."""

from micropython import const

from firmware import live
from firmware.bms import decode

_CELL_LOW = const(500)  # mV
_CELL_HIGH = const(5000)
_EXTREME_OFF = const(50)  # registers 40, 41 against the cells, mV


def check(poll):
    """`poll` is what `decode.fast` made. Gives 0 when it may be used, else the number of a rule. Configured are 4-16 cells."""
    if poll[live.STATUS] not in live.STATUS_NAMES:
        return 1
    detected = poll[decode.DETECTED]
    if detected and detected != poll[live.CELL_COUNT]:
        return 2
    low, high = poll[decode.LOWEST], poll[decode.HIGHEST]
    if low < _CELL_LOW:
        return 3
    if high > _CELL_HIGH:
        return 4
    pack = poll[live.VOLTAGE]
    if pack == live.ABSENT or abs(poll[decode.SUM] - pack) * 50 > pack:
        return 5
    if abs(poll[live.CELL_MIN] - low) > _EXTREME_OFF:
        return 6
    if abs(poll[live.CELL_MAX] - high) > _EXTREME_OFF:
        return 7
    return 8 if poll[live.CURRENT] == live.ABSENT else 0
