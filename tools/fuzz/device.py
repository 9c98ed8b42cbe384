"""The targets, under MicroPython: `target(name)` gives a function (case bytes) -> what the host's oracle looks at.

Every exception that a target does not catch is a finding, so it catches the declared ones only. A case begins with the few
bytes that say how it is cut or what is expected; the rest is what a stranger sent.
"""

import asyncio
from binascii import hexlify


def target(name):
    return globals()["_" + name]()


def _hex(data):
    return hexlify(data).decode()


def _chunks(data, size):
    for at in range(0, len(data), size):
        yield data[at : at + size]


# -- the two wires ---------------------------------------------------------------------------------------------------------


def _uart():
    from array import array
    from firmware import live
    from firmware.bms import decode, frames, plausible, registers

    shapes = (
        (3, 3, 4, 0), (3, 3, 112, 0), (3, 3, 88, 0), (3, 3, 36, 0), (3, 3, 20, 0), (0x12, 0x12, -1, 0), (0x10, 0x10, 1, 8),
        (1, 1, 2, 5),
    )  # fmt: skip
    parser = frames.Parser(frames.Counters())
    poll = array("i", (0 for _ in range(decode.SIZE)))
    data = array("i", (live.ABSENT for _ in range(live.FIELDS)))

    def look(frame, third):
        if third == 112:
            decode.fast(frame, poll, 16, True)
            plausible.check(poll)
        elif third == 88:
            registers.settings(frame, data)
        elif third == 36:
            registers.statistics(frame, data)
        elif third == 20:
            registers.version(frame, data)

    def run(case):
        command, code, third, total = shapes[case[0] % len(shapes)]
        parser.expect(command, code, third, total)
        found = []

        def take():
            frame = bytes(parser.buf[parser.at : parser.at + parser.length])
            found.append(_hex(frame))
            if frame[1]:
                look(frame, third)

        for chunk in _chunks(case[2:], case[1] % frames.CHUNK + 1):
            there = parser.feed(chunk, 0, len(chunk))
            while there:
                take()
                there = parser.more()
            assert 0 <= parser._count <= frames.LONGEST, parser._count  # with a chunk more it still fits the buffer
        there = parser.rescue()
        while there:
            take()
            there = parser.more()
        return found

    return run


class _NoPort:
    def write(self, data):
        pass

    def close(self):
        pass


def _slcan():
    from firmware.can.slcan import Slcan
    from tests.unit.help import FakeClock, FakeLog

    def run(case):
        clock = FakeClock()
        driver = Slcan(_NoPort(), clock, 500000, FakeLog())
        driver.state = "RUNNING"
        found = []
        driver.on_receive = lambda can_id, data: found.append([can_id, _hex(data)])
        for chunk in _chunks(case[1:], case[0] or 256):
            clock.advance(700)
            driver.poll()
            driver.send(0x351, b"12345678")
            driver.feed(chunk, len(chunk))
        assert driver.received == len(found)
        assert driver.state in ("RUNNING", "NO_ACK", "ERROR_PASSIVE", "BUS_OFF"), driver.state
        return found

    return run


# -- files -----------------------------------------------------------------------------------------------------------------


def _bundle():
    from io import BytesIO
    from firmware.system import bundle

    def run(case):
        try:
            for _ in bundle.check(BytesIO(case), "x64", (1, 28, 0), 400_000):
                pass
        except bundle.BundleError as error:
            assert error.args[0] and error.code, error
            return error.code
        return "good"

    return run


def _checked(config):
    """Every value that is no default must be one that may be set, whatever was read."""
    from firmware.config import rules, schema

    for key, value in config.stored.items():
        why = rules.check_value(schema.find(key), value)
        assert not why, (key, value, why)


def _stored():
    """The first byte says nothing; the rest is config.json."""
    import os
    import sys
    from firmware.config.config import Config

    path = sys.argv[2]

    def run(case):
        for name in ("/config.bad", "/config.json"):
            try:
                os.remove(path + name)
            except OSError:
                pass
        with open(path + "/config.json", "wb") as file:
            file.write(case[1:])
        config = Config(path, b"\x02\0\0\1\2\3")
        config.load()
        _checked(config)
        return [config.stored, config.problem]

    return run


def _body():
    """First byte: POST /api/config, restore, or a group. The rest is the body."""
    import json
    import sys
    from firmware.config.config import Config, ConfigError
    from firmware.http.api import ApiError
    from firmware.http.body import read_json

    config = Config(sys.argv[2], b"\x02\0\0\1\2\3")
    config.load()

    def change(kind, obj):
        if kind == 1:
            return config.restore(obj)
        if kind in (2, 3):
            return config.update_group(("mqtt", "alerts")[kind - 2], obj)
        return config.update(obj)

    def run(case):
        request = _Request(case[1:], {})
        before = config.stored = {"charge.rebulk_soc": 77}
        try:
            obj = asyncio.run(read_json(request, 8192))
            change(case[0] % 4, obj)
        except ApiError as error:
            assert config.stored is before, config.stored
            return error.args and str(error.args[0])
        except ConfigError as error:
            assert config.stored is before and error.details, config.stored
            return "refused"
        _checked(config)
        json.dumps(config.stored)
        return "taken"

    return run


