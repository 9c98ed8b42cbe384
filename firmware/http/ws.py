"""WebSockets: the base for all of them.

Each client has one reader, one writer and one bounded queue (drop-oldest). A client that reads too slowly loses messages, and is
dropped when one piece does not leave in time; it delays nobody. An idle one is pinged, then dropped.
"""

import asyncio
import binascii
import hashlib
import json
from micropython import const
from microdot import Response
from firmware.http.api import ApiError

CLIENTS_MAX = const(3)
_PING_MS = const(20_000)  # of silence
_DROP_MS = const(50_000)
_MESSAGE_MAX = const(512)  # a client has nothing longer to say than {"type": "ping"}
_FLOOD = const(40)  # messages in one second that end the connection

_TEXT = const(1)
_BINARY = const(2)
CLOSE = const(8)
_PING = const(9)
_PONG = const(10)

# Topics of the client's queue besides those of the bus
PONG = const(-1)  # answer to {"type": "ping"}
FRAME = const(-3)  # a ready-made frame
CLOSED = const(-4)


class BadFrame(Exception):
    """The client broke the protocol, or sent more than it may."""


def frame(opcode, payload):
    """The bytes of one frame from the server (RFC 6455, 5.2)."""
    size = len(payload)
    head = bytes((0x80 | opcode, size)) if size < 126 else bytes((0x80 | opcode, 126, size >> 8, size & 0xFF))
    return head + payload


def text_frame(text):
    """One text frame, for `FRAME`."""
    return frame(_TEXT, text.encode())


async def read_frame(connection):
    """(opcode, payload) of the next frame of the client. Raises BadFrame, OSError.

    A client has nothing long to say, so messages in fragments are refused.
    """
    first, size = await connection.readexactly(2)
    if first & 0xF0 != 0x80 or not size & 0x80:
        raise BadFrame  # a fragment, reserved bits, or not masked
    opcode = first & 0x0F
    size &= 0x7F
    if opcode not in (_TEXT, _BINARY, CLOSE, _PING, _PONG) or (opcode >= CLOSE and size > 125):
        raise BadFrame
    if size == 126:
        size = int.from_bytes(await connection.readexactly(2), "big")
    if size > _MESSAGE_MAX or size == 127:
        raise BadFrame
    mask = await connection.readexactly(4)
    payload = bytearray(await connection.readexactly(size))
    for i in range(size):
        payload[i] ^= mask[i & 3]
    return opcode, bytes(payload)


def accept_key(key):
    """What the handshake answers to Sec-WebSocket-Key (RFC 6455, 4.2.2)."""
    digest = hashlib.sha1(key.encode() + b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11").digest()
    return binascii.b2a_base64(digest)[:-1]


class Client:
    """One WebSocket. `convert(topic, payload)` gives the message (a dict), or None for nothing to send."""

    def __init__(self, parts, connection, queue, convert):
        self._parts = parts
        self._queue = queue
        self._convert = convert
        self._connection = connection
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
            elif topic == CLOSED:
                await connection.awrite(frame(CLOSE, payload))
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
        reason = b"\x03\xea"  # 1002, protocol error
        try:
            while True:
                opcode, payload = await read_frame(self._connection)
                self._pinged = False
                now = clock.ticks_ms()
                if clock.ticks_diff(now, since) > 1000:
                    since = now
                    count = 0
                count += 1
                if opcode == CLOSE:
                    reason = payload[:2]
                    break
                if count > _FLOOD:
                    break
                if opcode == _PING:
                    self._queue.put(FRAME, frame(_PONG, payload))
                elif opcode == _TEXT and _is_ping(payload):
                    self._queue.put(PONG, None)
        except (OSError, BadFrame):
            pass
        self._queue.put(CLOSED, reason)

    def _beat(self, now):
        """The server calls this twice a second."""
        silent = self._parts.board.ticks_diff(now, self._connection.heard)
        if silent > _DROP_MS:
            self._connection.task.cancel()
        elif silent > _PING_MS and not self._pinged:
            self._pinged = True
            self._queue.put(FRAME, frame(_PING, b""))


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
        stream = request.stream
        await stream.awrite(b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n")
        await stream.awrite(b"Sec-WebSocket-Accept: " + accept_key(headers["sec-websocket-key"]) + b"\r\n\r\n")
        if first is not None:
            await stream.awrite(text_frame(first()))
        await stream.flush()
        await Client(parts, stream, queue, convert).run()
    finally:
        parts.bus.close(queue)
        app.sockets -= 1
        if joined is not None:
            joined.remove(queue)
    return Response.already_handled
