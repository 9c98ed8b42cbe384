"""The running history: the last 512 samples in one array of 10 KB.

A sample is five words: seconds since start; current in mA; SoC and SoH in 0.01 %; pack voltage in mV and the milliseconds of its
time; temperature in 0.1 C and cell spread in mV. Each packed part has its own pattern for "unknown".
"""

from array import array
from micropython import const
from firmware import live as field

CAPACITY = const(512)
_WORDS = const(5)
_NO_PERCENT = const(0x3FFF)  # 14 bits
_NO_VOLTAGE = const(0x1FFFF)  # 17 bits
_NO_TEMPERATURE = const(0xFFF)  # 12 bits, biased so that nothing is negative
_NO_SPREAD = const(0x1FFF)  # 13 bits
_BIAS = const(1000)


def _fit(value, unknown):
    """`value` where it fits below the pattern `unknown`, else that pattern."""
    return value if 0 <= value < unknown else unknown


class Ring:
    """`add` a sample of the snapshot `live`; `get` it back."""

    def __init__(self, live):
        self._live = live
        self._array = array("i", bytes(4 * _WORDS * CAPACITY))
        self._head = 0
        self.count = 0
        self.added = 0  # ever, below 2^30

    def add(self, s, ms):
        """A sample of what `live` holds now, taken `s` seconds and `ms` milliseconds after start. Allocates nothing."""
        data = self._live.data
        ring = self._array
        at = self._head * _WORDS
        ring[at] = s
        ring[at + 1] = data[field.CURRENT]
        ring[at + 2] = _fit(data[field.SOC], _NO_PERCENT) << 14 | _fit(data[field.SOH], _NO_PERCENT)
        ring[at + 3] = _fit(data[field.VOLTAGE], _NO_VOLTAGE) << 10 | ms
        temperature = self._live.temperature()
        warm = _NO_TEMPERATURE if temperature is None else _fit(temperature + _BIAS, _NO_TEMPERATURE)
        spread = _NO_SPREAD
        if data[field.CELL_MAX] != field.ABSENT and data[field.CELL_MIN] != field.ABSENT:
            spread = _fit(data[field.CELL_MAX] - data[field.CELL_MIN], _NO_SPREAD)
        ring[at + 4] = warm << 13 | spread
        self._head = (self._head + 1) % CAPACITY
        self.added = (self.added + 1) & 0x3FFFFFFF
        if self.count < CAPACITY:
            self.count += 1

    def get(self, age):
        """Sample number `age` (0 = newest): (s, ms, mV, mA, SoC, SoH, 0.1 C, spread mV); None for what is unknown."""
        ring = self._array
        at = (self._head - 1 - age) % CAPACITY * _WORDS
        current, percent, voltage, rest = ring[at + 1], ring[at + 2], ring[at + 3], ring[at + 4]
        warm = _known(rest >> 13, _NO_TEMPERATURE)
        return (
            ring[at],
            voltage & 0x3FF,
            _known(voltage >> 10, _NO_VOLTAGE),
            _known(current, field.ABSENT),
            _known(percent >> 14, _NO_PERCENT),
            _known(percent & _NO_PERCENT, _NO_PERCENT),
            None if warm is None else warm - _BIAS,
            _known(rest & _NO_SPREAD, _NO_SPREAD),
        )


def _known(value, unknown):
    return None if value == unknown else value
