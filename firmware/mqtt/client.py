"""A connection to an MQTT 3.1.1 broker once it stands (`opening.py` makes it); nothing in it blocks the loop.

umqtt.simple makes the packets that need no answer (will, PUBLISH, PINGREQ, DISCONNECT), into a buffer that stands in for its
socket. Everything that waits is ours: connecting, CONNECT and CONNACK, SUBSCRIBE, PUBACK and all reading.

PUBLISH of QoS 1 is asked of it as QoS 0 with the packet identifier as the first two bytes of the message, which is the same on
the wire but for the flags: its own QoS 1 waits for the answer, and in version 1.8.0 always raises.
"""

import asyncio
import struct
from asyncio import core
from micropython import const
from umqtt.simple import MQTTClient

_STEP_MS = const(10)
_SEND_MS = const(10_000)  # a broker that takes nothing for so long is gone
_SLICE = const(512)
TOPIC_MAX = const(128)
PAYLOAD_MAX = const(2048)  # of a message to us; longer ones are skipped
_ACKS_MAX = const(256)  # bytes of PUBACKs that wait for the writer


class Failure(Exception):
    """Why there is no connection (any more). `stage`: "dns", "tcp", "tls", "mqtt" or "credentials"."""

    def __init__(self, stage, text):
        super().__init__("%s: %s" % (stage, text))
        self.stage = stage


class Body:
    """A message that is sent in pieces: `size` bytes in all, from the generator of bytes `pieces`."""

    def __init__(self, size, pieces, head=b""):
        self.size = size + len(head)
        self.pieces = pieces
        self.head = head

    def __len__(self):
        return self.size


class _Buffer:
    """Stands in for the socket of umqtt's MQTTClient."""

    def __init__(self):
        self.out = bytearray()

    def write(self, data, size=None):
        if isinstance(data, Body):
            self.out.extend(data.head)  # the rest follows piece by piece
        else:
            self.out.extend(data if size is None else memoryview(data)[:size])

    def close(self):
        pass