# -- the network -----------------------------------------------------------------------------------------------------------


def _mqtt():
    from firmware.mqtt import client
    from tests.unit.help import FakeClock

    def run(case):
        found = []
        made = client.Connection(b"gw", FakeClock(), lambda topic, payload: found.append([_hex(topic), _hex(payload)]))
        left = list(_chunks(case[1:], case[0] * 2 + 1))
        left.reverse()

        async def fill():
            made._acks = bytearray()  # the writer sends them
            if not left:
                raise client.Failure("tcp", "end")
            part = left.pop()
            made._buffer[: len(part)] = part
            made._at, made._end = 0, len(part)

        made._fill = fill
        asyncio.run(made._read())
        assert made.failed.stage in ("tcp", "mqtt")
        return [found, made.failed.stage, made.received, made.skipped]

    return run


def _dns():
    """First byte: bit 0 = mDNS. The question was number 0x1234, broker.test or broker.local."""
    from firmware.net import dns

    def run(case):
        local = case[0] & 1
        try:
            return dns.answer(case[1:], 0x1234, "broker.local" if local else "broker.test", local)
        except OSError as error:
            return str(error)

    return run


def _ntp():
    """Our mark is 8 times 0x11."""
    from firmware.net import ntp
    from tests.unit.help import FakeClock

    def run(case):
        try:
            stamp = ntp.answer(case, b"\x11" * 8)
        except OSError as error:
            return str(error)
        if stamp is not None:
            FakeClock().set_epoch_ms(stamp, "ntp")
        return stamp

    return run


def _captive():
    from firmware.net import captive_dns

    def run(case):
        packet = captive_dns.answer(case, b"\xc0\xa8\4\1")
        return packet and _hex(packet)

    return run


def _stream(clock, data, size):
    """A Connection whose socket gives `data` in pieces and takes everything. `.said` is what was sent."""
    from firmware.http.connection import Connection

    class Stream(Connection):
        said = b""

        async def receive(self):
            self._in = self._in[self._at :] + self.rest[:size]
            self._at = 0
            there = bool(self.rest)
            self.rest = self.rest[size:]
            return there

        async def _send(self, data):
            self.said += bytes(data)

    stream = Stream(None, "10.0.0.9", clock, [])
    stream.rest = data
    return stream


class _Request:
    def __init__(self, body, headers):
        from tests.unit.help import FakeClock

        self.headers = headers
        self.content_length = len(body)
        self.stream = _stream(FakeClock(), body, 512)
        self.stream.unread = len(body)


def _http():
    """First byte: how many bytes come at a time. The rest is all that the client says: through reader, Web and every handler."""
    from firmware.http.server import Server
    from tests.unit.http_parts import Parts

    parts = Parts()
    parts.bms = None  # as in safe mode: without the two wires
    server = Server(parts)

    def run(case):
        stream = _stream(parts.board, case[1:], case[0] * 4 + 1)
        parts.board.advance(5000)
        asyncio.run(server._answer(stream))
        if stream.session:
            stream.session.close()
        assert server.web.sockets == 0
        told = [text for level, _, text in parts.log.lines if level == "error"]
        del parts.log.lines[:]
        del parts.restarts[:]
        assert not told, told
        server.web.sweep()
        return _hex(stream.said[:200])

    return run


def _multipart():
    """First byte: pieces; second: length of the boundary, which follows; then the body."""
    from firmware.http.api import ApiError
    from firmware.http.multipart import Multipart

    async def read(request):
        form = Multipart(request)
        found = []
        while await form.next():
            data = b""
            while piece := await form.read():
                data += piece
                assert len(form._text) < 3000, len(form._text)
            found.append([form.name, form.filename, _hex(data)])
        return found

    def run(case):
        size = case[1]
        try:
            boundary = case[2 : 2 + size].decode()
        except ValueError:
            return "no text"  # such a header does not get so far
        request = _Request(case[2 + size :], {"content-type": "multipart/form-data; boundary=" + boundary})
        try:
            return asyncio.run(read(request))
        except ApiError as error:
            return str(error.args[0]) if error.args else "refused"

    return run


def _websocket():
    """First byte: pieces. Gives the frames that were taken, and whether it ended as broken."""
    from firmware.bus import Bus
    from firmware.http import ws
    from tests.unit.help import FakeClock

    class Parts:
        board = FakeClock()

    class App:
        parts = Parts

    def run(case):
        size = case[0] * 4 + 1
        stream = _stream(Parts.board, case[1:], size)
        found, bad = [], False
        try:
            while True:
                frame = ws.take_frame(stream)
                if frame:
                    found.append([frame[0], _hex(frame[1])])
                elif not asyncio.run(stream.receive()):
                    break
        except ws.BadFrame:
            bad = True
        client = ws.Client(App, _stream(Parts.board, case[1:], size), None, None)
        client._queue = Bus().queue((), 8)
        asyncio.run(client._read())
        return [found, bad]

    return run
