"""What strangers send: malformed HTTP, bad WebSocket frames, floods, slow readers. The gateway answers on, its heap stays."""

import json
import os
import random
import socket
import struct
import time

import pytest
from tests.integration.parts import free_heap, wait_for
from tests.integration.watch import Stalls
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import connect

IN_TIME_S = 2
SMALL_HEAP_FREE = 20 * 1024  # below this nothing new is taken on
HEAP_TOLERANCE = 24_000  # bytes: what lies between two collections, and a module that was loaded meanwhile


PATHS = (
    b"/../../etc/passwd", b"/%2e%2e/main.py", b"//", b"/.", b"/api", b"/api//", b"/ws/", b"/ws/telemetry/x", b"/?%",
    b"/api/%00", b"/api/=", b"/api/status/..",
)  # fmt: skip
LINES = (
    b"BREW / HTTP/1.1", b"GET / HTTP/9", b"GET /", b"GET  / HTTP/1.1", b"PRI * HTTP/2.0", b"OPTIONS * HTTP/1.1", b"",
)  # fmt: skip


def raw(running, data, read=True, timeout=5):
    """Send bytes, give the answer until the end; b"" when the gateway just closed."""
    with socket.create_connection(("127.0.0.1", running.gateway.port), timeout) as link:
        try:
            link.sendall(data)
            if not read:
                return b""
            link.shutdown(socket.SHUT_WR)
            answer = b""
            while piece := link.recv(65536):
                answer += piece
            return answer
        except OSError:
            return b""


def answers(running):
    start = time.monotonic()
    assert running.http("/api/status", timeout=IN_TIME_S + 3).status == 200
    return time.monotonic() - start


def heap(running):
    """Free heap as it is after a collection: the best of some samples."""
    return free_heap(running.gateway, 12)


def malformed(dice, host):
    """One malformed or unusual request."""
    good = f"GET /api/status HTTP/1.1\r\nHost: {host}\r\n\r\n".encode()
    post = f"POST /api/config HTTP/1.1\r\nHost: {host}\r\nContent-Type: application/json\r\n".encode()
    kind = dice.randrange(12)
    if kind == 0:  # truncated
        return good[: dice.randrange(len(good))]
    if kind == 1:  # binary
        return dice.randbytes(dice.randrange(1, 4000))
    if kind == 2:  # a bit or some bytes flipped
        data = bytearray(good)
        for _ in range(dice.randrange(1, 6)):
            data[dice.randrange(len(data))] = dice.randrange(256)
        return bytes(data)
    if kind == 3:  # huge line
        return b"GET /" + b"a" * dice.randrange(500, 60_000) + b" HTTP/1.1\r\n\r\n"
    if kind == 4:  # huge or very many headers
        return good[:-2] + b"X-A: " + b"b" * dice.randrange(900, 30_000) + b"\r\n" * dice.randrange(3)
    if kind == 5:
        return good[:-2] + b"".join(b"X-%d: y\r\n" % i for i in range(dice.randrange(30, 3000))) + b"\r\n"
    if kind == 6:  # wrong lengths
        length = dice.choice((b"-1", b"1e3", b"99999999999999999999", b"0x10", b"", b"5, 5", b"4097", b"100000"))
        return post + b"Content-Length: " + length + b"\r\n\r\n" + dice.randbytes(dice.randrange(300))
    if kind == 7:  # bad bodies
        body = dice.choice(
            (b"[" * 3000, b'{"a":' * 500, b"null", b"1", b'"x"', b'{"wifi_ssid": 1e999}', dice.randbytes(200))
        )
        return post + b"Content-Length: %d\r\n\r\n" % len(body) + body
    if kind == 8:  # pipelined
        return good * dice.randrange(2, 30)
    if kind == 9:  # paths
        return good.replace(b"/api/status", dice.choice(PATHS))
    if kind == 10:  # methods and versions
        return dice.choice(LINES) + good[good.index(b"\r\n") :]
    return post + b"Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n"


