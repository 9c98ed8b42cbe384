"""Who talks to the gateway: a broker, somebody who asks over HTTP, dashboards on a WebSocket, clients that hang. MicroPython."""

import asyncio
import binascii
import json
import random
import struct
from asyncio import core

from tools.soak.clock import outside
from tools.soak.net import Pipe

_PARSED_MAX = 16_384
BROKER = ("10.0.0.2", 1883)
PATHS = (
    "/api/status", "/api/status", "/api/status", "/api/system/info", "/api/system/logs", "/api/metrics/runtime",
    "/api/event-bus/metrics", "/api/system/tasks", "/api/can/status", "/api/can/limits", "/api/config", "/api/registers",
    "/api/alerts/active", "/api/alerts/history", "/api/alerts/statistics", "/api/history", "/api/history?limit=50",
    "/api/history?resolution=1m&limit=200&step=5", "/api/history/files", "/api/history/archive?file=quarters&limit=100",
    "/api/history/download?resolution=15m&limit=100", "/api/energy", "/api/mqtt/status", "/api/mqtt/config", "/metrics",
    "/api/alerts/config", "/api/auth/status", "/api/auth/check", "/api/config/schema", "/api/config/backup", "/api/ota",
    "/api/openapi.json", "/api/nothing/here",
)  # fmt: skip
SOCKETS = ("/ws/telemetry", "/ws/events", "/ws/uart", "/ws/can", "/ws/alerts", "/ws/page")
_PASSWORD = "soak soak soak"
_KEY = "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n"


class Ended(Exception):
    """The other end closed, or broke."""


class Wire:
    """A connection with waiting reads and writes, for the side that is not the gateway's."""

    def __init__(self, pipe):
        self.pipe = pipe
        pipe.outside = True
        self.data = b""

    async def more(self):
        yield core._io_queue.queue_read(self.pipe)
        try:
            data = self.pipe.read(2048)
        except OSError:
            raise Ended
        if not data:
            raise Ended
        self.data = self.data + data if self.data else data

    async def take(self, count):
        while len(self.data) < count:
            await self.more()
        data, self.data = self.data[:count], self.data[count:]
        return data

    async def write(self, data):
        at = 0
        while at < len(data):
            yield core._io_queue.queue_write(self.pipe)
            try:
                at += self.pipe.write(data[at:]) or 0
            except OSError:
                raise Ended


class Broker:
    """Takes MQTT 3.1.1: answers CONNECT, QoS 1, SUBSCRIBE, PINGREQ. `slow_ms`: so long it waits with each answer."""

    def __init__(self, net):
        self.net = net
        self.messages = self.connections = self.broken = 0
        self.topics = {}
        self.slow_ms = 0
        self.refuse = 0  # code of CONNACK
        self.wires = []
        self._listener = None
        self._absent = 0  # how many reasons there are for it to be gone
        self.open()

    def open(self):
        self._listener = self.net.socket()
        self._listener.outside = True
        self._listener.bind(BROKER)
        self._listener.listen()

    def gone(self, on):
        """The broker ends, all its connections break; or it is back."""
        self._absent += 1 if on else -1
        if on:
            self._listener.close()
            for wire in self.wires:
                wire.pipe.reset()
        elif not self._absent:
            self.open()

    async def keep_hours(self, on_h, off_h):
        """There for so many hours, gone for so many, for ever: a message a second costs more than all the rest."""
        while True:
            await asyncio.sleep(on_h * 3600)
            self.gone(True)
            await asyncio.sleep(off_h * 3600)
            self.gone(False)

    async def run(self):
        while True:
            listener = self._listener
            if listener.closed:
                await asyncio.sleep(1)
                continue
            yield core._io_queue.queue_read(listener)
            if listener.backlog:
                pipe, _ = listener.accept()
                outside(self._serve(Wire(pipe)))

    async def _serve(self, wire):
        self.connections += 1
        self.wires.append(wire)
        try:
            while True:
                await self._packet(wire)
        except Ended:
            pass
        except ValueError:
            self.broken += 1
        finally:
            wire.pipe.close()
            self.wires.remove(wire)

    async def _packet(self, wire):
        head = (await wire.take(1))[0]
        size = shift = 0
        while True:
            byte = (await wire.take(1))[0]
            size |= (byte & 0x7F) << shift
            shift += 7
            if byte < 0x80:
                break
        data = await wire.take(size)
        if self.slow_ms:
            await asyncio.sleep_ms(self.slow_ms)
        kind = head & 0xF0
        if kind == 0x10:
            await wire.write(bytes((0x20, 2, 0, self.refuse)))
        elif kind == 0x30:
            length = data[0] << 8 | data[1]
            topic = data[2 : 2 + length]
            if not topic.startswith((b"tinybms", b"homeassistant")):
                raise ValueError("topic")
            self.messages += 1
            if head & 6:
                await wire.write(b"\x40\x02" + data[2 + length : 4 + length])
        elif kind == 0x80:
            await wire.write(b"\x90\x03" + data[:2] + b"\x01")
        elif kind == 0xC0:
            await wire.write(b"\xd0\0")

    async def publish(self, topic, payload):
        packet = struct.pack(">H", len(topic)) + topic + payload
        for wire in list(self.wires):
            try:
                await wire.write(bytes((0x30, len(packet))) + packet)
            except Ended:
                pass


