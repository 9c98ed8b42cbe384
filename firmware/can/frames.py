"""The Victron CAN-bms frames (victron_can facts 3 and 4): viper encoders that write the live snapshot into one buffer.

`buffer` holds 19 frames of 8 bytes in the order of IDS. All fields are little-endian 16-bit
words, which is why the encoders write through `ptr16`.

Viper and negative numbers: an int loaded through `ptr32` has no sign on a 64-bit host. Here a value that may be negative first
gets a bias and is then cut to 30 bits, `(value + bias) & 0x3FFFFFFF`: that gives the same positive number on both widths.
The encoders run as plain bytecode too, on arrays in place of the pointers (tests and benchmark do that).
"""

from array import array
from micropython import const
from firmware.lazy import seldom

# The place of a frame in IDS is its place in the buffer and its bit in the masks that the encoders give
COUNT = const(19)
LIMITS = const(0)  # 0x351
MANUFACTURER = const(4)  # 0x35E
NAME = const(6)  # 0x370, 0x371
SERIAL = const(16)  # 0x380, 0x381
FAMILY = const(18)  # 0x382

IDS = array("H", (
    0x351, 0x355, 0x356, 0x35A, 0x35E, 0x35F, 0x370, 0x371, 0x372, 0x373, 0x374, 0x375, 0x376, 0x377, 0x378, 0x379, 0x380, 0x381,
    0x382,
))  # fmt: skip

CORE_MASK = const(0x0000F)  # 0x351, 0x355, 0x356, 0x35A
ALL_MASK = const(0x7FFFF)
OLD_MASK = const(0xFE06)  # not while the data is old: 0x355, 0x356, 0x373-0x379

# What the encoders take besides the snapshot: `work`, array('i'), none negative
CVL = const(0)  # mV
CCL = const(1)  # mA
DCL = const(2)  # mA
ALARM_BITS = const(3)  # bit n = item n of 0x35A is active (alarms.py)
WARNING_BITS = const(4)
GOOD = const(5)  # 1 while the data is good
WORK = const(6)

# The fields of live.py; viper wants them as constants of its own module (a test compares them)
_VOLTAGE = const(0)
_CURRENT = const(1)
_SOC = const(2)
_SOH = const(3)
_TEMP_INT = const(4)
_TEMP_EXT1 = const(5)
_TEMP_EXT2 = const(6)
_CELL_MIN = const(8)
_CELL_MAX = const(9)
_CELL_MIN_AT = const(10)
_CELL_MAX_AT = const(11)
_SET_EMPTY = const(34)
_SET_CAPACITY = const(38)
_SET_CELLS = const(39)
_HARDWARE = const(48)
_FIRMWARE = const(50)
_ENERGY_IN = const(77)
_ENERGY_OUT = const(78)
_ABSENT = const(0x3FFFFFFF)

_M = const(0x3FFFFFFF)
_BIAS_MA = const(100_000_000)  # makes a current positive; a multiple of 100
_BIAS_T = const(10_000)  # makes a temperature positive, 0.1 C
_MODEL = const(516)  # 0x35F model: the s516 in the BMS's name; no product of another maker
_MAJOR = const(2)  # firmware "2.3.nnn"

# 0x35A: two bits an item. Items that a TinyBMS cannot know stay 0 ("not supported"): it has no short circuit detection, and a
# contactor is either in error (alarm) or not. The reserved pairs are 0 as well.
_KNOWN_ALARMS = const(0x1BFF)  # all but 10 short circuit
_KNOWN_WARNINGS = const(0x19FF)  # all but 9 contactor, 10 short circuit


@micropython.viper
def core(data: ptr32, work: ptr32, out: ptr16) -> int:
    """Encode 0x351, 0x355, 0x356, 0x35A; gives the mask of the frames whose values are all known."""
    known = 9  # 0x351 and 0x35A
    # 0x351: everything rounded down; 16 cells x 3500 mV and 750 A are far below 16 bits
    out[0] = (work[CVL] & _M) // 100
    out[1] = (work[CCL] & _M) // 100
    out[2] = (work[DCL] & _M) // 100
    out[3] = (data[_SET_CELLS] & 31) * (data[_SET_EMPTY] & 0xFFFF) // 100

    # 0x355: SoC %, SoH % (100 while unknown), SoC 0.01 %
    soc = data[_SOC] & _M
    soh = data[_SOH] & _M
    if soc != _ABSENT:
        known |= 2
        soc = soc if soc < 10000 else 10000
        out[4] = soc // 100
        out[5] = 100 if soh == _ABSENT else soh // 100
        out[6] = soc
        out[7] = 0

    # 0x356: 10 mV and 0.1 A to the nearest, 0.1 C. Without any temperature it is not sent: 0 C would be a lie
    one = data[_TEMP_EXT1]
    two = data[_TEMP_EXT2]
    if one == _ABSENT:
        one = two
    if two == _ABSENT:
        two = one
    if one == _ABSENT:
        one = data[_TEMP_INT]
        two = one
    if one != _ABSENT and data[_VOLTAGE] != _ABSENT and data[_CURRENT] != _ABSENT:
        known |= 4
        out[8] = ((data[_VOLTAGE] & _M) + 5) // 10
        out[9] = ((data[_CURRENT] + _BIAS_MA + 50) & _M) // 100 - _BIAS_MA // 100
        out[10] = ((one + two + 2 * _BIAS_T) & _M) // 2 - _BIAS_T
        out[11] = 0

    # 0x35A: 1 active, 2 OK, 0 not supported
    half = 0
    while half < 2:
        active = work[ALARM_BITS + half]
        items = _KNOWN_WARNINGS if half else _KNOWN_ALARMS
        low = 0
        high = 0
        shift = 0
        while shift < 16:
            if items & 1:
                low |= (2 - (active & 1)) << shift
            if items & 256:
                high |= (2 - ((active >> 8) & 1)) << shift
            items >>= 1
            active >>= 1
            shift += 2
        out[12 + 2 * half] = low
        out[13 + 2 * half] = high
        half += 1
    if work[GOOD] & 1:
        out[15] = high | 0x0800  # system status, byte 7 bits 2-3: 2 while the data is good
    return known


