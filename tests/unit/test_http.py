import asyncio
import json
from tests.unit.help import raises
from tests.unit.http_parts import Gateway


async def test_status_is_null_while_disconnected():
    async with Gateway() as gateway:
        status, headers, body = await gateway.ask("GET", "/api/status")
    assert status == 200, body
    assert headers["content-type"].startswith("application/json")
    battery = json.loads(body)["battery"]
    assert battery == {
        "voltage_mv": None,
        "current_ma": None,
        "soc_percent": None,
        "soh_percent": None,
        "temperature_c": None,
        "cells_count": None,
        "status": "DISCONNECTED",
    }


async def test_status_of_a_living_battery():
    async with Gateway() as gateway:
        gateway.parts.poll()
        _, _, body = await gateway.ask("GET", "/api/status")
    battery = json.loads(body)["battery"]
    assert battery == {
        "voltage_mv": 13205,
        "current_ma": -1500,
        "soc_percent": 83,
        "soh_percent": None,
        "temperature_c": 9.7,
        "cells_count": 4,
        "status": "DISCHARGING",
    }


async def test_unknown_paths_and_methods():
    async with Gateway() as gateway:
        status, _, body = await gateway.ask("GET", "/api/nothing")
        assert status == 404 and json.loads(body)["code"] == "NOT_FOUND"
        status, headers, body = await gateway.ask("POST", "/api/status", "{}")
        assert status == 405 and json.loads(body)["code"] == "METHOD_NOT_ALLOWED"
        assert headers["allow"] == "GET, HEAD"
        status, _, body = await gateway.ask("GET", "/api/alerts/active")
        assert status == 503 and json.loads(body)["code"] == "NOT_AVAILABLE"
        status, _, body = await gateway.ask("GET", "/../firmware/app.py")
        assert status == 404


async def test_malformed_requests_get_400():
    async with Gateway() as gateway:
        for bad in (
            b"\r\n\r\n",
            b"GET\r\n\r\n",
            b"GET / HTTP/2.0\r\n\r\n",
            b"get / HTTP/1.1\r\nHost: x\r\n\r\n",
            b"GET /\xff HTTP/1.1\r\nHost: x\r\n\r\n",
            b"GET http://x/ HTTP/1.1\r\nHost: x\r\n\r\n",
            b"GET /?a=%zz HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n",
            b"GET / HTTP/1.1\r\n\r\n",
            b"GET / HTTP/1.1\r\nHost: x\r\nnocolon\r\n\r\n",
            b"GET / HTTP/1.1\r\nHost: x\r\nContent-Length: -5\r\n\r\n",
            b"GET / HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n",
            b"POST /api/config HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
            b"GET / HTTP/1.1\r\nHost: x\r\n" + b"A: b\r\n" * 41 + b"\r\n",
            b"GET /" + b"a" * 2000 + b" HTTP/1.1\r\n\r\n",
            b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(300),
        ):
            answer = await gateway.raw(bad + b"\n")
            assert answer.startswith(b"HTTP/1.1 400 "), (bad, answer)
            assert b'"code": "BAD_REQUEST"' in answer
        assert (await gateway.ask("GET", "/api/status"))[0] == 200
        assert not [line for line in gateway.parts.log.lines if line[0] == "error"]


async def _in_pieces(gateway, data, size):
    reader, writer = await asyncio.open_connection("127.0.0.1", gateway.port)
    for at in range(0, len(data), size):
        writer.write(data[at : at + size])
        await writer.drain()
        await asyncio.sleep_ms(1)
    answer = await asyncio.wait_for(reader.read(-1), 5)
    writer.close()
    await writer.wait_closed()
    return answer