def test_a_thousand_malformed_requests(running):
    dice = random.Random(20)
    host = f"127.0.0.1:{running.gateway.port}"
    for path in ("/", "/api/status", "/api/config", "/metrics"):
        assert running.http(path).status == 200
    assert running.http("/api/config", "POST", {}).status == 200
    before = heap(running)  # with the modules loaded that the requests below reach
    for i in range(1000):
        data = malformed(dice, host)
        answer = raw(running, data, read=dice.random() < 0.9)
        if answer:
            assert answer.startswith(b"HTTP/1.1 "), (data[:200], answer[:200])
            assert answer[9:12] in (b"200", b"400", b"403", b"404", b"405", b"413"), (data[:200], answer[:300])
        if i % 100 == 99:
            assert answers(running) < IN_TIME_S
    assert heap(running) > before - HEAP_TOLERANCE
    assert not [line for line in running.gateway.child.lines if "error http" in line]


def test_nothing_outside_the_page_directory_is_served(running):
    for path in (
        "/../boot.py",
        "/..%2fboot.py",
        "/index.html/../../main.py",
        "//etc/passwd",
        "/.hidden",
        "/index.html.gz",
    ):
        answer = raw(running, f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n".encode())
        assert answer[9:12] == b"404", (path, answer)


def test_half_open_connections_are_ended_and_the_others_wait(running):
    links = [socket.create_connection(("127.0.0.1", running.gateway.port)) for _ in range(6)]
    for link in links:
        link.sendall(b"GET /api/status HTTP/1.1\r\nHost: x\r\nX-Slow: ")
    start = time.monotonic()
    assert running.http("/api/status", timeout=25).status == 200  # waits in the backlog until one is ended
    waited = time.monotonic() - start
    assert 5 < waited < 20, waited
    for link in links:
        link.settimeout(15)
        assert link.recv(100) == b""
        link.close()


def test_a_request_that_drips_is_ended(running):
    with socket.create_connection(("127.0.0.1", running.gateway.port)) as link:
        start = time.monotonic()
        try:
            while time.monotonic() - start < 25:
                link.sendall(b"G")
                time.sleep(0.3)
        except ConnectionError:
            pass
        assert 8 < time.monotonic() - start < 20


def test_a_slow_reader_is_dropped_and_delays_nobody(running):
    with socket.socket() as link:
        link.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1024)
        link.connect(("127.0.0.1", running.gateway.port))
        key = "dGhlIHNhbXBsZSBub25jZQ=="
        link.sendall(
            f"GET /ws/can HTTP/1.1\r\nHost: 127.0.0.1\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            f"Sec-WebSocket-Key: {key}\r\nSec-WebSocket-Version: 13\r\n\r\n".encode()
        )
        # never reads; another one does
        with Stalls() as machine, connect(running.gateway.ws_url + "/ws/telemetry") as good:
            stamps = [json.loads(good.recv(5))["timestamp_ms"] for _ in range(6)]
        gaps = [b - a for a, b in zip(stamps[1:], stamps[2:])]
        assert max(gaps) < 1500 + machine.seconds * 1000, gaps
        assert answers(running) < IN_TIME_S


def test_at_most_three_sockets(running):
    links = []
    for _ in range(3):
        link, answer = upgraded(running)
        assert b" 101 " in answer
        links.append(link)
    try:
        with pytest.raises(InvalidStatus) as error:
            connect(running.gateway.ws_url + "/ws/events")
        assert error.value.response.status_code == 503
        assert answers(running) < IN_TIME_S
    finally:
        for link in links:
            link.close()

    def free():
        try:
            with connect(running.gateway.ws_url + "/ws/events"):
                return True
        except InvalidStatus:
            return False

    wait_for(free, 10, "a place for the next socket")


