"""firmware/net/ntp.py and clock.py: timestamps, and a time server over real UDP, hostile ones included."""

import asyncio
import os
import socket
import struct
import sys

from firmware.net import clock, ntp
from tests.unit.help import FakeClock, FakeConfig, FakeLog

_2025_S = 1_735_689_600
_TO_UNIX = 2_208_988_800


class Board(FakeClock):
    def __init__(self):
        super().__init__()
        self.time_valid = False
        self.time_source = "none"

    def dns_server(self):
        return None

    def set_epoch_ms(self, ms, source="browser"):
        if ms < _2025_S * 1000:
            raise ValueError("time lies before 2025")
        super().set_epoch_ms(ms, source)


class App:
    class wifi:
        state = "connected"

    def __init__(self, server=""):
        self.board, self.log, self.events = Board(), FakeLog(), []
        self.config = FakeConfig({"time.ntp_enabled": True, "time.ntp_server": server})

    def event(self, name, data):
        self.events.append((name, data))


class Server:
    """Answers with Unix time `seconds`; `reply(request)` may be replaced."""

    def __init__(self, seconds=_2025_S + 100):
        self.port = 20_000 + int.from_bytes(os.urandom(2), "big") % 40_000
        self.sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.sock.setblocking(False)
        self.sock.bind(socket.getaddrinfo("127.0.0.1", self.port)[0][-1])
        self.name = "127.0.0.1:%d" % self.port
        self.seconds = seconds
        self.asked = []
        self.task = asyncio.create_task(self.run())

    def packet(self, request, head=0x24, stratum=2, mark=None, seconds=None, fraction=0x80000000, ident=b"GPS\0"):
        stamp = (self.seconds + _TO_UNIX) & 0xFFFFFFFF if seconds is None else seconds
        mark = request[40:48] if mark is None else mark
        return (
            bytes((head, stratum, 6, 0xEC))
            + bytes(8)
            + ident
            + bytes(8)
            + mark
            + bytes(8)
            + struct.pack(">II", stamp, fraction)
        )

    def reply(self, request):
        return [self.packet(request)]

    async def run(self):
        while True:
            await asyncio.sleep_ms(5)
            try:
                data, peer = self.sock.recvfrom(100)
            except OSError:
                continue
            self.asked.append(data)
            for packet in self.reply(data):
                self.sock.sendto(packet, peer)

    def close(self):
        self.task.cancel()
        self.sock.close()


def test_timestamps():
    # RFC 4330 section 3: 1 January 1970 is 2208988800; the era that begins on 7 February 2036 06:28:16
    assert ntp.unix_ms(3_944_678_400, 0) == _2025_S * 1000
    assert ntp.unix_ms(3_944_678_400, 0x80000000) == _2025_S * 1000 + 500
    assert ntp.unix_ms(3_944_678_400, 0xFFFFFFFF) == _2025_S * 1000 + 999
    assert ntp.unix_ms(0xFFFFFFFF, 0) == 2_085_978_495_000
    assert ntp.unix_ms(0, 1) == 2_085_978_496_000, "2036-02-07 06:28:16"
    assert ntp.unix_ms(1_000_000, 0) == 2_086_978_496_000


def test_what_is_no_answer():
    mark = b"12345678"
    make = Server.packet

    class Fake:
        seconds = _2025_S

    def packet(**more):
        return make(Fake, bytes(40) + mark, **more)

    assert ntp.answer(packet(), mark) == _2025_S * 1000 + 500
    assert ntp.answer(packet(head=0x1C), mark), "version 3 answers too"
    for bad in (
        packet()[:47],
        b"",
        packet(head=0x23),
        packet(head=0x25),
        packet(mark=b"87654321"),
        packet(mark=bytes(8)),
    ):
        assert ntp.answer(bad, mark) is None, bad
    for bad in ({"head": 0xE4}, {"stratum": 16}, {"stratum": 255}, {"seconds": 0, "fraction": 0}, {"head": 0x04},
                {"stratum": 0, "ident": b"RATE"}):  # fmt: skip
        try:
            ntp.answer(packet(**bad), mark)
        except OSError as error:
            assert bad.get("stratum") != 0 or "RATE" in str(error), str(error)
        else:
            raise AssertionError(str(bad))


