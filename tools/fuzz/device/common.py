"""What the targets share: hex for the answer, a case in pieces, a request of which it is the body."""

import io
import time
from asyncio import core
from binascii import hexlify

_POLL = 3  # request of `ioctl`


def hasten():
    """From now on asyncio never waits: a stream is always ready (a look at one takes 1 ms), time jumps to what is due next."""
    queue, skipped = core._io_queue, 0

    def wait_io_event(ms):
        nonlocal skipped
        skipped += max(ms, 0)

    queue.queue_read = queue.queue_write = lambda stream: core._task_queue.push(core.cur_task)
    queue.wait_io_event = wait_io_event
    core.ticks = lambda: time.ticks_add(time.ticks_ms(), skipped)


def in_hex(data):
    return hexlify(data).decode()


def chunks(data, size):
    for at in range(0, len(data), size):
        yield data[at : at + size]


class _Client(io.IOBase):
    """A socket whose other end says `data` in pieces of `size`, and takes everything: `said`."""

    def __init__(self, data, size):
        self.rest, self.size, self.said = data, size, b""

    def ioctl(self, request, argument):
        return argument if request == _POLL else -1  # above all it has no file descriptor

    def read(self, count):
        count = min(count, self.size)
        piece, self.rest = self.rest[:count], self.rest[count:]
        return piece

    def readinto(self, buffer):
        piece = self.read(len(buffer))
        buffer[: len(piece)] = piece
        return len(piece)

    def write(self, data):
        self.said += bytes(data)
        return len(data)


def stream_of(clock, data, size):
    """A Connection with a `_Client`, which is its attribute `client`."""
    from firmware.http.connection import Connection

    client = _Client(data, size)
    stream = Connection(client, "10.0.0.9", clock, [])
    stream.client = client
    return stream


class Request:
    def __init__(self, body, headers):
        from tests.unit.help import FakeClock

        self.headers = headers
        self.content_length = len(body)
        self.stream = stream_of(FakeClock(), body, 512)
        self.stream.unread = len(body)
