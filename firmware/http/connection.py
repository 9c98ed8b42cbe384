"""One TCP connection of a browser: buffered reading, collected writing, and the times after which it is given up.

Nothing here waits for ever: `deadline` and `end` are ticks, and the server cancels the task of a connection that has passed
its deadline. So no `wait_for` is needed, and a reader that is too slow costs one buffer for a few seconds.
"""

import errno
from asyncio import core
from micropython import const

_RECEIVE = const(512)  # bytes a read
_COLLECT = const(1024)  # small writes are sent together in pieces of this size
_POOL_MAX = const(2)
_WRITE_MS = const(5_000)  # one piece must leave in this time
_LINE_MAX = const(1024)


class TooLong(Exception):
    """A line of the request is longer than the server reads."""


class Connection:
    """`sock` does not block. Serves Microdot as both of its streams (`read`, `awrite`)."""

    def __init__(self, sock, peer, clock, pool):
        self.peer = peer  # address of the client without its port
        self.task = None
        self.unread = 0  # bytes of the body that were announced and not read
        self.heard = 0  # ticks of the last bytes received
        self.session = None  # a coroutine that takes over when the request is dealt with: a WebSocket
        self.beat = None  # its keep-alive: called by the server now and then
        self._pool = pool  # buffers that nobody uses now, shared by all connections
        self._buffer = None  # only while something is collected: an idle WebSocket holds none
        self._sock = sock
        self._clock = clock
        self._in = b""
        self._at = 0
        self._out = 0
        self.allow(0)

    def allow(self, ms, total_ms=0):
        """What happens next may last `ms`; all writing together at most `total_ms` (0: no such limit)."""
        now = self._clock.ticks_ms()
        self.heard = now
        self.deadline = self._clock.ticks_add(now, ms) if ms else None
        self._end = self._clock.ticks_add(now, total_ms) if total_ms else None

    def late(self, now):
        """True when it is time to give up."""
        return self.deadline is not None and self._clock.ticks_diff(now, self.deadline) > 0

    # -- reading -----------------------------------------------------------------------------------------------------

    async def receive(self):
        """Some more bytes behind those not yet read; False at the end of the stream."""
        if self._at >= len(self._in):
            self._in = b""  # holds no memory while it waits
            self._at = 0
        while True:
            yield core._io_queue.queue_read(self._sock)  # always yields: a flood of bytes must not hold the loop
            data = self._sock.read(_RECEIVE)  # None: woken for nothing
            if data is not None:
                break
        if not data:
            return False
        self._in = self._in[self._at :] + data if self._in else data
        self._at = 0
        self.heard = self._clock.ticks_ms()
        return True

    async def line(self):
        """The next line without its end, None at the end of the stream. Raises TooLong."""
        while True:
            end = self._in.find(b"\n", self._at)
            if end - self._at > _LINE_MAX or (end < 0 and len(self._in) - self._at > _LINE_MAX):
                raise TooLong
            if end >= 0:
                line = self._in[self._at : end]
                self._at = end + 1
                return line[:-1] if line.endswith(b"\r") else line
            if not await self.receive():
                return None

    async def read(self, count=_RECEIVE):
        """Up to `count` bytes of the body, never more than was announced; fewer only at its end."""
        count = min(count, self.unread)
        data = b""
        while len(data) < count:
            if self._at >= len(self._in) and not await self.receive():
                break
            piece = self._in[self._at : self._at + count - len(data)]
            self._at += len(piece)
            data = data + piece if data else piece
        self.unread -= len(data)
        return data

    def peek(self, count):
        """The next `count` bytes, None while they are not all there."""
        end = self._at + count
        return self._in[self._at : end] if end <= len(self._in) else None

    def skip(self, count):
        """Go past bytes that were looked at."""
        self._at += count

    # -- writing -----------------------------------------------------------------------------------------------------

    async def awrite(self, data):
        """Send `data` soon: small pieces are collected until `flush`."""
        size = len(data)
        if self._out + size > _COLLECT:
            await self.flush()
        if size >= _COLLECT:
            await self._send(memoryview(data))
        elif size:
            if self._buffer is None:
                self._buffer = self._pool.pop() if self._pool else bytearray(_COLLECT)
            self._buffer[self._out : self._out + size] = data
            self._out += size

    async def flush(self):
        size, self._out = self._out, 0
        if size:
            buffer, self._buffer = self._buffer, None
            await self._send(memoryview(buffer)[:size])
            if len(self._pool) < _POOL_MAX:
                self._pool.append(buffer)

    async def _send(self, data):
        clock = self._clock
        now = clock.ticks_ms()
        if self._end is not None and clock.ticks_diff(now, self._end) > 0:
            raise OSError(errno.ETIMEDOUT)
        before, self.deadline = self.deadline, clock.ticks_add(now, _WRITE_MS)
        sent = 0
        while sent < len(data):
            yield core._io_queue.queue_write(self._sock)
            sent += self._sock.write(data[sent:]) or 0
        self.deadline = before

    async def linger(self, count):
        """Read and forget up to `count` bytes, so that closing does not tear our answer out of the network."""
        count -= len(self._in) - self._at
        self._at = len(self._in)
        while count > 0 and await self.receive():
            count -= len(self._in)
            self._at = len(self._in)

    def close(self):
        self._sock.close()
