"""Requests to the TinyBMS (tinybms_uart facts 3, 4). Loaded for a moment: the poller makes its own at start."""

from firmware.bms.crc import crc16
from firmware.bms.frames import READ


def request(*parts):
    """A request: AA, `parts` (bytes), CRC; a bytearray."""
    frame = bytearray((0xAA,) + parts + (0, 0))
    crc = crc16(frame, 0, len(frame) - 2)
    frame[-2] = crc & 0xFF
    frame[-1] = crc >> 8
    return frame


def read_words(address, count):
    """Modbus read of `count` (1-127) registers; the reply is AA 03 2n, n words high byte first, CRC."""
    return request(READ, address >> 8, address & 0xFF, 0, count)
