"""Registers 0-55 of a reply into snapshot fields, in viper (see `crc` for how the benchmark runs it as bytecode).

What is read are bytes and unsigned words, so nothing signed is ever loaded; negative numbers are only computed and stored.
No product reaches 2^30 (tinybms_uart facts 5, 7, 12).
"""

import micropython
from array import array
from micropython import const

_ABSENT = const(0x3FFFFFFF)  # live.ABSENT; const folding does not cross modules

# What the scratch array holds behind the 33 measured fields of `live` (0-32), for the plausibility check
SUM = const(33)  # of the configured cells, mV
LOWEST = const(34)  # cell, mV
HIGHEST = const(35)
DETECTED = const(36)  # register 53
SIZE = const(37)
BYTES = const(132)  # of the measured fields, to copy them into the snapshot

_WORDS = array("H", bytes(112))


@micropython.viper
def milli(high: int, low: int) -> int:
    """An IEEE single (two words) in thousandths, rounded; ABSENT for NaN, infinity and from 2^20 on. No float is made."""
    exponent = (high >> 7) & 0xFF
    if exponent > 146:
        return _ABSENT
    if exponent < 100:
        return 0
    shift = 150 - exponent  # 4..50
    mantissa = (((high & 0x7F) | 0x80) << 16) | low
    if shift > 24:
        whole = 0
        part = mantissa
    else:
        whole = mantissa >> shift
        part = mantissa & ((1 << shift) - 1)
    if shift > 19:  # 19 bits of fraction (0.000002) keep the product below 2^30
        cut = shift - 19
        part = part >> cut if cut < 25 else 0
        shift = 19
    value = whole * 1000 + ((part * 1000 + (1 << (shift - 1))) >> shift)
    if high & 0x8000:
        return 0 - value
    return value


@micropython.viper
def fast(buf: ptr8, out: ptr32, cells: int, has_soh: int):
    """Decode the reply to "read registers 0-55" (whole frame in `buf`) into `out`, laid out like `live` 0-32, then SUM...

    `cells` is the configured number (4-16), `has_soh` 1 from firmware 2.3.251 on. Cells come in pack order.
    """
    word = ptr16(_WORDS)
    n = 0
    at = 3
    while n < 56:
        word[n] = (buf[at] << 8) | buf[at + 1]
        at += 2
        n += 1

    first = 16 - cells  # register of pack cell 1
    total = 0
    lowest = 0x10000
    highest = 0 - 1
    n = 0
    while n < 16:
        value = _ABSENT
        if n < cells:
            value = (word[first + n] + 5) // 10
            total += value
            if value < lowest:
                lowest = value
                out[10] = n + 1
            if value > highest:
                highest = value
                out[11] = n + 1
        out[17 + n] = value
        n += 1
    out[12] = cells
    out[33] = total
    out[34] = lowest
    out[35] = highest
    out[36] = word[53]

    out[0] = int(milli(word[37], word[36]))  # u32 and f32: low word first
    out[1] = int(milli(word[39], word[38]))
    out[8] = word[40]
    out[9] = word[41]
    out[7] = word[50]
    out[14] = word[51] >> first
    out[13] = word[52] >> first

    value = _ABSENT  # SoC, 1e-6 %: above 101 % it is not known
    if word[47] < 0x0700:
        value = ((word[47] << 16) | word[46]) // 10000
        if value > 10100:
            value = _ABSENT
        elif value > 10000:
            value = 10000
    out[2] = value

    value = _ABSENT  # SoH, 0.002 %
    if has_soh and word[45] <= 50000:
        value = word[45] // 5
    out[3] = value

    n = 0
    while n < 3:  # temperatures: internal, external 1, external 2
        value = word[48] if n == 0 else word[41 + n]
        if value == 0x8000:
            value = _ABSENT
        elif value > 0x8000:
            value -= 0x10000
        out[4 + n] = value
        n += 1

    n = 32
    while n < 36:  # lifetime, time left: 32 bits, held below ABSENT; all ones is unknown
        value = (word[n + 1] << 16) | word[n] if word[n + 1] < 0x3FFF else _ABSENT - 1
        if word[n + 1] & word[n] == 0xFFFF:
            value = _ABSENT
        out[32 - (n >> 1)] = value
        n += 2