def frame(opcode, payload=b"", mask=b"\1\2\3\4", fin=0x80, length=None, rsv=0):
    """A WebSocket frame of a client, right or wrong; `length`: what it claims."""
    size = len(payload) if length is None else length
    head = bytes([fin | rsv | opcode])
    flag = 0x80 if mask else 0
    if size < 126:
        head += bytes([flag | size])
    elif size < 65536:
        head += bytes([flag | 126]) + struct.pack(">H", size)
    else:
        head += bytes([flag | 127]) + struct.pack(">Q", size)
    if not mask:
        return head + payload
    return head + mask + bytes(byte ^ mask[i % 4] for i, byte in enumerate(payload))


BAD_FRAMES = {
    "no mask": frame(1, b'{"type":"ping"}', mask=b""),
    "fragment": frame(1, b'{"type":', fin=0) + frame(0, b'"ping"}'),
    "continuation without a start": frame(0, b"x"),
    "too long": frame(1, b"x" * 2000),
    "claims 2^63": frame(1, b"x" * 10, length=(1 << 63) - 1),
    "long ping": frame(9, b"x" * 200),
    "reserved bit": frame(1, b"x", rsv=0x40),
    "not UTF-8": frame(1, b"\xff\xfe\xfd"),
    "cut off": frame(1, b"hello")[:5],
    "binary": frame(2, bytes(100)),
    "unknown opcode": frame(5, b"x"),
    "close": frame(8, b"\x03\xe8"),
    "flood": frame(1, b'{"type":"ping"}') * 3000,
    "ping flood": frame(9, b"x" * 100) * 3000,
    "noise": os.urandom(5000),
}


def upgraded(running, path="/ws/telemetry"):
    link = socket.create_connection(("127.0.0.1", running.gateway.port), 5)
    link.sendall(
        f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n".encode()
    )
    answer = b""
    while b"\r\n\r\n" not in answer:
        piece = link.recv(1)
        if not piece:
            break
        answer += piece
    return link, answer


@pytest.mark.parametrize("name", BAD_FRAMES)
def test_bad_frames(running, name):
    def enter():
        link, answer = upgraded(running)
        if b"s3pPLMBiTxaQ9kYGzzhZRbK+xOo=" in answer:  # RFC 6455, 1.3
            return link
        link.close()
        return None

    for _ in range(3):
        link = wait_for(enter, 10, "a place")
        with link:
            try:
                link.sendall(BAD_FRAMES[name])
                link.settimeout(0.3)
                while link.recv(65536):
                    pass
            except OSError:
                pass
    assert answers(running) < IN_TIME_S


def test_sockets_leave_no_memory_behind(running):
    answers(running)
    with connect(running.gateway.ws_url + "/ws/telemetry") as socket_:
        socket_.recv(5)
    before = heap(running)
    for i in range(60):
        try:
            with connect(running.gateway.ws_url + "/ws/telemetry") as link:
                link.recv(5)
                if i % 3 == 0:
                    link.socket.close()  # without a word
        except (InvalidStatus, ConnectionClosed, OSError):
            time.sleep(0.3)
    assert heap(running) > before - HEAP_TOLERANCE


def test_frames_in_pieces_are_understood(running):
    link, _ = wait_for(lambda: upgraded(running, "/ws/events"), 10)
    with link:
        for byte in frame(1, b'{"type":"ping"}'):
            link.sendall(bytes([byte]))
            time.sleep(0.01)
        assert b'"pong"' in link.recv(1000)


def test_two_dashboards_on_a_small_heap(host_build, parts):
    """`make run ARGS="--heap 200k"`: what a board leaves to Python. Prints the free heap (`-s`, or when it fails)."""
    parts.start_all(heap="200k", no_restart=True)
    parts.wait_connected(30)
    print("free heap: alone", heap(parts), end="", flush=True)
    address = parts.gateway.ws_url + "/ws/telemetry"
    with connect(address) as one, connect(address) as two:
        for _ in range(4):
            for link in (one, two):
                assert json.loads(link.recv(10))["cells"]
            assert parts.http("/", timeout=10).status == 200
        free = heap(parts)
        print(", with two dashboards", free, "lowest", parts.gateway.status()["min_heap"], flush=True)
    assert free > SMALL_HEAP_FREE
