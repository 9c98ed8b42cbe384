"""One TCP connection of a browser: buffered reading, collected writing, and the times after which it is given up.

Nothing here waits for ever: `deadline` and `end` are ticks, and the server cancels the task of a connection that has passed
its deadline. So no `wait_for` is needed, and a reader that is too slow costs one buffer for a few seconds.
"""

import errno
from asyncio import core
from micropython import const

_RECEIVE = const(512)  # bytes of the body that are read at a time
_BUFFER = const(1024)  # heads are read into, and small writes collected in, buffers of this size
_POOL_MAX = const(2)
_WRITE_MS = const(5_000)  # one piece must leave in this time


class TooLong(Exception):
    """A line of the request is longer than the server reads."""


class Connection:
    """`sock` does not block. Serves Microdot as both of its streams (`read`, `awrite`)."""

    # Not in __init__: MicroPython makes the table of an object's attributes anew whenever one more does not fit
    task = None
    unread = 0  # bytes of the body that were announced and not read
    session = None  # a coroutine that takes over when the request is dealt with: a WebSocket
    beat = None  # its keep-alive: called by the server now and then
    buffer = None  # only while the head is read or something is collected: an idle connection holds none
    _in = b""
    _at = 0
    _out = 0

    def __init__(self, sock, peer, clock, pool, ms=0):
        """`ms`: as for `allow`."""
        self.peer = peer  # address of the client without its port
        self._pool = pool  # buffers that nobody uses now, shared by all connections
        self._sock = sock
        self._clock = clock
        self.allow(ms)

    def allow(self, ms, total_ms=0):
        """What happens next may last `ms`; all writing together at most `total_ms` (0: no such limit)."""
        now = self._clock.ticks_ms()
        self.heard = now  # ticks of the last bytes received
        self.deadline = self._clock.ticks_add(now, ms) if ms else None
        self._end = self._clock.ticks_add(now, total_ms) if total_ms else None

    def late(self, now):
        """True when it is time to give up."""
        return self.deadline is not None and self._clock.ticks_diff(now, self.deadline) > 0

    # -- reading -----------------------------------------------------------------------------------------------------

    async def more(self, start, end):
        """Read into `buffer`, behind its bytes `start` to `end`, which go to its front. Gives the number of bytes that are in it
        then, 0 at the end of the stream. Raises TooLong when it is full.

        At first it does not wait: the request has come with the connection as a rule. Later it always does, so that a flood of
        bytes does not hold the loop.
        """
        buffer = self.buffer
        count = end - start
        if count == _BUFFER:
            raise TooLong
        if buffer:
            buffer[:count] = buffer[start:end]
            yield core._io_queue.queue_read(self._sock)
        while True:
            buffer = self._taken()
            size = self._sock.readinto(memoryview(buffer)[count:])
            if size is not None:
                return size and count + size
            if not count:
                self._release()
            yield core._io_queue.queue_read(self._sock)

    def rest(self, start, end):
        """The head ends here: bytes `start` to `end` of the buffer belong to the body."""
        if start < end:
            self._in = bytes(self.buffer[start:end])
        self._release()

    def _taken(self):
        if not self.buffer:
            self.buffer = self._pool.pop() if self._pool else bytearray(_BUFFER)
        return self.buffer

    def _release(self):
        buffer, self.buffer = self.buffer, None
        if buffer and len(self._pool) < _POOL_MAX:
            self._pool.append(buffer)

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

    def put(self, data):
        """Collect `data`; False, and nothing done, where it does not fit."""
        end = self._out + len(data)
        if end > _BUFFER:
            return False
        self._taken()[self._out : end] = data
        self._out = end
        return True

    async def awrite(self, data):
        """Send `data` soon: small pieces are collected until `flush`."""
        if not self.put(data):
            await self.flush()
            if not self.put(data):
                await self._send(memoryview(data))

    async def flush(self):
        left = self.end()
        await (left or core.sleep_ms(0))  # others have their turn

    def end(self):
        """Send what was collected. Gives what is to be awaited where it does not leave at once, else None."""
        size, self._out = self._out, 0
        if size:
            data = memoryview(self.buffer)[:size]
            sent = self._sock.write(data) or 0
            if sent < size:
                return self._send(data, sent)
            self._release()
        return None

    async def _send(self, data, sent=0):
        """What is left of `data` behind the first `sent` bytes."""
        clock = self._clock
        now = clock.ticks_ms()
        if self._end is not None and clock.ticks_diff(now, self._end) > 0:
            raise OSError(errno.ETIMEDOUT)
        before, self.deadline = self.deadline, clock.ticks_add(now, _WRITE_MS)
        while sent < len(data):
            yield core._io_queue.queue_write(self._sock)
            sent += self._sock.write(data[sent:]) or 0
        self.deadline = before
        self._release()

    async def linger(self, count):
        """Read and forget up to `count` bytes, so that closing does not tear our answer out of the network."""
        count -= len(self._in) - self._at
        self._at = len(self._in)
        while count > 0 and await self.receive():
            count -= len(self._in)
            self._at = len(self._in)

    def close(self):
        self._release()
        self._sock.close()