async def test_a_head_may_come_in_pieces_and_be_longer_than_a_buffer():
    head = b"POST /api/config HTTP/1.1\r\nHOST:127.0.0.1\r\n"
    long = head + b"".join(b"Cookie: %d=%s\r\n" % (i, b"a" * 700) for i in range(5))
    tail = b"User-Agent: \xe9\nContent-Type:\tapplication/json \r\ncontent-LENGTH: 19\r\n\r\n" + b'{"mqtt_port": 1884}'
    async with Gateway() as gateway:
        for start, sizes in ((head, (1, 7, 1000)), (long, (333, 1024, 9999))):
            for size in sizes:
                gateway.parts.config.update({"mqtt_port": 1883})
                answer = await _in_pieces(gateway, start + tail + b" ", size)
                assert answer.startswith(b"HTTP/1.1 200 OK\r\n"), (size, answer)
                assert gateway.parts.config.get("mqtt.port") == 1884
        for line in (b"A: " + b"a" * 1100, b"a" * 1100, b" a: b", b"a : b", b": b"):
            answer = await _in_pieces(gateway, head + line + b"\r\n\r\n", 600)
            assert answer.startswith(b"HTTP/1.1 400 "), (line, answer)
        for cut in (0, 5, len(head), len(head) + 4):
            reader, writer = await asyncio.open_connection("127.0.0.1", gateway.port)
            writer.write((head + tail)[:cut])
            await writer.drain()
            writer.close()
            await writer.wait_closed()
        await asyncio.sleep_ms(100)
        assert not gateway.server._connections and len(gateway.server._buffers) <= 2


def test_the_headers_that_are_wanted_are_known_by_their_mark():
    from firmware.http import request
    from firmware.http.api import ApiError

    for name in request._KEPT.split():
        found = {}
        line = name.upper().encode() + b": x"
        if name == "transfer-encoding":
            assert raises(ApiError, request._header, found, line, 0, len(line)).status_code == 400
        else:
            request._header(found, line, 0, len(line))
            assert found == {name: "x"}


async def test_foreign_pages_and_names_may_not_change_anything():
    async with Gateway() as gateway:
        own = "127.0.0.1:%d" % gateway.port

        async def post(host, origin=None):
            lines = ["POST /api/config HTTP/1.1", "Host: " + host, "Content-Length: 2"]
            if origin:
                lines.append("Origin: " + origin)
            answer = await gateway.raw(("\r\n".join(lines) + "\r\n\r\n{}").encode())
            return int(answer[9:12])

        assert await post(own) == 200
        assert await post(own, "http://" + own) == 200
        assert await post("localhost:1", "http://localhost:1") == 200
        assert await post("tinybms-gw.local", "http://tinybms-gw.local") == 200
        assert await post("[::1]:80", "http://[::1]") == 200
        assert await post("evil.example") == 403
        assert await post(own, "http://evil.example") == 403
        assert await post(own, "http://127.0.0.1:1") == 403
        assert await post(own, "null") == 403
        gateway.parts.config.update({"auth": {"allowed_hosts": "Battery.example, b.example"}})
        assert await post("battery.example", "https://battery.example") == 200
        assert await post(own, "http://b.example") == 200


async def test_pins_are_refused_or_warned_about():
    async with Gateway() as gateway:
        status, _, body = await gateway.ask("POST", "/api/config", '{"can_tx_pin": 36}')
        assert status == 400 and json.loads(body)["details"] == "can_tx_pin must not be 36: it is an input only"
        status, _, body = await gateway.ask("POST", "/api/config", '{"system": {"board": "t-can485", "led_pin": 12}}')
        text = "system_led_pin 12: strapping pin, what is connected must not hold it while the chip starts"
        assert status == 200 and json.loads(body)["warnings"] == [text]
        assert json.loads((await gateway.ask("GET", "/api/system/info"))[2])["pin_warnings"] == [text]
        assert gateway.parts.config.get("can.tx_pin") == 27 and gateway.parts.restarts
        status, _, body = await gateway.ask("POST", "/api/config", '{"mqtt_port": 1884}')
        assert "warnings" not in json.loads(body)