class Clients:
    """`port()`: where the gateway listens now. `answers` {status: count}; `wrong`: texts of answers that cannot be.

    `disk`: while it fails on purpose the gateway may answer 500 STORAGE_ERROR; `unstored` counts these.
    """

    def __init__(self, net, port, disk):
        self.net = net
        self.port = port
        self.disk = disk
        self.unstored = 0
        self.answers = {}
        self.wrong = []
        self.messages = 0  # of WebSockets
        self.lost = 0  # requests that got no answer
        self._login = ""  # the header, once there is a password

    def connect(self):
        """A Wire to the gateway, or None."""
        if self.net.down or not self.port():
            return None
        pipe = Pipe(self.net)
        try:
            pipe.connect(("10.0.0.1", self.port()))
        except OSError:
            pass
        return Wire(pipe) if pipe.peer else None

    async def set_password(self):
        """The first thing that somebody does; from then on every request is an admin's."""
        while not self._login:
            await asyncio.sleep(10)
            answer = await self.ask("/api/auth/password", "POST", json.dumps({"password": _PASSWORD}).encode())
            if answer and answer[0] == 200:
                text = binascii.b2a_base64(b"admin:" + _PASSWORD.encode()).decode().strip()
                self._login = "Authorization: Basic %s\r\n" % text

    async def ask(self, path, method="GET", body=b""):
        """(status, body), or None where nothing came."""
        wire = self.connect()
        if not wire:
            self.lost += 1
            return None
        head = "%s %s HTTP/1.1\r\nHost: 10.0.0.1\r\n%s" % (method, path, self._login)
        if body:
            head += "Content-Type: application/json\r\nContent-Length: %d\r\n" % len(body)
        reply = b""
        failed = self.disk.failed
        try:
            await wire.write(head.encode() + b"\r\n" + body)
            while True:
                await wire.more()
        except Ended:
            reply = wire.data
        finally:
            wire.pipe.close()
        if not reply:
            self.lost += 1
            return None
        head, _, content = reply.partition(b"\r\n\r\n")
        status = int(head[9:12])
        self.answers[status] = self.answers.get(status, 0) + 1
        if status == 200 and b"application/json" in head:
            try:
                if len(content) > _PARSED_MAX:  # would take more heap here than the gateway has
                    if not content.endswith((b"}", b"]")):
                        raise ValueError
                else:
                    json.loads(content)
            except ValueError:
                if not wire.pipe.failed and not self.net.down:
                    self.wrong.append("%s: %d bytes are no JSON" % (path, len(content)))
        if status == 500 and b'"STORAGE_ERROR"' in content and self.disk.failed != failed:
            self.unstored += 1
        elif status >= 500 and status not in (502, 503, 504):
            self.wrong.append("%s: %d %s" % (path, status, content[:200]))
        return status, content

    async def watch(self, path, seconds):
        """A dashboard's socket for so long."""
        wire = self.connect()
        if not wire:
            return
        try:
            head = "GET %s HTTP/1.1\r\nHost: 10.0.0.1\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n%s\r\n" % (
                path,
                _KEY,
            )
            await wire.write(head.encode())
            outside(self._close_later(wire, seconds))
            while b"\r\n\r\n" not in wire.data:
                await wire.more()
            status = int(wire.data[9:12])
            self.answers[status] = self.answers.get(status, 0) + 1
            if status != 101:
                return
            wire.data = wire.data.partition(b"\r\n\r\n")[2]
            while True:
                await self._message(wire)
        except Ended:
            pass
        finally:
            wire.pipe.close()

    async def _message(self, wire):
        head = await wire.take(2)
        size = head[1] & 0x7F
        if size == 126:
            size = struct.unpack(">H", await wire.take(2))[0]
        data = await wire.take(size)
        if head[0] & 15 == 9:
            await wire.write(bytes((0x8A, 0x80 | size, 0, 0, 0, 0)) + data)
        elif head[0] & 15 == 1:
            self.messages += 1
            json.loads(data)
        elif head[0] & 15 == 8:
            raise Ended

    async def _close_later(self, wire, seconds):
        await asyncio.sleep(seconds)
        wire.pipe.ended = True
        wire.pipe.wake_reader()

    async def hang(self, seconds):
        """Half a request, or an answer that nobody reads."""
        wire = self.connect()
        if not wire:
            return
        half = b"GET /api/status HT"
        whole = b"GET /api/history HTTP/1.1\r\nHost: 10.0.0.1\r\n\r\n"
        try:
            await wire.write(half if random.random() < 0.5 else whole)
        except Ended:
            pass
        await asyncio.sleep(seconds)
        wire.pipe.close()
