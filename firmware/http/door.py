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
from firmware.lazy import seldom

_LOOK_MS = const(1000)


class Door:
    """`parts`: see `web.Web`."""

    idle_s = 90  # without a connection, and the server goes: who asks each minute finds it there

    @seldom
    def __init__(self, parts):
        self.port = None
        self.bms_restarted = None  # uptime in ms of the last restart of the BMS through the API
        self.login = None  # what login.Login keeps: who guesses passwords must not gain by waiting
        self._parts = parts
        self._socket = None
        self._server = None

    @seldom
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
                try:
                    if not await lazy.once("http.listen").enter(self, self._parts, self._socket):
                        continue
                except MemoryError:  # not even for that; the supervisor tells of a heap that is low
                    await asyncio.sleep_ms(_LOOK_MS)
                    continue
                except Exception as error:  # the battery goes on without HTTP, and the client waits
                    self._parts.log.error("http", "no server: " + str(error))
                    await asyncio.sleep_ms(_LOOK_MS)
                    continue
            await self._server.run(self._socket, self.idle_s)
            self.leave()

    @seldom
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

    @seldom
    def try_out(self):
        """Raises what keeps the server from being loaded."""
        if self._server is None:
            self.server()
            self.leave()
