"""What the targets share: hex for the answer, a case in pieces, a request of which it is the body."""

from binascii import hexlify


def in_hex(data):
    return hexlify(data).decode()


def chunks(data, size):
    for at in range(0, len(data), size):
        yield data[at : at + size]


def stream_of(clock, data, size):
    """A Connection whose socket gives `data` in pieces and takes everything. `.said` is what was sent."""
    from firmware.http.connection import Connection

    class Stream(Connection):
        said = b""

        async def receive(self):
            self._in = self._in[self._at :] + self.rest[:size]
            self._at = 0
            there = bool(self.rest)
            self.rest = self.rest[size:]
            return there

        async def _send(self, data):
            self.said += bytes(data)

    stream = Stream(None, "10.0.0.9", clock, [])
    stream.rest = data
    return stream


class Request:
    def __init__(self, body, headers):
        from tests.unit.help import FakeClock

        self.headers = headers
        self.content_length = len(body)
        self.stream = stream_of(FakeClock(), body, 512)
        self.stream.unread = len(body)
