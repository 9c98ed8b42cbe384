"""What sets the TWAI controller up: layout, acceptance filter, bit timing (esp32_micropython facts 1.5 and 1.6).

Loaded once, for `program`; Twai keeps what that gives, because a recovery must not need the file system.
"""

from array import array
from micropython import const

from firmware.can import twai_chips as chips

_MODE = const(0)  # register numbers: byte offset / 4
_INTERRUPT_ENABLE = const(4)
_BTR0 = const(6)
_BTR1 = const(7)
_WARNING_LIMIT = const(13)
_REC = const(14)
_TEC = const(15)
_CODE = const(16)  # acceptance code and mask, in reset mode only
_MASK = const(20)
_CDR = const(31)

_RESET_MODE = const(1)  # MODE
_LISTEN_ONLY = const(2)
_SINGLE_FILTER = const(8)

CHECK = const(32)  # added to a register that must read back what was written


def program(chip, bitrate, accept, sample):
    """Register, value, register, value ... of the writes, to be made in that order, at start and at every recovery.

    `chip` is a name of twai_chips.CHIPS, `accept` the first and the last standard id that must come through. ValueError for a
    bit rate that cannot be made.
    """
    row = chips.CHIPS[chip]
    btr0, btr1 = chips.timing(bitrate, row, sample)
    code = accept[0]
    vary = 0  # bits of the id that the filter lets vary: it may let through more ids than asked for
    for can_id in range(accept[0], accept[1] + 1):
        vary |= can_id ^ code
    writes = (
        (_MODE, _RESET_MODE),
        (_CDR, row[chips.CDR]),  # before all else: on the ESP32 it selects the layout
        (_MODE, _RESET_MODE | _LISTEN_ONLY | _SINGLE_FILTER),  # listen-only freezes REC, erratum 3.13.1
        (_CODE | CHECK, 0x55),
        (_CODE | CHECK, 0xAA),
        (_CODE, code >> 3),
        (_CODE + 1, (code & 7) << 5),
        (_CODE + 2, 0),
        (_CODE + 3, 0),
        (_MASK, vary >> 3),
        (_MASK + 1, (vary & 7) << 5 | 0x0F),  # bit 4: only frames with data
        (_MASK + 2, 0xFF),
        (_MASK + 3, 0xFF),
        (_TEC, 0),
        (_REC, 0),
        (_WARNING_LIMIT, 96),
        (_INTERRUPT_ENABLE, 0),  # on a later ESP32 bit 4 would double the prescaler
        (_BTR0, btr0),
        (_BTR1, btr1),
    )
    return array("H", (number for write in writes for number in write))
