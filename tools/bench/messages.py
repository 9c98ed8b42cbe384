"""Runs under MicroPython (started by tools.bench): heap of a telemetry message and of HTTP requests, with sockets in memory.

Prints a JSON object a line: {"name", "garbage", "stays"}: bytes that one takes and that the collector gets back, and bytes
that are still held after it.
"""

import asyncio
import gc
import io
import json

from firmware import bus as topics
from firmware.history.history import History
from firmware.http import telemetry
from firmware.http.door import Door
from firmware.http.server import Server
from tests.unit.http_parts import Parts

_COUNT = 30
_SAMPLES = 40
_CELLS = 16
_REQUEST = "GET %s HTTP/1.1\r\nHost: 127.0.0.1\r\nAccept: */*\r\n\r\n"
_POLL = 3  # request of `ioctl`


class Sock(io.IOBase):
    """A client that has sent its request and takes the whole answer."""

    def __init__(self, request):
        self._request = request

    def ioctl(self, request, argument):
        return argument if request == _POLL else -1  # above all it has no file descriptor

    def setblocking(self, on):
        pass

    def readinto(self, buffer):
        size = min(len(buffer), len(self._request))
        buffer[:size] = self._request[:size]
        self._request = self._request[size:]
        return size

    def write(self, data):
        return len(data)

    def close(self):
        pass


async def measure(name, action):
    """Print what one `await action()` takes."""
    for _ in range(3):
        await action()
    gc.collect()
    before = gc.mem_alloc()
    gc.disable()
    for _ in range(_COUNT):
        await action()
    taken = gc.mem_alloc() - before
    gc.enable()
    gc.collect()
    stays = gc.mem_alloc() - before
    print(json.dumps({"name": name, "garbage": (taken - stays) / _COUNT, "stays": stays / _COUNT}))


async def main():
    parts = Parts()
    parts.poll([3300 + i for i in range(_CELLS)])
    parts.history = History(parts.live, parts.bus, parts.board, parts.config, parts.log, parts.board.data_dir)
    for _ in range(_SAMPLES):
        parts.board.advance(1000)
        parts.live.good_poll()
        parts.bus.publish(topics.POLL)
    server = Server(parts, Door(parts))

    async def message():
        telemetry.frame(parts.live, parts.board)

    await measure("a telemetry message (16 cells)", message)
    for path in ("/api/status", "/api/history", "/api/can/nothing"):
        request = (_REQUEST % path).encode()

        async def one(request=request):
            server._open(Sock(request), ("127.0.0.1", 1))
            while server._connections:
                await asyncio.sleep_ms(0)

        await measure("a request of %s" % path, one)


asyncio.run(main())
