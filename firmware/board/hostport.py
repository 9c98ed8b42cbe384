"""A TCP socket as a byte stream that never blocks; a serial device is in hosttty.py. Interface: `base.py`."""

import asyncio
import errno
from asyncio import core
from micropython import const

_PENDING_MAX = const(4096)  # bytes that wait for a slow other end; more, and it counts as broken


class Port:
    """What both kinds share. `_eof_reads`: so many empty reads of a readable stream mean that it has ended."""

    def __init__(self):
        self._stream = None
        self._pending = bytearray()

    def write(self, buf):
        if self._stream is None:
            raise OSError(errno.ENOTCONN)
        if self._pending:
            self._flush()
        sent = 0
        if not self._pending:
            sent = self._stream.write(buf) or 0  # None: would block
        if sent < len(buf):
            self._pending.extend(buf[sent:])
            if len(self._pending) > _PENDING_MAX:
                raise OSError(errno.ETIMEDOUT)

    def _flush(self):
        sent = self._stream.write(self._pending) or 0
        if sent:
            self._pending = self._pending[sent:]

    async def readinto(self, buf):
        if self._stream is None:
            raise OSError(errno.ENOTCONN)
        empty = 0
        while True:
            # Waits until the poller of asyncio finds the stream readable (what asyncio.Stream.readinto does inside)
            yield core._io_queue.queue_read(self._stream)
            if self._stream is None:
                raise OSError(errno.ENOTCONN)
            if self._pending:
                self._flush()
            count = self._stream.readinto(buf)
            if count is None:  # the wake-up was for nothing
                continue
            empty += 1
            if count or empty >= self._eof_reads:
                return count
            await asyncio.sleep_ms(5)

    def any_in(self, buf):
        if self._stream is None:
            raise OSError(errno.ENOTCONN)
        count = self._stream.readinto(buf)
        if count is None:
            return 0
        if count == 0 and self._eof_reads == 1:
            raise OSError(errno.ECONNRESET)
        return count

    def close(self):
        stream, self._stream = self._stream, None
        self._pending = bytearray()
        if stream is not None:
            stream.close()


class SocketPort(Port):
    """A TCP connection to HOST:PORT; the host is an address, since a name would block the loop."""

    _eof_reads = 1

    def __init__(self, host, port):
        super().__init__()
        self._address = (host, port)

    async def open(self):
        self.close()
        reader, _ = await asyncio.open_connection(*self._address)
        self._stream = reader.s
        self._stream.setsockopt(6, 1, 1)  # TCP_NODELAY: frames are small and must not wait for each other
