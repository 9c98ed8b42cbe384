import asyncio
import json
import sys
from tests.unit.help import raises
from tests.unit.http_parts import Gateway

LOW = 20 * 1024 if sys.maxsize >= 1 << 32 else 14 * 1024


async def test_nothing_is_accepted_while_memory_is_short():
    async with Gateway() as gateway:
        gateway.parts.board.free = LOW - 1
        try:
            await asyncio.wait_for(gateway.ask("GET", "/api/status"), 1)
            raise AssertionError("answered")
        except asyncio.TimeoutError:
            pass
        gateway.parts.board.free = LOW
        assert (await gateway.ask("GET", "/api/status"))[0] == 200
        gateway.parts.board.idf = 12 * 1024 - 1
        assert gateway.server.web.low_memory()
        gateway.parts.board.idf = 12 * 1024
        assert not gateway.server.web.low_memory()


async def test_the_heap_is_not_looked_at_for_each_request():
    async with Gateway() as gateway:
        board, web, looks = gateway.parts.board, gateway.server.web, []
        heap_free = board.heap_free
        board.heap_free = lambda: looks.append(1) or heap_free()
        for _ in range(5):
            assert not web.low_memory()
        assert len(looks) <= 2, looks  # it goes through the whole heap; a slow machine may need more than 50 ms
        board.free = LOW - 1
        board.advance(50)
        assert web.low_memory()
        board.free = LOW
        assert not web.low_memory()  # that it is low is never taken from memory


async def test_a_request_that_does_not_come_is_ended():
    async with Gateway() as gateway:
        reader, writer = await asyncio.open_connection("127.0.0.1", gateway.port)
        writer.write(b"GET / HTTP/1.1\r\n")
        await writer.drain()
        await asyncio.sleep_ms(100)
        gateway.parts.board.advance(9_000)
        await asyncio.sleep_ms(600)
        assert len(gateway.server._connections) == 1
        gateway.parts.board.advance(1_500)
        assert await asyncio.wait_for(reader.read(10), 3) == b""
        assert not gateway.server._connections
        writer.close()


async def test_idle_sockets_are_pinged_and_dropped():
    async with Gateway() as gateway:
        reader, writer = await asyncio.open_connection("127.0.0.1", gateway.port)
        writer.write(
            b"GET /ws/events HTTP/1.1\r\nHost: 127.0.0.1\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
        )
        await writer.drain()
        while await reader.readline() != b"\r\n":
            pass
        gateway.parts.board.advance(21_000)
        assert await asyncio.wait_for(reader.readexactly(2), 3) == b"\x89\x00"  # ping
        gateway.parts.board.advance(30_000)
        assert await asyncio.wait_for(reader.read(10), 3) == b""
        assert gateway.server.web.sockets == 0
        assert gateway.parts.bus.metrics()["active_subscriptions"] == 0
        writer.close()


async def test_modules_come_when_asked_and_go_when_idle():
    async with Gateway() as gateway:
        web = gateway.server.web
        assert not web._modules
        await gateway.ask("GET", "/api/config")
        assert list(web._modules) == ["config_api"]
        web.sweep()
        assert web._modules
        gateway.parts.board.advance(31_000)
        web.sweep()
        assert not web._modules
        assert (await gateway.ask("GET", "/api/config"))[0] == 200


async def test_bodies_have_limits():
    async with Gateway() as gateway:
        status, _, body = await gateway.ask("POST", "/api/config", " " * 8193)
        assert status == 413 and json.loads(body)["code"] == "PAYLOAD_TOO_LARGE"
        status, _, body = await gateway.ask("POST", "/api/system/restart", " " * 257)
        assert status == 400
        status, _, body = await gateway.ask("POST", "/api/config", '{"mqtt":' * 20 + "1" + "}" * 20)
        assert status == 400 and json.loads(body)["details"] == "nested too deep"
        status, _, body = await gateway.ask("POST", "/api/config", '{"mqtt_port": 1884.0}')
        assert status == 200 and gateway.parts.config.get("mqtt.port") == 1884


async def test_a_broken_handler_answers_500_and_is_logged():
    async with Gateway() as gateway:
        gateway.parts.tasks = None
        status, _, body = await gateway.ask("GET", "/api/system/tasks")
        assert status == 500 and json.loads(body)["code"] == "INTERNAL_SERVER_ERROR"
        assert [line for line in gateway.parts.log.lines if line[0] == "error"]


async def test_big_answers_come_in_small_pieces():
    from firmware.http.json_stream import pieces

    value = {"a": (i for i in range(500)), "b": [{"c": 1, "d": None}] * 50, "e": [], "f": {"g": {"h": "x"}}}
    made = list(pieces(value))
    assert max(len(piece) for piece in made) < 100
    back = json.loads("".join(made))
    assert back["a"] == list(range(500)) and len(back["b"]) == 50 and back["e"] == [] and back["f"] == {"g": {"h": "x"}}


async def test_time_is_taken_from_the_browser_only_while_it_is_not_known():
    async with Gateway() as gateway:
        board = gateway.parts.board
        board.time_valid = False
        status, _, body = await gateway.ask("POST", "/api/system/time", '{"timestamp_ms": 1800000000000}')
        assert status == 200 and json.loads(body)["applied"] and board.epoch_ms() >= 1800000000000
        status, _, body = await gateway.ask("POST", "/api/system/time", '{"timestamp_ms": 1900000000000}')
        assert not json.loads(body)["applied"] and board.epoch_ms() < 1900000000000
        assert (await gateway.ask("POST", "/api/system/time", '{"timestamp_ms": 1}'))[0] == 400


async def test_constant_time_compare():
    from firmware.http.login import same

    assert same(b"abc", b"abc") and not same(b"abc", b"abd") and not same(b"abc", b"ab") and same(b"", b"")


def test_nothing_leads_out_of_the_page_directory():
    from firmware.http import static
    from firmware.http.api import ApiError

    for path in ("../x.js", "a/../../x.js", "/etc/x.js", ".x.js", "a/.x.js", "a\\x.js", "x", "x.gz", "é.js", "a//x.js"):
        assert raises(ApiError, static.send, "/tmp", path).status_code == 404
    assert static._hashed("app.1a2b3c4d.js") and not static._hashed("app.js") and not static._hashed("app.notahash.js")


async def test_a_module_that_cannot_be_loaded_answers_500():
    async with Gateway() as gateway:
        gateway.server.web._routes = lambda name: __import__("firmware.http.none_such")
        status, _, body = await gateway.ask("GET", "/api/status")
        assert status == 500 and json.loads(body)["code"] == "INTERNAL_SERVER_ERROR"


def test_query_strings():
    from firmware.http.query import parse

    assert parse("a=1&b=x%20y+z&a=2&&c&d=%C3%A9%&=") == {"a": "1", "b": "x y z", "c": "", "d": "é%", "": ""}
    for bad in ("a=%zz", "a=%ff", "%-1"):
        raises(ValueError, parse, bad)


def test_the_language_that_is_asked_for():
    from firmware.http.api import ApiError
    from firmware.http.query import lang

    for nothing in (None, {}, {"limit": "5"}, {"lang": None}):
        assert lang(nothing, "fr") == "fr" and lang(nothing, None) is None
    assert lang({"lang": "en"}, "fr") == "en" and lang({"lang": "fr"}, None) == "fr"
    for bad in ("", "de", "EN", "fr,en", 1, True, [], ["fr"], {}):
        error = raises(ApiError, lang, {"lang": bad}, "fr")
        assert (error.status_code, error.code, error.details) == (400, "INVALID_PARAMETER", "lang must be fr or en")
