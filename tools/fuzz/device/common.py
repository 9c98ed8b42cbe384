"""What the targets share: hex for the answer, a case in pieces, a request of which it is the body."""

import io
from binascii import hexlify

_POLL = 3  # request of `ioctl`


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
