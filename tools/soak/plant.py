"""The battery. Under MicroPython.

The pack is a simple one (16 LFP cells of 280 Ah, sun and a house): the soak test asks what the gateway makes of it, not how a
battery behaves. It is charged and discharged by what 0x351 allows, as a GX would.
"""

import random
import struct
from math import pi, sin

from firmware.bms.crc import crc16

CELLS = 16
CAPACITY_MAS = 280_000 * 3600
_MILLIOHM = 4
_FAST = 117
_GX_LOST_MS = 30_000
# LFP at rest: SoC in %, mV
_REST = (
    (0, 2700),
    (3, 2980),
    (10, 3190),
    (30, 3275),
    (60, 3302),
    (70, 3324),
    (95, 3342),
    (98, 3375),
    (99, 3430),
    (101, 3620),
)


def sealed(data):
    crc = crc16(data, 0, len(data) - 2)
    data[-2], data[-1] = crc & 0xFF, crc >> 8
    return data


class Pack:
    """Cells, sun, house. `step` once a poll; `reply` is the answer to "read registers 0-55"."""

    def __init__(self, now):
        self.now = now
        self.start = now
        self.mas = CAPACITY_MAS * 6 // 10  # charge in it
        self.ma = self.mv = 0
        self.status = 0x97
        self.fault = 0
        self.shift_c = 0  # of all temperatures
        self.high_cell_mv = 0  # that one cell stands above the others
        self.cvl, self.ccl, self.dcl, self.limits_at = 54_400, 0, 0, now - 60_000
        self.wh_in = self.wh_out = 0.0  # of which the gateway could know: between good polls at most 10 s apart
        self._mws_in = self._mws_out = 0  # since the last good reply, mW s (mW ms / 1000)
        self._at_good = now
        self._solved = 0
        self._wanted = 0
        self.reply = bytearray(_FAST)
        self.reply[:3] = b"\xaa\x03\x70"
        self._put(42, 215)
        self._put(43, 215)
        self._put(48, 235)
        self._put(53, CELLS)
        self._put(45, 49_500)

    def _put(self, register, value):
        at = 3 + 2 * register
        self.reply[at], self.reply[at + 1] = value >> 8 & 0xFF, value & 0xFF

    def _put32(self, register, value):
        self._put(register, value & 0xFFFF)
        self._put(register + 1, value >> 16)

    def _single(self, register, value):
        self._put32(register, struct.unpack("<I", struct.pack("<f", value))[0])

    def _rest_mv(self):
        soc = self.mas * 100 / CAPACITY_MAS
        before = _REST[0]
        for point in _REST:
            if soc < point[0]:
                (s0, v0), (s1, v1) = before, point
                return v0 + (v1 - v0) * (soc - s0) / (s1 - s0)
            before = point
        return 3620

    def step(self, now):
        """Go on to `now` (ms) with the current that was, then agree on a new one."""
        ms = now - self.now
        self.now = now
        energy = self.mv * self.ma // 1000 * ms // 1000
        if energy > 0:
            self._mws_in += energy
        else:
            self._mws_out -= energy
        self.mas += self.ma * min(ms, 60_000) // 1000
        self.mas = min(max(self.mas, 0), CAPACITY_MAS)
        if now - self._solved >= 10_000:
            self._solved = now
            hour = (now - self.start) / 3_600_000 % 24
            sun = 75 * sin(pi * (hour - 6.5) / 14) ** 2 * random.uniform(0.3, 1) if 6.5 < hour < 20.5 else 0
            self._wanted = int(1000 * (sun - random.choice((4, 6, 6, 10, 25)) - (15 if 18 < hour < 23 else 0)))
            self._rest = int(CELLS * self._rest_mv())
            self._cells()
        ma = self._wanted
        if now - self.limits_at > _GX_LOST_MS:
            ma = 0
        elif ma > 0:
            held = (self.cvl + 400 - self._rest) * 1000 // _MILLIOHM
            ma = max(0, min(ma, self.ccl, held))
        else:
            ma = max(ma, -self.dcl)
        if self.fault:
            ma = 0
        if ma != self.ma:
            self.ma = ma
            self._single(38, ma / 1000)
            self._cells()
        self._put(50, 0x9B if self.fault else 0x91 if ma > 500 else 0x93 if ma < -500 else 0x97)
        self._put32(46, self.mas * 100 // (CAPACITY_MAS // 1_000_000))
        self._put32(32, (now - self.start) // 1000)
        sealed(self.reply)

    def _cells(self):
        mv = (self._rest + self.ma * _MILLIOHM // 1000) // CELLS
        low, high, total = 9999, 0, 0
        for n in range(CELLS):
            cell = mv + (n * 7 & 7) - 4 + (self.high_cell_mv if n == 6 else 0)
            self._put(n, cell * 10)
            total += cell
            low, high = min(low, cell), max(high, cell)
        self._put(40, low)
        self._put(41, high)
        self._put(42, 215 + self.shift_c * 10 & 0xFFFF)
        self._put(43, 213 + self.shift_c * 10 & 0xFFFF)
        self._single(36, total / 1000)
        self.mv = total

    def gap(self):
        """The gateway forgets where it was: the next good reply only begins to count."""
        self._at_good = self.now - 60_000

    def told(self):
        """A good reply reached the gateway: what flowed since the one before counts, if it is no more than 10 s ago."""
        if self.now - self._at_good <= 10_000:
            self.wh_in += self._mws_in / 3_600_000
            self.wh_out += self._mws_out / 3_600_000
        self._mws_in = self._mws_out = 0
        self._at_good = self.now
