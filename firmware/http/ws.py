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
_GROW = const(128)  # bytes by which a frame that turns out longer grows
_FLOOD = const(40)  # messages in one second that end the connection

_TEXT = const(1)
_BINARY = const(2)
CLOSE = const(8)
_PING = const(9)
_PONG = const(10)

# Topics of the client's queue besides those of the bus
PONG = const(-1)  # answer to {"type": "ping"}
FRAME = const(-3)  # a ready-made frame
_CLOSED = const(-4)


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


def frame_of(pieces, size):
    """One text frame whose text comes in pieces (bytes) from a generator; `size` is about how long the text is."""
    buffer = bytearray(4 + size)  # the only large block: written in place, and sent as it is
    end = 4
    for piece in pieces:
        start, end = end, end + len(piece)
        if end > len(buffer):
            buffer.extend(bytes(end - len(buffer) + _GROW))
        buffer[start:end] = piece
    size = end - 4
    start = 0 if size >= 126 else 2
    buffer[start] = 0x80 | _TEXT
    if start:
        buffer[3] = size
    else:
        buffer[1] = 126
        buffer[2] = size >> 8
        buffer[3] = size & 0xFF
    return memoryview(buffer)[start:end]


def take_frame(connection):
    """(opcode, payload) of the next frame of the client, None while it is not all there. Raises BadFrame.

    A client has nothing long to say, so messages in fragments are refused.
    """
    head = connection.peek(2)
    if head is None:
        return None
    opcode, size = head[0] & 0x0F, head[1] & 0x7F
    if head[0] & 0xF0 != 0x80 or not head[1] & 0x80:
        raise BadFrame  # a fragment, reserved bits, or not masked
    if opcode not in (_TEXT, _BINARY, CLOSE, _PING, _PONG) or (opcode >= CLOSE and size > 125):
        raise BadFrame
    start = 6
    if size == 126:
        start = 8
        head = connection.peek(4)
        if head is None:
            return None
        size = head[2] << 8 | head[3]
    elif size == 127:
        size = _MESSAGE_MAX + 1
    if size > _MESSAGE_MAX:
        raise BadFrame
    data = connection.peek(start + size)
    if data is None:
        return None
    connection.skip(start + size)
    payload = bytearray(data[start:])
    for i in range(size):
        payload[i] ^= data[start - 4 + (i & 3)]
    return opcode, bytes(payload)


def accept_key(key):
    """What the handshake answers to Sec-WebSocket-Key (RFC 6455, 4.2.2)."""
    digest = hashlib.sha1(key.encode() + b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11").digest()
    return binascii.b2a_base64(digest)[:-1]


class Client:
    """One WebSocket. `convert(topic, payload)` gives the message (a dict), a frame, or None for nothing to send.

    `page` hears what the client says: `told(message, queue)`, `beat(now)` twice a second, `left(queue)` at the end.
    """

    def __init__(self, app, connection, convert, page):
        self._app = app
        self._connection = connection
        self._convert = convert
        self._page = page
        self._queue = None
        self._pinged = False
        self._ended = None  # why, once the client has: payload of the frame that closes

    async def run(self, topics, size, opening, joined):
        """Until the client leaves, misbehaves or is too slow. See `serve`; `opening` is a frame to send first, or None."""
        app, connection = self._app, self._connection
        bus = app.parts.bus
        queue = self._queue = bus.queue(topics, size)
        app.sockets += 1
        reader = None
        try:
            if joined is not None:
                joined.append(queue)
            if opening is not None:
                queue.put(FRAME, opening)
                opening = None
            connection.allow(0)
            connection.beat = self._beat
            reader = asyncio.create_task(self._read())
            await self._write()
        finally:
            app.sockets -= 1
            if self._page:
                self._page.left(queue)
            bus.close(queue)
            if joined is not None and queue in joined:
                joined.remove(queue)
            connection.beat = None
            if reader:
                reader.cancel()

    async def _write(self):
        connection = self._connection
        await connection.flush()
        while True:
            payload = None  # nothing of the last message stays while this waits
            topic, payload = await self._queue.get()
            if self._ended is not None:  # whatever of the queue was dropped
                await connection.awrite(frame(CLOSE, self._ended))
                await connection.flush()
                return
            if topic == FRAME:
                await connection.awrite(payload)
            else:
                if topic == PONG:
                    # `dropped`: messages that this client was too slow for
                    message = {"type": "pong", "timestamp_ms": self._app.parts.board.epoch_ms()}
                    message["dropped"] = self._queue.dropped
                else:
                    message = self._convert(topic, payload)
                if message is None:
                    continue
                if isinstance(message, dict):
                    message = text_frame(json.dumps(message))
                await connection.awrite(message)
                message = None
            await connection.flush()

    async def _read(self):
        clock, connection = self._app.parts.board, self._connection
        since = clock.ticks_ms()
        count = 0
        reason = b"\x03\xea"  # 1002, protocol error
        try:
            while True:
                found = take_frame(connection)
                if found is None:
                    if not await connection.receive():
                        break
                    continue
                opcode, payload = found
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
                elif opcode == _TEXT:
                    self._told(payload)
        except (OSError, BadFrame):
            pass
        self._ended = reason
        self._queue.put(_CLOSED, None)

    def _told(self, payload):
        try:
            message = json.loads(payload)
        except (ValueError, RuntimeError):
            return
        if not isinstance(message, dict):
            return
        if message.get("type") == "ping":
            self._queue.put(PONG, None)
        elif self._page:
            self._page.told(message, self._queue)

    def _beat(self, now):
        """The server calls this twice a second."""
        if self._page:
            self._page.beat(now)
        silent = self._app.parts.board.ticks_diff(now, self._connection.heard)
        if silent > _DROP_MS:
            self._connection.task.cancel()
        elif silent > _PING_MS and not self._pinged:
            self._pinged = True
            self._queue.put(FRAME, frame(_PING, b""))


async def serve(app, request, topics, convert, size=8, first=None, joined=None, page=None):
    """Turn the request into a WebSocket that gets `convert(topic, payload)` (a dict, or None) of each publish on `topics`.

    `first`: gives the frame that is sent at once; `joined`: a list that holds the client's queue while it is connected;
    `page`: see `Client`.
    The server runs the WebSocket when all of the request is forgotten. Raises ApiError 400 (no handshake), 503 (too many
    clients, low memory).
    """
    headers = request.headers
    if request.method != "GET" or headers.get("upgrade", "").lower() != "websocket":
        raise ApiError(400, "WEBSOCKET_EXPECTED", "Bad request", "this path speaks WebSocket")
    if headers.get("sec-websocket-version", "13") != "13" or not headers.get("sec-websocket-key"):
        raise ApiError(400, "WEBSOCKET_EXPECTED", "Bad request", "Sec-WebSocket-Key and version 13 are needed")
    if app.sockets >= CLIENTS_MAX or app.low_memory():
        raise ApiError(503, "TOO_MANY_CLIENTS", "Service unavailable", "at most %d WebSockets" % CLIENTS_MAX)
    connection = request.stream
    opening = None if first is None else first()
    session = Client(app, connection, convert, page).run(topics, size, opening, joined)
    await connection.awrite(
        b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: "
        + accept_key(headers["sec-websocket-key"])
        + b"\r\n\r\n"
    )  # collected: this does not wait
    connection.session = session
    return Response.already_handled
