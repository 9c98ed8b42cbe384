"""What stays of HTTP while nobody asks: the listening socket. The server and all that belongs to it come with the first
connection, and go when there was none for a while (`server.run` returns).

A connection waits in the backlog meanwhile, so that none is lost. What must outlive the server lies here.
"""

import asyncio
import gc
import sys
from asyncio import core
from micropython import const
from firmware import lazy

# Free heap that the server wants: its modules and what it makes, and what it must find free before it serves (web.low_memory)
_BOARD_NEEDS = const(29 * 1024)
_NEEDS = const(42 * 1024)  # objects of a 64-bit machine are half as large again
_PATIENCE = const(4)  # looks at the heap before the client is told
_LOOK_MS = const(500)
_REFUSAL = (
    b"HTTP/1.1 503 Service Unavailable\r\nContent-Type: application/json\r\nRetry-After: 5\r\nConnection: close\r\n\r\n"
    b'{"error": "Service unavailable", "code": "LOW_MEMORY", "details": ""}'
)


class Door:
    """`parts`: see `web.Web`."""

    idle_s = 90  # without a connection, and the server goes: who asks each minute finds it there

    def __init__(self, parts):
        self.port = None
        self.bms_restarted = None  # uptime in ms of the last restart of the BMS through the API
        self.login = None  # what login.Login keeps: who guesses passwords must not gain by waiting
        self._parts = parts
        self._socket = None
        self._server = None

    async def start(self, host, port):
        """Listen on host:port; port 0 takes any free one (see `port`). Raises OSError."""
        if self._socket:
            self._socket.close()  # started again after a crash
        self._socket, self.port = lazy.once("http.listen").listen(host, port)

    async def run(self):
        """Serve for ever."""
        while True:
            if self._server is None:  # else it was there before a crash, with its connections
                yield core._io_queue.queue_read(self._socket)
                if not await self._room():
                    await self._refuse()
                    continue
            await self._server.run(self._socket, self.idle_s)
            self.leave()

    def server(self):
        """The server, loaded when it is not there."""
        if self._server is None:
            try:
                from firmware.http.server import Server

                self._server = Server(self._parts, self)
            finally:
                if self._server is None:
                    self.leave()  # the half that was loaded
        return self._server

    def leave(self):
        """Forget the server and every module of it."""
        self._server = None
        for name in list(sys.modules):
            if name.startswith("firmware.http"):
                lazy.drop(name[9:])
            elif name.startswith("microdot"):
                sys.modules.pop(name)
        gc.collect()

    def try_out(self):
        """Raises what keeps the server from being loaded."""
        if self._server is None:
            self.server()
            self.leave()

    # -- a connection while there is no server -----------------------------------------------------------------------

    async def _room(self):
        """True when the server is loaded; False when the heap has had no room for it for a while, which is in the log."""
        parts = self._parts
        needed = _NEEDS if sys.maxsize > 1 << 32 else _BOARD_NEEDS
        for _ in range(_PATIENCE):
            parts.forget()
            free = parts.board.heap_free()
            if free >= needed:
                try:
                    self.server()
                    return True
                except MemoryError:  # free, but in pieces
                    pass
            await asyncio.sleep_ms(_LOOK_MS)
        parts.log.error("http", "connection refused: %d KB free, the server needs %d" % (free // 1024, needed // 1024))
        return False

    async def _refuse(self):
        """Take the connection and tell the client."""
        try:
            sock = self._socket.accept()[0]
            sock.setblocking(False)
            sock.write(_REFUSAL)
            await asyncio.sleep_ms(_LOOK_MS)
            sock.read(1024)  # what is not read when it closes would tear the answer out of the network
            sock.close()
        except OSError:
            pass  # the client has gone
