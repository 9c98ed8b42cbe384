"""A TinyBMS of registers behind a fake port, for the unit tests of firmware/bms."""

import asyncio
import time

from firmware.bms.requests import request

# The register dump of a real 14-cell unit (firmware 2.3.242) that this project did not make: clarkni5/tinybms,
# arduino/modbus_master_hw_serial/output.txt at 812beb1.
DUMP = {
    0: 0, 1: 0, 2: 39800, 3: 39810, 4: 39820, 5: 39830, 6: 39830, 7: 39840, 8: 39890, 9: 39900, 10: 39830, 11: 39830,
    12: 39830, 13: 39840, 14: 39880, 15: 39880, 32: 37837, 33: 254, 34: 30980, 35: 637, 36: 7864, 37: 16991, 38: 0,
    39: 0, 40: 3980, 41: 3990, 42: 32768, 43: 32768, 46: 61960, 47: 1274, 48: 97, 50: 151, 51: 0, 52: 0, 53: 14,
    102: 510, 103: 0, 104: 100, 113: 6408, 114: 768, 116: 35389, 117: 190, 300: 4150, 301: 3000, 303: 3200, 304: 1000,
    306: 6600, 307: 14, 308: 15, 315: 4200, 316: 2900, 317: 60, 318: 20, 319: 60, 320: 1, 328: 65535, 500: 258,
    501: 769, 502: 242, 503: 1048,
}  # fmt: skip
DUMP_EVENTS = ((4646, 0x65), (12144171, 0x64), (12144172, 0x62), (12144194, 0x65))  # registers 200-207


class RealClock:
    """Ticks of the machine, wrapping at 2^30 and starting 20 s before it."""

    def __init__(self):
        self._zero = time.ticks_ms()

    def ticks_ms(self):
        return (time.ticks_diff(time.ticks_ms(), self._zero) + (1 << 30) - 20_000) % (1 << 30)

    def ticks_diff(self, a, b):
        return ((a - b + (1 << 29)) % (1 << 30)) - (1 << 29)

    def ticks_add(self, t, ms):
        return (t + ms) % (1 << 30)


def entry(stamp, code):
    return bytes((stamp & 0xFF, stamp >> 8 & 0xFF, stamp >> 16 & 0xFF, code))


class FakeBms:
    """A port with a battery at its end. `hook(request) -> list of byte strings` may replace the answer; `sleep` n means
    that the next n requests are not answered; `sent` keeps all requests."""

    def __init__(self, registers=DUMP):
        self.registers = dict(registers)
        self.events = [entry(*e) for e in DUMP_EVENTS]
        self.base = 12_144_500
        self.hook = None
        self.sleep = 0
        self.sent = []
        self.opened = 0
        self.broken = False
        self.refuse_open = 0
        self._pending = []
        self._ready = asyncio.Event()

    # --- port ---

    async def open(self):
        if self.refuse_open:
            self.refuse_open -= 1
            raise OSError(111)
        self.opened += 1
        self.broken = False
        self._pending.clear()

    def write(self, buf):
        if self.broken:
            raise OSError(32)
        tx = bytes(buf)
        self.sent.append(tx)
        if self.sleep:
            self.sleep -= 1
            return
        answer = self.hook(tx) if self.hook else None
        for part in [self.answer(tx)] if answer is None else answer:
            self.push(part)

    def push(self, data):
        if data:
            self._pending.append(data)
            self._ready.set()

    def hang_up(self):
        self.broken = True
        self._ready.set()

    async def readinto(self, buf):
        while not self._pending:
            if self.broken:
                return 0
            self._ready.clear()
            await self._ready.wait()
        data = self._pending.pop(0)
        if len(data) > len(buf):
            self._pending.insert(0, data[len(buf) :])
            data = data[: len(buf)]
        buf[: len(data)] = data
        return len(data)

    def close(self):
        pass

    # --- battery ---

    def answer(self, tx):
        code = tx[1]
        get = self.registers.get
        if code == 3:
            at, count = tx[2] << 8 | tx[3], tx[5]
            words = [get(at + n, 0) for n in range(count)]
            return bytes(request(3, 2 * count, *[b for w in words for b in (w >> 8, w & 0xFF)]))
        if code == 0x10:
            self.registers[tx[2] << 8 | tx[3]] = tx[7] << 8 | tx[8]
            return bytes(request(*tx[1:6]))
        if code == 0x0D:
            self.registers[tx[4] << 8 | tx[3]] = tx[6] << 8 | tx[5]
            return bytes(request(1, 0x0D))
        if code == 0x12:
            base = [self.base >> n & 0xFF for n in (0, 8, 16, 24)]
            return bytes(request(0x12, 4 + 4 * len(self.events), *base, *[b for e in self.events for b in e]))
        if code == 0x1D:
            words = [tx[2] * 1000 + n for n in range(tx[4])]
            return bytes(request(0x1D, 2 * len(words), *[b for w in words for b in (w & 0xFF, w >> 8)]))
        if code == 2:
            return bytes(request(1, 2))
        return bytes(request(0, code, 0))


def nack(code, error=0):
    return bytes(request(0, code, error))


def fast_reply(registers):
    """The whole reply to "read registers 0-55"."""
    return FakeBms(registers).answer(bytes((0xAA, 3, 0, 0, 0, 56)))
