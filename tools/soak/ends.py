"""What the gateway is wired to: the BMS at the end of a fake port, and a CAN controller that shows what it sends. MicroPython."""

import errno
import random
from array import array

from tools.soak.clock import Stream
from tools.soak.plant import sealed

# What a bad line does to a reply, in the order in which it happens: what is in it first, what stands before it last. A dict of
# MicroPython has no order, and what is spoilt after it was doubled leaves one good reply that nobody knows of.
LINE = ("implausible", "crc", "lost", "short", "nack", "double", "text", "noise")
_REPLY_MS = 12  # request to reply, as measured at a real BMS (tinybms_uart facts 6)
_SETTINGS = {
    300: 3600, 301: 2900, 303: 3400, 304: 2000, 305: 200, 306: 28000, 307: 16, 308: 15, 310: 5, 312: 1000, 314: 1, 315: 3750,
    316: 2700, 317: 150, 318: 100, 319: 60, 320: 0, 321: 90, 322: 6000, 323: 0xFFFF, 328: 0xFFFF, 330: 0x0301, 332: 5,
    333: 1, 335: 1, 338: 3, 343: 1, 500: 0x0102, 501: 0x0301, 502: 254, 503: 1048, 504: 7, 113: 6408,
}  # fmt: skip


def fit(registers):
    """May settings be so? (DESIGN 5; of the ranges only that of 300, as no fault touches another.)"""
    return registers[316] < registers[301] < registers[300] < registers[315] and 1200 <= registers[300] <= 4500


def frame(*parts):
    data = bytearray((0xAA,) + parts + (0, 0))
    return sealed(data)


