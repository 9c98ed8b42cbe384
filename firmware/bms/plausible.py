"""Is a poll plausible? The rules of DESIGN 5; each refusal says why."""

from micropython import const

from firmware import live
from firmware.bms import decode

_CELL_LOW = const(500)  # mV
_CELL_HIGH = const(5000)
_EXTREME_OFF = const(50)  # registers 40, 41 against the cells, mV


def check(poll):
    """`poll` is what `decode.fast` made. Gives "" when it may be used, else why not. Configured are 4-16 cells."""
    status = poll[live.STATUS]
    if status not in live.STATUS_NAMES:
        return "status {:#x} is unknown".format(status)
    cells, detected = poll[live.CELL_COUNT], poll[decode.DETECTED]
    if detected and detected != cells:
        return "{} cells configured, {} detected".format(cells, detected)
    low, high = poll[decode.LOWEST], poll[decode.HIGHEST]
    if low < _CELL_LOW:
        return "cell {} at {} mV".format(poll[live.CELL_MIN_AT], low)
    if high > _CELL_HIGH:
        return "cell {} at {} mV".format(poll[live.CELL_MAX_AT], high)
    total, pack = poll[decode.SUM], poll[live.VOLTAGE]
    if pack == live.ABSENT or abs(total - pack) * 50 > pack:
        return "cells sum {} mV, pack {} mV".format(total, pack)
    if abs(poll[live.CELL_MIN] - low) > _EXTREME_OFF:
        return "register 40 is {} mV, lowest cell {} mV".format(poll[live.CELL_MIN], low)
    if abs(poll[live.CELL_MAX] - high) > _EXTREME_OFF:
        return "register 41 is {} mV, highest cell {} mV".format(poll[live.CELL_MAX], high)
    if poll[live.CURRENT] == live.ABSENT:
        return "current is not a number"
    return ""
