"""The running history: the last 512 samples in 6.5 KB.

A sample has 13 bytes (`FORMAT`, little endian), bits from the lowest on; `reader.py` takes them apart:

    H  distance from the sample before, its low 16 bits: ms, or with bit 21 set seconds
    H  pack voltage in mV, its low 16 bits (of 17)
    H  current in 10 mA + CURRENT_BIAS, its low 16 bits (of 18)
    H  SoC in 0.01 % (14 bits), current
    H  SoH in 0.1 % (10 bits), distance (6 bits)
    H  cell spread in mV (12 bits), pack voltage (1 bit), temperature (3 bits)
    B  temperature in 0.1 C + TEMPERATURE_BIAS, its low 8 bits (of 11)

What is unknown is the largest number of its field.
"""

import struct
from micropython import const
from firmware import live as field
from firmware.lazy import seldom

CAPACITY = const(512)
FORMAT = "<HHHHHHB"
SIZE = const(13)
NO_VOLTAGE = const(0x1FFFF)
NO_CURRENT = const(0x3FFFF)
NO_SOC = const(0x3FFF)
NO_SOH = const(0x3FF)
NO_SPREAD = const(0xFFF)
NO_TEMPERATURE = const(0x7FF)
CURRENT_BIAS = const(130_000)
TEMPERATURE_BIAS = const(500)
SECONDS = const(0x200000)  # the distance is in seconds
_MS_GAP = const(2000)  # s; a longer distance is in seconds


def _fit(value, unknown):
    """`value` where it fits below the pattern `unknown`, else that pattern."""
    return value if 0 <= value < unknown else unknown


class Ring:
    """`add` a sample of the snapshot `live`; reader.py reads them. `s`, `ms`: time of the newest, since start."""

    @seldom
    def __init__(self, live):
        self._live = live
        self.bytes = bytearray(SIZE * CAPACITY)
        self.head = self.count = self.s = self.ms = 0
        self.added = 0  # ever, below 2^30

    def add(self, s, ms):
        """A sample of what `live` holds now, taken `s` seconds and `ms` milliseconds after start. Allocates nothing."""
        gap = s - self.s
        if gap < _MS_GAP:
            gap = gap * 1000 + ms - self.ms
            self.ms = ms
        else:  # its ms are those of the sample before; the next distance makes up for that
            if ms < self.ms:
                gap -= 1
                s -= 1
            if gap >= SECONDS:  # 24 days without a sample: what was before has no place
                self.count = 0
            gap |= SECONDS
        self.s = s
        data = self._live.data
        voltage = _fit(data[field.VOLTAGE], NO_VOLTAGE)
        current = _fit((data[field.CURRENT] // 5 + 1 >> 1) + CURRENT_BIAS, NO_CURRENT)
        warm = self._live.temperature()
        warm = NO_TEMPERATURE if warm is None else _fit(warm + TEMPERATURE_BIAS, NO_TEMPERATURE)
        high, low = data[field.CELL_MAX], data[field.CELL_MIN]
        spread = NO_SPREAD if high == field.ABSENT or low == field.ABSENT else _fit(high - low, NO_SPREAD)
        struct.pack_into(
            FORMAT,
            self.bytes,
            self.head * SIZE,
            gap & 0xFFFF,
            voltage & 0xFFFF,
            current & 0xFFFF,
            _fit(data[field.SOC], NO_SOC) | current >> 16 << 14,
            _fit(data[field.SOH] // 5 + 1 >> 1, NO_SOH) | (gap >> 16 & 0x3F) << 10,
            spread | voltage >> 16 << 12 | warm >> 8 << 13,
            warm & 0xFF,
        )
        self.head = (self.head + 1) % CAPACITY
        self.added = (self.added + 1) & 0x3FFFFFFF
        if self.count < CAPACITY:
            self.count += 1