class BmsPort(Stream):
    """The line and the BMS behind it. `rates` {fault: probability a reply}; `silent_until`, `gone_until`: simulated ms.

    `asks()` gives the request with which the gateway reads its settings: what others read there tells it nothing.
    """

    def __init__(self, waits, pack, ledger, asks):
        self.waits = waits
        self.pack = pack
        self.ledger = ledger
        self.asks = asks
        self.registers = dict(_SETTINGS)
        self.events = []
        self.rates = {}
        self.silent_until = self.gone_until = 0
        self.sleeping = 0  # requests that are not answered
        self.fast_asked = self.writes = self.requests = self.breaks = 0
        self._refused = None  # a reply whose settings cannot be, on its way
        self._out = []
        self._broken = False

    def log_event(self, code):
        stamp = self.waits.now // 1000 & 0xFFFFFF
        self.events.append((stamp, code))
        del self.events[:-40]

    def hang_up(self, until):
        """The adapter is pulled until then."""
        self.gone_until = until
        self.breaks += 1
        self._broken = True
        self.cut()
        self.wake_reader()

    def cut(self):
        """What is on its way does not arrive."""
        self.ledger.ended()
        self._out.clear()

    # -- as a port -----------------------------------------------------------------------------------------------------

    async def open(self):
        if self.waits.now < self.gone_until:
            raise OSError(errno.ECONNREFUSED)
        self._broken = False
        self.cut()

    def close(self):
        pass

    def readable(self):
        return self._broken or bool(self._out)

    async def readinto(self, buf):
        while not self.readable():
            yield self.waits.queue_read(self)
        if self._broken:
            return 0
        data = self._out.pop(0)
        if data is self._refused:
            self._refused = None
            self.ledger.refused = True
        if len(data) > len(buf):
            self._out.insert(0, data[len(buf) :])
            data = data[: len(buf)]
        buf[: len(data)] = data
        return len(data)

    def write(self, tx):
        if self._broken:
            raise OSError(errno.ECONNRESET)
        now = self.waits.now
        self.requests += 1
        fast = tx[1] == 3 and not tx[2] and not tx[3] and tx[5] == 56
        self.pack.step(now)
        self.fast_asked += fast
        if now < self.silent_until:
            return
        if self.sleeping:
            self.sleeping -= 1
            return
        answer = self.pack.reply if fast else self._answer(tx)
        good = True
        if self.rates:
            answer, good = self._spoil(answer, fast)
        if answer:
            ledger = self.ledger
            if good and fast:
                ledger.reply(self.pack.told)
            elif good and tx is self.asks():
                ledger.settings_fit = fit(self.registers)
                if not ledger.settings_fit and not ledger.doubtful():
                    self._refused = answer
            self._out.append(answer)
            self.wake_reader(now + _REPLY_MS)

    def _spoil(self, answer, fast):
        """(what is sent, does it count) by the rates."""
        answer, good, code = bytearray(answer), True, answer[1]
        self.ledger.spoilt_at = self.waits.now
        for name in LINE:
            if random.random() >= self.rates.get(name, 0):
                continue
            if name == "crc":
                answer[random.randrange(len(answer))] ^= 1 << random.randrange(8)
                good = False
            elif name == "lost":
                return None, False
            elif name == "short":
                answer, good = answer[: random.randrange(len(answer))], False
            elif name == "nack":
                return frame(0, code, random.choice((0, 1, 2))), False
            elif name == "double":
                answer = answer + answer
            elif name == "text":
                answer = bytearray(b"%d|1234|53.2V\r\n" % self.waits.now) + answer
            elif name == "noise":
                answer = bytearray(random.getrandbits(8) for _ in range(random.randrange(1, 20))) + answer
            elif name == "implausible" and fast:  # each far from what can be
                at = 3 + 2 * random.choice((0, 5, 37, 41, 50, 53))
                answer[at] ^= 0x41
                sealed(answer)
                good = False
        return answer, good

    def _answer(self, tx):
        code = tx[1]
        get = self.registers.get
        if code == 3:
            at = tx[2] << 8 | tx[3]
            words = [get(at + n, 0) for n in range(tx[5])]
            return frame(3, 2 * tx[5], *[byte for word in words for byte in (word >> 8, word & 0xFF)])
        if code == 0x10:
            self.writes += 1
            self.registers[tx[2] << 8 | tx[3]] = tx[7] << 8 | tx[8]
            return frame(*tx[1:6])
        if code == 0x12:
            base = self.waits.now // 1000 & 0xFFFFFF
            body = [base & 0xFF, base >> 8 & 0xFF, base >> 16, 0]
            for stamp, event in self.events:
                body += (stamp & 0xFF, stamp >> 8 & 0xFF, stamp >> 16, event)
            return frame(0x12, len(body), *body)
        if code == 0x1D:
            return frame(0x1D, 2 * tx[4], *(b"\xff\x7f" if tx[2] == 2 else b"\0\0") * tx[4])  # highest, or lowest
        if code == 2:
            return frame(1, 2)
        return frame(0, code, 0)


class CanDriver:
    """Takes frames and tells `watch(can_id, data)` of each that gets out. `state` as of the real drivers."""

    def __init__(self, waits, watch):
        self.waits = waits
        self.watch = watch
        self.state = "STOPPED"
        self.sent = self.received = self.errors = self.bus_offs = self.dropped = 0
        self.last_error = ""
        self.on_receive = None
        self.gx = True
        self.fault = ""  # "NO_ACK" or "BUS_OFF"
        self._alive = array("B", b"\0" * 8)

    async def start(self):
        self.state = self.fault or "RUNNING"

    def stop(self):
        self.state = "STOPPED"

    def fail(self, fault):
        """`fault`: NO_ACK, BUS_OFF, or "" when it is over."""
        self.fault = fault
        self.errors += 1
        self.bus_offs += fault == "BUS_OFF"
        if self.state != "STOPPED":
            self.state = fault or "RUNNING"

    def poll(self):
        pass

    def send(self, can_id, data):
        if self.state != "RUNNING":
            self.dropped += 1
            return False
        self.sent += 1
        self.watch(can_id, data)
        if can_id == 0x351 and self.gx and self.on_receive:
            self.received += 2
            self.on_receive(0x305, self._alive)
            self.on_receive(0x307, self._alive)
        return True
