"""One SLCAN adapter: the commands of the Lawicel CANUSB manual ("CANUSB ASCII commands") on one connection."""

from __future__ import annotations

import asyncio
import re
import time
from collections import deque

OK, BELL = b"\r", b"\a"
BIT_RATES = (10_000, 20_000, 50_000, 100_000, 125_000, 250_000, 500_000, 800_000, 1_000_000)  # S0..S8
ACK_STYLES = {"z": (b"z\r", b"Z\r"), "cr": (OK, OK), "none": (b"", b"")}
# Status flags (command F)
TX_FULL, WARNING, PASSIVE, BUS_ERROR = 1 << 1, 1 << 2, 1 << 5, 1 << 7

_LINE_MAX = 64  # bytes; the longest command has 26
_BACKLOG_MAX = 128 * 1024  # bytes that a client may leave unread before it is dropped
_FRAME = re.compile(rb"(?:[tr][0-7][0-9A-F]{2}|[TR][01][0-9A-F]{7})[0-8](?:[0-9A-F]{2})*")


def frame_line(can_id, data=b"", extended=False, remote=False, dlc=None):
    """The SLCAN line of a frame, without its CR."""
    kind = "tTrR"[extended + 2 * remote]
    head = f"{kind}{can_id:0{8 if extended else 3}X}{len(data) if dlc is None else dlc}"
    return head.encode() + (b"" if remote else bytes(data).hex().upper().encode())


def frame_id(line):
    return int(line[1:9] if line[:1] in b"TR" else line[1:4], 16)


def parse_frame(line):
    """The line of a frame in upper case, or None when it is no valid frame (identifier, DLC or length)."""
    line = line[:1] + line[1:].upper()
    if not _FRAME.fullmatch(line):
        return None
    extended = line[:1] in b"TR"
    head = 10 if extended else 5
    size = 0 if line[:1] in b"rR" else 2 * int(line[head - 1 : head])
    return line if len(line) == head + size else None


class Adapter(asyncio.Protocol):
    """A connection: an adapter with a channel of its own. `hub` is the bus."""

    def __init__(self, hub):
        self.hub = hub
        self.number = 0
        self.ids = set()  # identifiers that it has sent
        self.pending = deque()  # frames that nobody has acknowledged
        self.sent = self.received = self.refused = 0
        self._line = bytearray()
        self._close()
        self._bit_rate = None
        self._stamps = False

    @property
    def bit_rate(self):
        return self._bit_rate if self.open else None

    def _close(self):
        self.open = self.listen = False
        self.pending.clear()

    # -- connection

    def connection_made(self, transport):
        self.transport = transport
        self.address = ":".join(map(str, transport.get_extra_info("peername")[:2]))
        self.hub.join(self)

    def connection_lost(self, error):
        self._close()
        self.hub.leave(self)

    def data_received(self, data):
        self._line += data
        *lines, rest = bytes(self._line).split(b"\r")
        self._line[:] = rest
        for line in lines:
            self.answer(self.command(line.strip(b"\n")))
        if len(rest) > _LINE_MAX:
            self._line.clear()
            self.answer(BELL)

    def answer(self, data):
        if data and not self.hub.fault("mute", self):
            if data == BELL:
                self.refused += 1
            self.write(data)

    def write(self, data):
        """Send to the client; one that does not read is dropped, so that it costs the others nothing."""
        if self.transport.is_closing():
            return
        self.transport.write(data)
        if self.transport.get_write_buffer_size() > _BACKLOG_MAX:
            self.hub.dropped_clients += 1
            self.transport.abort()

    def deliver(self, line):
        """A frame from the bus."""
        if not self.open or self.hub.faults_hit("bus_off", self):
            return
        self.received += 1
        if self._stamps:
            line += b"%04X" % (time.monotonic_ns() // 1_000_000 % 60_000)
        if self.hub.fault("partial", self):
            line = line[: len(line) // 2]
        else:
            line += b"\r"
        self.write(line)

    # -- commands

    def command(self, line):
        """The answer to one command."""
        if not line:
            return OK
        kind, rest = line[:1], line[1:]
        if kind in b"tTrR":
            return self._transmit(line)
        if kind in b"OL":
            return self._open(kind == b"L") if not rest else BELL
        if kind == b"C":
            return self._closed() if not rest else BELL
        if kind == b"F":
            return b"F%02X\r" % self._flags() if self.open else BELL
        if kind == b"V":
            return b"V1013\r"
        if kind == b"N":
            return b"NV%03d\r" % (self.number % 1000)
        return OK if not self.open and self._set(kind, rest) else BELL

    def _set(self, kind, rest):
        """The settings, which a closed channel takes; True when this is a good one."""
        if kind == b"S" and len(rest) == 1 and rest in b"012345678":
            self._bit_rate = BIT_RATES[int(rest)]
            return True
        if kind == b"s" and re.fullmatch(rb"[0-9A-Fa-f]{4}", rest):
            self._bit_rate = "s" + rest.decode().upper()
            return True
        if kind == b"Z" and rest in (b"0", b"1"):
            self._stamps = rest == b"1"
            return True
        # automatic polling, filter mode, filters, tty speed: taken, without effect
        return kind in b"XWMmUQ" and bool(rest)

    def _open(self, listen):
        if self.open or self._bit_rate is None:
            return BELL
        self.open, self.listen = True, listen
        self.hub.opened(self)
        asyncio.get_running_loop().call_soon(self.hub.retry)  # after the answer
        return OK

    def _closed(self):
        if not self.open:
            return BELL
        self._close()
        return OK

    def _flags(self):
        if self.hub.faults_hit("bus_off", self):
            return WARNING | PASSIVE | BUS_ERROR
        if not self.pending:
            return 0
        full = TX_FULL if len(self.pending) >= self.hub.fifo else 0
        return full | WARNING | PASSIVE | BUS_ERROR

    def _transmit(self, line):
        frame = parse_frame(line)
        if frame is None or not self.open or self.listen:
            return BELL
        if not self.hub.transmit(self, frame):
            return BELL
        return ACK_STYLES[self.hub.ack][frame[:1] in b"TR"]

    def state(self):
        return {
            "client": self.number, "address": self.address, "open": self.open,
            "listen": self.listen, "bit_rate": self.bit_rate, "sent": self.sent, "received": self.received,
            "refused": self.refused, "pending": len(self.pending), "ids": [f"0x{i:X}" for i in sorted(self.ids)],
        }  # fmt: skip
