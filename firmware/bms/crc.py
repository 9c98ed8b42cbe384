"""CRC-16/MODBUS of the TinyBMS frames (tinybms_uart facts 3): reflected 0xA001, start 0xFFFF, sent low byte first.

The functions here and in `decode` are viper. For the benchmark the same source runs as bytecode: take out the lines
`@micropython.viper` and replace `ptr16(` by `(`. Annotations are ignored there, and no other cast is used.
"""

import micropython
from array import array

# CRC of each nibble: 32 bytes instead of 512, and an array, because viper reads 16 bits only from even addresses on Xtensa.
_NIBBLES = array(
    "H",
    (
        0x0000, 0xCC01, 0xD801, 0x1400, 0xF001, 0x3C00, 0x2800, 0xE401,
        0xA001, 0x6C00, 0x7800, 0xB401, 0x5000, 0x9C01, 0x8801, 0x4400,
    ),
)  # fmt: skip


@micropython.viper
def crc16(buf: ptr8, start: int, length: int) -> int:
    """CRC of `length` bytes of `buf` from `start`; 0 over a whole frame with its two CRC bytes means it is undamaged."""
    table = ptr16(_NIBBLES)
    crc = 0xFFFF
    end = start + length
    while start < end:
        crc ^= buf[start]
        crc = (crc >> 4) ^ table[crc & 15]
        crc = (crc >> 4) ^ table[crc & 15]
        start += 1
    return crc


@micropython.viper
def copy(source: ptr8, start: int, target: ptr8, at: int, length: int):
    """Copy bytes within or between buffers (downwards within one) without allocating a slice."""
    i = 0
    while i < length:
        target[at + i] = source[start + i]
        i += 1
