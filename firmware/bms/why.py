"""Why a poll or the settings are refused, in words. Loaded when there is something new to say."""

from firmware import live
from firmware.bms import decode, registers
from firmware.bms.frames import word


def poll(rule, poll):
    """`rule`: of plausible.check, `poll` what it was given."""
    if rule == 1:
        return "status {:#x} is unknown".format(poll[live.STATUS])
    if rule == 2:
        return "{} cells configured, {} detected".format(poll[live.CELL_COUNT], poll[decode.DETECTED])
    if rule == 3:
        return "cell {} at {} mV".format(poll[live.CELL_MIN_AT], poll[decode.LOWEST])
    if rule == 4:
        return "cell {} at {} mV".format(poll[live.CELL_MAX_AT], poll[decode.HIGHEST])
    if rule == 5:
        return "cells sum {} mV, pack {} mV".format(poll[decode.SUM], poll[live.VOLTAGE])
    if rule == 6:
        return "register 40 is {} mV, lowest cell {} mV".format(poll[live.CELL_MIN], poll[decode.LOWEST])
    if rule == 7:
        return "register 41 is {} mV, highest cell {} mV".format(poll[live.CELL_MAX], poll[decode.HIGHEST])
    return "current is not a number"


def settings(rule, frame):
    """`rule`: of registers.settings, `frame` what it was given."""
    if rule == registers.ORDER:
        values = [word(frame, n) for n in (16, 1, 0, 15)]
        return "registers 316 < 301 < 300 < 315 do not hold: {} {} {} {}".format(*values)
    row = (rule - registers.ROWS) * registers.COLUMNS
    offset, low, high = registers.SETTINGS[row], registers.SETTINGS[row + 3], registers.SETTINGS[row + 4]
    value = word(frame, offset)
    if low >> 15:
        value, low = registers.signed(value, 16), registers.signed(low, 16)
    return "register {} is {}, not {}...{}".format(registers.SETTINGS_AT + offset, value, low, high)
