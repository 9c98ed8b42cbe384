"""Setting up the TWAI controller: layout, acceptance filter, bit timing (esp32_micropython facts 1.5 and 1.6)."""

from micropython import const
from firmware.can import twai_chips as chips

_MODE = const(0)  # register numbers: byte offset / 4
_INTERRUPT = const(3)
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


class Setup:
    """What start and every recovery write; `accept` is the first and the last standard id that must come through."""

    def __init__(self, chip, bitrate, accept, sample):
        self._cdr = chip[chips.CDR]
        self._btr0, self._btr1 = chips.timing(bitrate, chip, sample)
        self._code = accept[0]
        self._open = 0  # bits of the id that the filter lets vary: it may let through more ids than asked for
        for can_id in range(accept[0], accept[1] + 1):
            self._open |= can_id ^ accept[0]

    def run(self, read, write, mode):
        """Reset mode, everything, then `mode`; False when the registers do not hold what is written."""
        write(_MODE, _RESET_MODE)
        write(_CDR, self._cdr)  # before all else: on the ESP32 it selects the layout
        write(_MODE, _RESET_MODE | _LISTEN_ONLY | _SINGLE_FILTER)  # listen-only freezes REC, erratum 3.13.1
        for pattern in (0x55, 0xAA):
            write(_CODE, pattern)
            if read(_CODE) != pattern:
                return False
        for i in range(4):
            write(_CODE + i, 0)
            write(_MASK + i, 0xFF)
        write(_CODE, self._code >> 3)
        write(_CODE + 1, (self._code & 7) << 5)
        write(_MASK, self._open >> 3)
        write(_MASK + 1, (self._open & 7) << 5 | 0x0F)  # bit 4: only frames with data
        write(_TEC, 0)
        write(_REC, 0)
        write(_WARNING_LIMIT, 96)
        write(_INTERRUPT_ENABLE, 0)  # on a later ESP32 bit 4 would double the prescaler
        read(_INTERRUPT)
        write(_BTR0, self._btr0)
        write(_BTR1, self._btr1)
        write(_MODE, _RESET_MODE | mode)
        write(_TEC, 0)
        write(_REC, 0)
        if not read(_MODE) & _RESET_MODE:
            return False
        write(_MODE, mode)
        return True