@micropython.viper
def slow(data: ptr32, work: ptr32, out: ptr16) -> int:
    """Encode 0x35F, 0x372-0x379; gives the mask of the frames whose values are all known."""
    known = 0x8100  # 0x372, 0x379
    # 0x35F: model, firmware MSB first as two decimal numbers (2.3.242 -> 02 F2 -> "2.242"; the second stays at 255 from there
    # on), capacity Ah, register 500. Not sent before the version was read
    firmware = data[_FIRMWARE] & _M
    if firmware != _ABSENT:
        known |= 0x0020
    capacity = ((data[_SET_CAPACITY] & _M) + 500) // 1000
    out[20] = _MODEL
    out[21] = (firmware if firmware < 255 else 255) << 8 | _MAJOR
    out[22] = capacity
    out[23] = 0 if data[_HARDWARE] == _ABSENT else data[_HARDWARE]
    out[60] = capacity  # 0x379
    out[61] = 0
    out[62] = 0
    out[63] = 0

    # 0x372: one module: online, blocking charge, blocking discharge, offline
    good = work[GOOD] & 1
    out[32] = good
    out[33] = 1 if (work[CCL] & _M) < 100 else 0
    out[34] = 1 if (work[DCL] & _M) < 100 else 0
    out[35] = 1 - good

    # 0x373 cells, 0x374/0x375 their numbers: "C05"
    cells = 0
    if data[_CELL_MIN] != _ABSENT and data[_CELL_MAX] != _ABSENT:
        cells = 1
        known |= 0x0C00
        out[36] = data[_CELL_MIN]
        out[37] = data[_CELL_MAX]
        number = data[_CELL_MIN_AT] & 31
        at = 40
        while at < 48:
            out[at] = (48 + number // 10) << 8 | 67
            out[at + 1] = 48 + number % 10
            out[at + 2] = 0
            out[at + 3] = 0
            number = data[_CELL_MAX_AT] & 31
            at += 4

    # 0x373 kelvin, 0x376/0x377 the sensors: coldest and hottest external one ("EXT1"), without any the internal one ("INT")
    one = data[_TEMP_EXT1]
    two = data[_TEMP_EXT2]
    cold = 1
    hot = 2
    if one == _ABSENT:
        one = two
        cold = 2
    if two == _ABSENT:
        two = one
        hot = 1
    if one == _ABSENT:
        one = data[_TEMP_INT]
        two = one
        cold = 0
        hot = 0
    if one != _ABSENT:
        known |= 0x3000
        low = (one + _BIAS_T) & _M
        high = (two + _BIAS_T) & _M
        if low > high:
            number = low
            low = high
            high = number
            number = cold
            cold = hot
            hot = number
        if cells:
            known |= 0x0200
            # round(C + 273.15); the bias of 1000 C comes off again
            out[38] = (10 * low + 27365) // 100 - 1000
            out[39] = (10 * high + 27365) // 100 - 1000
        at = 48
        while at < 56:
            out[at] = 0x5845 if cold else 0x4E49  # "EX", "IN"
            out[at + 1] = 0x3054 + (cold << 8) if cold else 0x0054  # "T1", "T"
            out[at + 2] = 0
            out[at + 3] = 0
            cold = hot
            at += 4

    # 0x378: Wh -> 100 Wh; not sent before something was counted
    if data[_ENERGY_IN] != _ABSENT and data[_ENERGY_OUT] != _ABSENT:
        known |= 0x4000
        energy = (data[_ENERGY_IN] & _M) // 100
        out[56] = energy
        out[57] = energy >> 16
        energy = (data[_ENERGY_OUT] & _M) // 100
        out[58] = energy
        out[59] = energy >> 16
    return known


class Frames:
    """The buffer of all frames and what the encoders take."""

    @seldom
    def __init__(self):
        self.buffer = bytearray(8 * COUNT)
        self.work = array("i", bytes(4 * WORK))
        self._one = bytearray(8)

    def frame(self, index):
        """Frame `index`: 8 bytes that are valid until the next call. For the schedule's tick only; nothing is allocated."""
        one, buffer = self._one, self.buffer
        at = 8 * index
        for i in range(8):
            one[i] = buffer[at + i]
        return one
