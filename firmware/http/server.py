"""The HTTP server: accepts connections within limits, serves each in its own task, and ends those that take too long.

Loaded by door.py for a connection, and forgotten when there was none for a while.
"""

import asyncio
import gc
from asyncio import core
from micropython import const
from microdot import Response
from firmware.http.api import ApiError, Json, lines
from firmware.http.connection import Connection
from firmware.http.request import read_request
from firmware.http.web import Web

CONNECTIONS_MAX = const(6)
_REQUEST_MS = const(10_000)  # to send the request
_HANDLE_MS = const(60_000)  # to answer it; an upload extends this as it goes
_FILE_PIECE = const(1024)
_LINGER_MS = const(500)
_LINGER_BYTES = const(65_536)
_WATCH_MS = const(500)
_SWEEP_TURNS = const(10)

# EBADF, EPIPE, ECONNABORTED, ECONNRESET, ENOTCONN, ETIMEDOUT: the client went away
_MUTED = (9, 32, 103, 104, 107, 110)


class Server:
    """`parts`: see `web.Web`; `door`: door.Door, or what else keeps what outlives this server."""

    def __init__(self, parts, door):
        self.web = Web(parts, door)
        self._parts = parts
        self._clock = parts.board
        self._connections = []
        self._buffers = []
        self._free = asyncio.Event()
        self._idle = 0  # turns of `_watch` without a connection

    async def run(self, socket, idle_s):
        """Serve what connects to `socket`, which listens and does not block, until nobody has for `idle_s`."""
        accepting = asyncio.create_task(self._accept(socket))
        try:
            await self._watch(accepting, idle_s * 1000 // _WATCH_MS)
        finally:
            accepting.cancel()  # a connection that comes from now on waits in the backlog
        await asyncio.sleep_ms(0)  # it ends

    # -- accepting ---------------------------------------------------------------------------------------------------

    async def _accept(self, socket):
        while True:
            while len(self._connections) >= CONNECTIONS_MAX:  # the rest waits in the backlog
                self._free.clear()
                await self._free.wait()
            if self.web.low_memory():
                await asyncio.sleep_ms(_WATCH_MS)
                continue
            yield core._io_queue.queue_read(socket)
            try:
                sock, address = socket.accept()
            except OSError:
                await asyncio.sleep_ms(100)  # the client has gone, or no socket is free
                continue
            sock.setblocking(False)
            self._open(sock, address)

    def _open(self, sock, address):
        connection = Connection(sock, _peer(address), self._clock, self._buffers, _REQUEST_MS)
        self._connections.append(connection)
        self._idle = 0
        connection.task = asyncio.create_task(self._serve(connection))

    async def _watch(self, accepting, idle_turns):
        """Cancel what is late, keep WebSockets alive, and forget idle modules, until so many turns saw no connection."""
        turn = self._idle = 0
        while not accepting.done():
            await asyncio.sleep_ms(_WATCH_MS)
            self._idle += 1
            if self._connections:
                self._idle = 0
            elif self._idle >= idle_turns:
                return
            now = self._clock.ticks_ms()
            for connection in list(self._connections):
                if connection.late(now):
                    connection.task.cancel()
                elif connection.beat:
                    connection.beat(now)
            turn += 1
            if turn >= _SWEEP_TURNS:
                turn = 0
                self.web.sweep()
        raise RuntimeError("accepting has ended")

    # -- one connection ----------------------------------------------------------------------------------------------

    async def _serve(self, connection):
        try:
            await self._answer(connection)
            if connection.session:
                await connection.session
        except asyncio.CancelledError:
            pass  # too late
        except OSError as error:
            if error.errno not in _MUTED:
                self._parts.log.warning("http", "connection: %s" % error)
        except MemoryError:
            gc.collect()
            self._parts.log.error("http", "out of memory, connection dropped")
        except Exception as error:
            self.web.log_exception(error)
        finally:
            connection.close()
            self._connections.remove(connection)
            self._free.set()

    async def _answer(self, connection):
        failed = False
        try:
            request = await read_request(connection)
            if request is None:
                return
            connection.allow(_HANDLE_MS, _HANDLE_MS)
            response = await self.web.dispatch_request(request)
            if response is Response.already_handled:
                return
        except ApiError as error:
            response = error.response()
            failed = True
        connection.allow(_HANDLE_MS, _HANDLE_MS)
        try:
            await _write(connection, response)
        finally:
            if hasattr(response.body, "close"):
                response.body.close()  # a file, when the client left in the middle
        if failed or connection.unread:
            connection.allow(_LINGER_MS)
            await connection.linger(_LINGER_BYTES if failed else min(connection.unread, _LINGER_BYTES))


async def _write(connection, response):
    """What `Response.write` does, but as HTTP/1.1 (WebSocket clients accept no other refusal) and in one write if it fits."""
    await connection.awrite(response.head() if isinstance(response, Json) else _head(response))
    if not response.is_head:
        await _write_body(connection, response.body)
    left = connection.end()
    if left:
        await left


def _head(response):
    response.complete()
    first = "HTTP/1.1 %d %s\r\n" % (response.status_code, response.reason or "Error")
    return (first + lines(response.headers) + "Connection: close\r\n\r\n").encode()


async def _write_body(connection, body):
    """`body`: bytes, a file, or a generator of texts or bytes; where that yields None others may run."""
    if isinstance(body, bytes):
        await connection.awrite(body)
    elif hasattr(body, "read"):
        while piece := body.read(_FILE_PIECE):
            await connection.awrite(piece)
    else:
        for piece in body:
            if piece is None:
                await asyncio.sleep_ms(0)
            else:
                data = piece.encode() if isinstance(piece, str) else piece
                if not connection.put(data):
                    await connection.awrite(data)


def _peer(address):
    """The address of the client without its port: text on a board, a packed sockaddr on a host."""
    return address[0] if isinstance(address, tuple) else bytes(address[4:8])