class Connection:
    """`client_id`: bytes; `clock`: ticks; `on_message(topic, payload)` gets bytes and must not wait.

    `opening.open` connects it; then publish and ping from one task. `failed` is a Failure once the reader has seen the end.
    """

    def __init__(self, client_id, clock, on_message):
        self._clock = clock
        self._on_message = on_message
        self._sock = None
        self._reader = None
        self._buffer = bytearray(_SLICE)
        self._at = self._end = 0
        self._acks = bytearray()
        self.client = MQTTClient(client_id, "")
        self.client.sock = _Buffer()
        self.connack = None  # its code
        self.failed = None
        self.verified = False
        self.acked = 0  # packet identifier of the last PUBACK
        self.received = 0  # messages
        self.skipped = 0  # messages that were too long, or retained
        self.heard = clock.ticks_ms()  # when the broker last said anything
        self.subscribed = None  # False: refused

    def start(self, sock):
        """Read from `sock`, which is connected and logs in."""
        self._sock = sock
        self._reader = asyncio.create_task(self._read())

    # -- sending (one task) --------------------------------------------------------------------------------------------

    async def send(self, sock, data):
        """Write all of `data`. Raises Failure, OSError, ValueError (TLS)."""
        view = memoryview(data)
        at = 0
        clock = self._clock
        since = clock.ticks_ms()
        while at < len(view):
            count = sock.write(view[at : at + _SLICE])
            if count:
                at += count
                since = clock.ticks_ms()
            else:
                if clock.ticks_diff(clock.ticks_ms(), since) > _SEND_MS:
                    raise Failure("tcp", "the broker takes no data")
                await asyncio.sleep_ms(_STEP_MS)

    async def _flush(self):
        """Send what umqtt wrote."""
        buffer = self.client.sock
        out, buffer.out = buffer.out, bytearray()
        try:
            await self.send(self._sock, out)
        except (OSError, ValueError) as error:
            raise Failure("tcp", str(error))

    async def _flush_body(self, body):
        buffer = self.client.sock
        left = body.size - len(body.head)
        for piece in body.pieces:
            left -= len(piece)
            buffer.out.extend(piece)
            if len(buffer.out) > _SLICE:
                await self._flush()
                await asyncio.sleep_ms(0)  # making the pieces takes time, too
        if left:  # it has changed since it was measured: the stream is out of step
            raise Failure("mqtt", "message changed while it was sent")
        await self._flush()

    async def publish(self, topic, payload, retain=False, pid=0, again=False):
        """Send bytes, or a Body; QoS 1 when `pid` is given, with DUP when it is sent `again`. Raises Failure."""
        if not isinstance(payload, Body):
            payload = Body(len(payload), (payload,))
        if pid:
            payload.head = struct.pack(">H", pid)
            payload.size += 2
        self.client.publish(topic, payload, retain)
        if pid:
            self.client.sock.out[0] |= 0x0A if again else 0x02
        await self._flush_body(payload)

    async def subscribe(self, topic):
        """Ask for `topic` with QoS 1; `subscribed` tells the answer."""
        size = 2 + 2 + len(topic) + 1
        packet = b"\x82" + packet_length(size) + b"\0\x01" + struct.pack(">H", len(topic)) + topic + b"\x01"
        self.client.sock.out.extend(packet)
        await self._flush()

    async def ping(self):
        self.client.ping()
        await self._flush()

    async def acknowledge(self):
        """Send the PUBACKs that the reader left; False when there are none."""
        if not self._acks:
            return False
        acks, self._acks = self._acks, bytearray()
        self.client.sock.out.extend(acks)
        await self._flush()
        return True

    async def close(self, politely=False):
        """Give everything back; with DISCONNECT when `politely`, so that the broker forgets the will."""
        if self._reader:
            self._reader.cancel()
        if politely:
            try:
                self.client.disconnect()
                await self._flush()
            except Failure:
                pass
        if self._sock:
            self._sock.close()  # and the socket below TLS with it

    # -- reading (one task) --------------------------------------------------------------------------------------------

    async def _read(self):
        try:
            while True:
                await self._packet()
        except Failure as failure:
            self.failed = failure
        except (OSError, ValueError) as error:
            self.failed = Failure("tcp", str(error))

    async def _fill(self):
        while True:
            yield core._io_queue.queue_read(self._sock)
            count = self._sock.readinto(self._buffer)
            if count is None:
                continue
            if not count:
                raise Failure("tcp", "the broker closed the connection")
            self._at = 0
            self._end = count
            return

    async def _take(self, count):
        """The next `count` bytes (few)."""
        if self._end - self._at >= count:
            self._at += count
            return bytes(memoryview(self._buffer)[self._at - count : self._at])
        data = bytearray()
        while len(data) < count:
            if self._at == self._end:
                await self._fill()
            part = memoryview(self._buffer)[self._at : min(self._end, self._at + count - len(data))]
            data.extend(part)
            self._at += len(part)
        return bytes(data)

    async def _skip(self, count):
        while count:
            if self._at == self._end:
                await self._fill()
            step = min(count, self._end - self._at)
            self._at += step
            count -= step
            self.heard = self._clock.ticks_ms()  # a long message is a sign of life

    async def _packet(self):
        head = (await self._take(1))[0]
        size = shift = 0
        while True:
            byte = (await self._take(1))[0]
            size |= (byte & 0x7F) << shift
            shift += 7
            if byte < 0x80:
                break
            if shift > 21:
                raise Failure("mqtt", "malformed packet")
        self.heard = self._clock.ticks_ms()
        if head & 0xF0 == 0x30:
            await self._message(head, size)
            return
        data = await self._take(min(size, 4))
        await self._skip(size - len(data))
        if head == 0x20 and size == 2:
            self.connack = data[1]
        elif head == 0x40 and size == 2:
            self.acked = data[0] << 8 | data[1]
        elif head == 0x90 and size == 3:
            self.subscribed = data[2] < 0x80

    async def _message(self, head, size):
        qos = head >> 1 & 3
        if qos > 1 or size < 2:
            raise Failure("mqtt", "malformed packet")
        count = int.from_bytes(await self._take(2), "big")
        size -= 2 + count + 2 * qos
        if size < 0:
            raise Failure("mqtt", "malformed packet")
        fits = count <= TOPIC_MAX and size <= PAYLOAD_MAX and not head & 1  # a retained command is an old one
        topic = None
        if fits:
            topic = await self._take(count)
        else:
            await self._skip(count)
        pid = await self._take(2) if qos else None
        self.received += 1
        if fits:
            self._on_message(topic, await self._take(size))
        else:
            self.skipped += 1
            await self._skip(size)
        if pid:
            while len(self._acks) >= _ACKS_MAX:
                await asyncio.sleep_ms(_STEP_MS)
            self._acks.extend(b"\x40\x02" + pid)


def packet_length(size):
    """The remaining length of a packet (MQTT 3.1.1 section 2.2.3)."""
    out = bytearray()
    while size > 0x7F:
        out.append(size & 0x7F | 0x80)
        size >>= 7
    out.append(size)
    return bytes(out)
