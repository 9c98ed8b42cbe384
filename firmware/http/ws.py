"""WebSockets: the base for all of them.

Each client has one reader, one writer and one bounded queue (drop-oldest). A client that reads too slowly loses messages, and is
dropped when one piece does not leave in time; it delays nobody. An idle one is pinged, then dropped.
"""

import asyncio
import json
from micropython import const
from microdot import Response
from microdot.websocket import WebSocket, WebSocketError
from firmware.http.api import ApiError

CLIENTS_MAX = const(3)
_PING_MS = const(20_000)  # of silence
_DROP_MS = const(50_000)
_MESSAGE_MAX = const(512)  # a client has nothing longer to say than {"type": "ping"}
_FLOOD = const(40)  # messages in one second that end the connection

# Topics of the client's queue besides those of the bus
PONG = const(-1)  # answer to {"type": "ping"}
PING = const(-2)  # keep-alive of ours
FRAME = const(-3)  # a ready-made frame
CLOSED = const(-4)


class _Socket(WebSocket):
    """The WebSocket of Microdot, strict about what a client sends (RFC 6455, 5.1 and 5.5)."""

    max_message_length = _MESSAGE_MAX

    @classmethod
    def _parse_frame_header(cls, header):
        control = header[0] & 0x08
        if not header[1] & 0x80 or header[0] & 0x70 or (control and (header[1] & 0x7F) > 125):
            raise WebSocketError("protocol error")  # not masked, reserved bits, long control frame
        return WebSocket._parse_frame_header(header)


def text_frame(text):
    """The bytes of one text frame, for `FRAME`."""
    return WebSocket._encode_websocket_frame(WebSocket.TEXT, text)


class Client:
    """One WebSocket. `convert(topic, payload)` gives the message (a dict), or None for nothing to send."""

    def __init__(self, parts, socket, queue, convert):
        self._parts = parts
        self._socket = socket
        self._queue = queue
        self._convert = convert
        self._connection = socket.request.stream
        self._pinged = False

    async def run(self):
        """Until the client leaves, misbehaves or is too slow."""
        self._connection.allow(0)
        self._connection.beat = self._beat
        reader = asyncio.create_task(self._read())
        try:
            await self._write()
        finally:
            reader.cancel()
            self._connection.beat = _never

    async def _write(self):
        connection = self._connection
        while True:
            topic, payload = await self._queue.get()
            if topic == FRAME:
                await connection.awrite(payload)
            elif topic == PING:
                await self._socket.send(b"", WebSocket.PING)
            elif topic == CLOSED:
                await self._socket.close()
                await connection.flush()
                return
            else:
                if topic == PONG:
                    message = {"type": "pong", "timestamp_ms": self._parts.board.epoch_ms()}
                else:
                    message = self._convert(topic, payload)
                if message is None:
                    continue
                await connection.awrite(text_frame(json.dumps(message)))
            await connection.flush()

    async def _read(self):
        clock = self._parts.board
        since = clock.ticks_ms()
        count = 0
        try:
            while True:
                opcode, payload = await self._socket._read_frame()
                self._pinged = False
                now = clock.ticks_ms()
                if clock.ticks_diff(now, since) > 1000:
                    since = now
                    count = 0
                count += 1
                if opcode == WebSocket.CLOSE or count > _FLOOD:
                    break
                if opcode == WebSocket.PING:
                    frame = WebSocket._encode_websocket_frame(WebSocket.PONG, payload)
                    self._queue.put(FRAME, frame)
                elif opcode == WebSocket.TEXT and _is_ping(payload):
                    self._queue.put(PONG, None)
        except (OSError, ValueError, WebSocketError):
            pass
        self._queue.put(CLOSED, None)

    def _beat(self, now):
        """The server calls this twice a second."""
        silent = self._parts.board.ticks_diff(now, self._connection.heard)
        if silent > _DROP_MS:
            self._connection.task.cancel()
        elif silent > _PING_MS and not self._pinged:
            self._pinged = True
            self._queue.put(PING, None)


def _never(now):
    pass


def _is_ping(payload):
    try:
        message = json.loads(payload)
    except (ValueError, RuntimeError):
        return False
    return isinstance(message, dict) and message.get("type") == "ping"


async def serve(app, request, topics, convert, size=8, first=None, joined=None):
    """Turn the request into a WebSocket that gets `convert(topic, payload)` (a dict, or None) of each publish on `topics`.

    `first`: gives the text of a message sent at once; `joined`: a list that holds the client's queue while it is connected.
    Raises ApiError 400 (no handshake), 503 (too many clients, low memory).
    """
    headers = request.headers
    if request.method != "GET" or headers.get("upgrade", "").lower() != "websocket":
        raise ApiError(400, "WEBSOCKET_EXPECTED", "Bad request", "this path speaks WebSocket")
    if headers.get("sec-websocket-version", "13") != "13" or not headers.get("sec-websocket-key"):
        raise ApiError(400, "WEBSOCKET_EXPECTED", "Bad request", "Sec-WebSocket-Key and version 13 are needed")
    if app.sockets >= CLIENTS_MAX or app.low_memory():
        raise ApiError(503, "TOO_MANY_CLIENTS", "Service unavailable", "at most %d WebSockets" % CLIENTS_MAX)
    parts = app.parts
    app.sockets += 1
    queue = parts.bus.queue(topics, size)
    if joined is not None:
        joined.append(queue)
    try:
        socket = _Socket(request)
        await socket.handshake()
        if first is not None:
            await request.stream.awrite(text_frame(first()))
        await request.stream.flush()
        await Client(parts, socket, queue, convert).run()
    finally:
        parts.bus.close(queue)
        app.sockets -= 1
        if joined is not None:
            joined.remove(queue)
    return Response.already_handled