async def test_sets_the_clock():
    server = Server()
    app = App(server.name)
    await ntp.sync(app)
    assert app.board.time_valid and app.board.time_source == "ntp"
    assert app.board.epoch_ms() == (_2025_S + 100) * 1000 + 500
    assert app.events == [("TIME_SET", {"source": "ntp", "timestamp_ms": (_2025_S + 100) * 1000 + 500})]
    request = server.asked[0]
    assert len(request) == 48 and request[0] == 0x23 and request[1:40] == bytes(39) and request[40:] != bytes(8)
    await ntp.sync(app)
    assert len(app.events) == 1 and server.asked[1] != request, "a small step is no news; nothing to guess"
    app.board.set_epoch_ms((_2025_S + 5) * 1000)  # by a browser
    await ntp.sync(app)
    assert len(app.events) == 2 and app.board.time_source == "ntp"
    server.close()


async def test_after_2036():
    server = Server(2_085_978_496 + 86_400)
    app = App(server.name)
    await ntp.sync(app)
    assert app.board.epoch_ms() == (2_085_978_496 + 86_400) * 1000 + 500
    server.close()


async def test_hostile_packets_before_the_answer():
    server = Server()

    def reply(request):
        wrong = server.packet(request, seconds=0x90000000, mark=bytes(8))
        return [b"", b"x", os.urandom(48), os.urandom(400), wrong, request, server.packet(request)]

    server.reply = reply
    app = App(server.name)
    await ntp.sync(app)
    assert app.board.epoch_ms() == (_2025_S + 100) * 1000 + 500
    server.close()


async def test_a_time_before_this_firmware():
    server = Server(1_000_000_000)
    app = App(server.name)
    failed = ""
    try:
        await ntp.sync(app)
    except OSError as error:
        failed = str(error)
    assert "before 2025" in failed and not app.board.time_valid and not app.events
    server.close()


async def test_bad_server_names():
    for name in ("127.0.0.1:0", "127.0.0.1:x", "127.0.0.1:70000", "no.such.name.example", "..", ":"):
        try:
            await ntp.sync(App(name))
        except OSError:
            continue
        raise AssertionError(name)


async def _task(app, looks=30):
    """Run clock.run with time that flies: `looks` looks at the clock."""
    count = 0
    real = clock.asyncio

    class Fast:
        @staticmethod
        async def sleep(seconds):
            nonlocal count
            count += 1
            if count > looks:
                raise EOFError
            app.board.advance(seconds * 1000)
            await real.sleep_ms(1)

    clock.asyncio = Fast
    try:
        await clock.run(app)
    except EOFError:
        pass
    finally:
        clock.asyncio = real


async def test_each_hour():
    server = Server()
    app = App(server.name)
    app.wifi.state = "waiting"
    await _task(app, 20)
    assert not server.asked, "without a network nobody is asked"
    app.wifi.state = "connected"
    await _task(app, 2)
    assert len(server.asked) == 1
    await _task(app, 1 + 3 * 720 + 5)  # a look each 5 s
    assert len(server.asked) == 1 + 4, len(server.asked)
    assert "firmware.net.ntp" not in sys.modules or sys.modules["firmware.net.ntp"] is not ntp
    app.config.values["time.ntp_enabled"] = False
    await _task(app, 2000)
    assert len(server.asked) == 5
    server.close()


async def test_failures_are_logged_once():
    app = App("no.such.name.example")  # there is no DNS server either
    await _task(app, 2000)
    assert len(app.log.lines) == 1 and "no DNS server" in app.log.lines[0][2], app.log.lines
    app.config.values["time.ntp_server"] = "also.not.example"
    asked = []

    class Config(FakeConfig):
        def __getitem__(self, key):
            asked.append(key)
            return self.values[key]

    app.config = Config(app.config.values)
    await _task(app, 2000)  # 10000 s: 15, 30, 60 ... seconds between
    assert 8 <= len(asked) <= 16, len(asked)
