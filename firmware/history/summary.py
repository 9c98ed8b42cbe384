"""Mean, minimum and maximum over a minute or a quarter of an hour, in one small array; and the record that is kept of it.

A record has 32 bytes (`FORMAT`, little endian):

    i  time (on flash: Unix seconds, unsigned; while it waits in RAM: seconds since start)
    H  pack voltage: mean, minimum, maximum, in 2 mV
    h  current: mean, minimum, maximum, in 25 mA
    H  SoC: mean in 0.01 %       B  minimum, maximum in 0.5 %
    B  SoH in 0.5 %
    h  temperature: mean in 0.1 C     b  minimum, maximum in C
    H  lowest cell of the period in mV (13 bits), highest cell (13 bits); the three bits above them and
    B  hold the largest spread between cells in mV: bits 0-2, 3-5, 6-13
    H  CRC-32 of what is before it, its low half

What is unknown is the largest number of its field (of signed ones the smallest).
"""

import struct
from array import array
from micropython import const
from firmware import live as field
from firmware.lazy import seldom

FORMAT = "<iHHHhhhHBBBhbbHHBH"
SIZE = const(32)
AMPERE_STEP = const(25)  # mA
VOLT_STEP = const(2)  # mV
HALF_PERCENT = const(50)
NO_CELL = const(0x1FFF)

# Four groups of (count, sum, minimum, maximum), then single values
_VOLTAGE = const(0)
_CURRENT = const(4)
_SOC = const(8)
_TEMPERATURE = const(12)
_CELL_MIN = const(16)
_CELL_MAX = const(17)
_SPREAD = const(18)
_SOH = const(19)
_WORDS = const(20)

_ABSENT = const(0x3FFFFFFF)


class Summary:
    """Of the polls since `clear`. A quarter of an hour at ten polls a second leaves every sum below 2^30."""

    @seldom
    def __init__(self):
        self._a = array("i", bytes(4 * _WORDS))
        self._rest = 0  # mA that did not make a whole step
        self.clear()

    def clear(self):
        a = self._a
        for i in range(_WORDS):
            a[i] = 0
        for group in range(0, 16, 4):
            a[group + 2] = _ABSENT
            a[group + 3] = -_ABSENT
        a[_CELL_MIN] = _ABSENT
        a[_CELL_MAX] = a[_SPREAD] = -1
        a[_SOH] = _ABSENT

    def empty(self):
        return self._a[_VOLTAGE] == 0

    def add(self, live):
        """One poll. Allocates nothing."""
        data, a = live.data, self._a
        voltage, current = data[field.VOLTAGE], data[field.CURRENT]
        if voltage == _ABSENT or current == _ABSENT:
            return
        self._put(_VOLTAGE, voltage)
        whole = current + self._rest
        self._rest = whole % AMPERE_STEP
        self._put(_CURRENT, whole // AMPERE_STEP)
        if data[field.SOC] != _ABSENT:
            self._put(_SOC, data[field.SOC])
        temperature = live.temperature()
        if temperature is not None:
            self._put(_TEMPERATURE, temperature)
        a[_SOH] = data[field.SOH]
        low, high = data[field.CELL_MIN], data[field.CELL_MAX]
        if low != _ABSENT and high != _ABSENT:
            if low < a[_CELL_MIN]:
                a[_CELL_MIN] = low
            if high > a[_CELL_MAX]:
                a[_CELL_MAX] = high
            if high - low > a[_SPREAD]:
                a[_SPREAD] = high - low

    def _put(self, group, value):
        a = self._a
        a[group] += 1
        a[group + 1] += value
        if value < a[group + 2]:
            a[group + 2] = value
        if value > a[group + 3]:
            a[group + 3] = value

    def merge(self, other):
        """Add all that `other` has seen."""
        a, b = self._a, other._a
        for group in range(0, 16, 4):
            a[group] += b[group]
            a[group + 1] += b[group + 1]
            a[group + 2] = min(a[group + 2], b[group + 2])
            a[group + 3] = max(a[group + 3], b[group + 3])
        a[_CELL_MIN] = min(a[_CELL_MIN], b[_CELL_MIN])
        a[_CELL_MAX] = max(a[_CELL_MAX], b[_CELL_MAX])
        a[_SPREAD] = max(a[_SPREAD], b[_SPREAD])
        a[_SOH] = b[_SOH]

    def _part(self, group, i, step, most):
        """Mean (i 1), minimum (2) or maximum (3) of a group in `step`, for a field that holds up to `most`."""
        a = self._a
        count = a[group]
        signed = group & 4  # current and temperature
        if not count:
            return -most - 1 if signed else most + 1
        value = a[group + i]
        if i == 1:
            value = (value + count // 2) // count
        return max(-most if signed else 0, min(most, (value + step // 2) // step))

    def pack(self, buffer, at, time):
        """Write the record into `buffer`, without its CRC (see `seal`); `time` in seconds."""
        a = self._a
        cell_min, cell_max, spread = min(a[_CELL_MIN], NO_CELL), a[_CELL_MAX], a[_SPREAD]
        if cell_max < 0 or cell_max > NO_CELL:
            cell_max = NO_CELL
        if spread < 0 or spread > 0x3FFF:
            spread = 0x3FFF
        soh = a[_SOH]
        struct.pack_into(
            FORMAT, buffer, at, time,
            self._part(_VOLTAGE, 1, VOLT_STEP, 0xFFFE),
            self._part(_VOLTAGE, 2, VOLT_STEP, 0xFFFE),
            self._part(_VOLTAGE, 3, VOLT_STEP, 0xFFFE),
            self._part(_CURRENT, 1, 1, 32767),
            self._part(_CURRENT, 2, 1, 32767),
            self._part(_CURRENT, 3, 1, 32767),
            self._part(_SOC, 1, 1, 0xFFFE),
            self._part(_SOC, 2, HALF_PERCENT, 254),
            self._part(_SOC, 3, HALF_PERCENT, 254),
            255 if soh == _ABSENT else min(254, (soh + 25) // HALF_PERCENT),
            self._part(_TEMPERATURE, 1, 1, 32767),
            self._part(_TEMPERATURE, 2, 10, 127),
            self._part(_TEMPERATURE, 3, 10, 127),
            cell_min | (spread & 7) << 13,
            cell_max | (spread >> 3 & 7) << 13,
            spread >> 6,
            0,
        )  # fmt: skip
