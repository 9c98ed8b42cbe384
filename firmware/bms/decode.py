"""Registers 0-55 of a reply into snapshot fields, in viper (see `crc` for how the benchmark runs it as bytecode).

What is read are bytes, so nothing signed is ever loaded; negative numbers are only computed and stored. No product reaches
2^30 (tinybms_uart facts 5, 7, 12).
"""

import micropython
from micropython import const

_ABSENT = const(0x3FFFFFFF)  # live.ABSENT; const folding does not cross modules

# What the scratch array holds behind the 33 measured fields of `live` (0-32), for the plausibility check
SUM = const(33)  # of the configured cells, mV
LOWEST = const(34)  # cell, mV
HIGHEST = const(35)
DETECTED = const(36)  # register 53
SIZE = const(37)
FIELDS = const(33)


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
    first = 16 - cells  # register of pack cell 1
    total = 0
    lowest = 0x10000
    highest = 0 - 1
    low_at = 0
    high_at = 0
    n = 0
    while n < 16:
        if n < cells:
            at = 3 + 2 * (first + n)
            mv = (((buf[at] << 8) | buf[at + 1]) + 5) // 10
            total += mv
            if mv < lowest:
                lowest = mv
                low_at = n + 1
            if mv > highest:
                highest = mv
                high_at = n + 1
            out[17 + n] = mv
        else:
            out[17 + n] = _ABSENT
        n += 1
    out[33] = total
    out[34] = lowest
    out[35] = highest
    out[36] = (buf[109] << 8) | buf[110]  # register 53
    out[10] = low_at
    out[11] = high_at
    out[12] = cells

    # at = 3 + 2 * register; u32 and f32: low word first
    out[0] = int(milli((buf[77] << 8) | buf[78], (buf[75] << 8) | buf[76]))
    out[1] = int(milli((buf[81] << 8) | buf[82], (buf[79] << 8) | buf[80]))
    out[8] = (buf[83] << 8) | buf[84]
    out[9] = (buf[85] << 8) | buf[86]

    high = (buf[97] << 8) | buf[98]
    value = _ABSENT  # SoC, 1e-6 %: above 101 % it is not known
    if high < 0x0700:
        value = ((high << 16) | (buf[95] << 8) | buf[96]) // 10000
        if value > 10100:
            value = _ABSENT
        elif value > 10000:
            value = 10000
    out[2] = value

    value = (buf[93] << 8) | buf[94]  # SoH, 0.002 %
    if has_soh and value <= 50000:
        out[3] = value // 5
    else:
        out[3] = _ABSENT

    n = 0
    while n < 3:  # internal, external 1, external 2
        at = 99 if n == 0 else 85 + 2 * n
        value = (buf[at] << 8) | buf[at + 1]
        if value == 0x8000:
            value = _ABSENT
        elif value > 0x8000:
            value = value - 0x10000
        out[4 + n] = value
        n += 1

    out[7] = (buf[103] << 8) | buf[104]
    out[13] = ((buf[107] << 8) | buf[108]) >> first
    out[14] = ((buf[105] << 8) | buf[106]) >> first

    n = 0
    while n < 2:  # lifetime, time left: 32 bits, held below ABSENT; all ones is unknown
        at = 67 + 4 * n
        high = (buf[at + 2] << 8) | buf[at + 3]
        value = (buf[at] << 8) | buf[at + 1]
        if high == 0xFFFF and value == 0xFFFF:
            value = _ABSENT
        elif high >= 0x3FFF:
            value = _ABSENT - 1
        else:
            value = (high << 16) | value
        out[16 - n] = value
        n += 1


@micropython.viper
def store(source: ptr32, target: ptr32, count: int):
    """Copy `count` fields. Loaded values are only stored again, so their sign does not matter."""
    i = 0
    while i < count:
        target[i] = source[i]
        i += 1
