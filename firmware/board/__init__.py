"""The machine underneath: `machine_board()` gives the one board object. Interface: see `base.py`."""

import sys


def machine_board(argv):
    """The board of the machine that runs us: an ESP32, or a computer with the unix port (`argv` are its options)."""
    if sys.platform == "esp32":
        from firmware.board.esp32 import Esp32

        return Esp32()
    from firmware.board.host import Host

    return Host(argv)
