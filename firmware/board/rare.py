"""What is asked of any board once or rarely: methods of `Board` beside those in base.py, forgotten after each use."""

import sys
import time
from micropython import const
from firmware import lazy

_FIRST_VALID_YEAR = const(2025)


def set_epoch_ms(board, epoch_ms, source="browser"):
    """Set the clock (source "ntp" or "browser"). Raises ValueError for a time before this firmware was written."""
    base = 0 if time.gmtime(0)[0] == 1970 else 946_684_800  # the epoch of `time` is 2000 on an ESP32
    if time.gmtime(epoch_ms // 1000 - base)[0] < _FIRST_VALID_YEAR:
        raise ValueError("time lies before %d" % _FIRST_VALID_YEAR)
    board._epoch_offset = epoch_ms - board.uptime_ms()
    board.time_valid = True
    board.time_source = source


def family(board):
    """Of the architecture that the bytecode loader takes native code of."""
    return {2: "x64", 10: "xtensawin", 11: "rv32imc"}.get(sys.implementation._mpy >> 10 & 15, "")


def pin_warnings(board, values):
    """Texts about pins that work, but with care."""
    return lazy.once("board.pins").warnings(values, board.chip())


def about():
    """The `wifi` object of GET /api/status where there is no radio."""
    names = ("ssid", "ip", "gateway", "netmask", "ap_ssid", "hostname")
    return dict(dict.fromkeys(names, ""), connected=False, rssi=0, mode="off")


def _nothing(*args):
    """Stands for what only some machines have."""


idf_free = prepare = start_watchdog = feed = start_timer = mark_app_valid = led = _nothing
