"""The running history: the last 512 samples in one array of 10 KB.

A sample is five words: seconds since start; current in mA; SoC and SoH in 0.01 %; pack voltage in mV and the milliseconds of its
time; temperature in 0.1 C and cell spread in mV. Each packed part has its own pattern for "unknown".
"""

from array import array
from micropython import const
from firmware import live as field

CAPACITY = const(512)
WORDS = const(5)
NO_PERCENT = const(0x3FFF)  # 14 bits
NO_VOLTAGE = const(0x1FFFF)  # 17 bits
NO_TEMPERATURE = const(0xFFF)  # 12 bits, biased so that nothing is negative
NO_SPREAD = const(0x1FFF)  # 13 bits
BIAS = const(1000)


def _fit(value, unknown):
    """`value` where it fits below the pattern `unknown`, else that pattern."""
    return value if 0 <= value < unknown else unknown


class Ring:
    """`add` a sample of the snapshot `live`; reader.py reads them."""

    def __init__(self, live):
        self._live = live
        self.array = array("i", bytes(4 * WORDS * CAPACITY))
        self.head = 0
        self.count = 0
        self.added = 0  # ever, below 2^30

    def add(self, s, ms):
        """A sample of what `live` holds now, taken `s` seconds and `ms` milliseconds after start. Allocates nothing."""
        data = self._live.data
        ring = self.array
        at = self.head * WORDS
        ring[at] = s
        ring[at + 1] = data[field.CURRENT]
        ring[at + 2] = _fit(data[field.SOC], NO_PERCENT) << 14 | _fit(data[field.SOH], NO_PERCENT)
        ring[at + 3] = _fit(data[field.VOLTAGE], NO_VOLTAGE) << 10 | ms
        temperature = self._live.temperature()
        warm = NO_TEMPERATURE if temperature is None else _fit(temperature + BIAS, NO_TEMPERATURE)
        spread = NO_SPREAD
        if data[field.CELL_MAX] != field.ABSENT and data[field.CELL_MIN] != field.ABSENT:
            spread = _fit(data[field.CELL_MAX] - data[field.CELL_MIN], NO_SPREAD)
        ring[at + 4] = warm << 13 | spread
        self.head = (self.head + 1) % CAPACITY
        self.added = (self.added + 1) & 0x3FFFFFFF
        if self.count < CAPACITY:
            self.count += 1
