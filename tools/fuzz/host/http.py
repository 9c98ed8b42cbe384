"""HTTP: requests to every handler, forms with files, WebSocket frames."""

from __future__ import annotations

import json

from hypothesis import strategies as st

from tools.fuzz.host.common import byte, headed, joined, need, noise
from tools.fuzz.host.files import nested, plain, scalar, value

METHODS = st.sampled_from("GET POST HEAD DELETE PUT OPTIONS get".split())
PATHS = st.sampled_from(
    (
        "/ /api/status /api/config /api/config/schema /api/config/backup /api/config/restore /api/system/info /api/auth/password"
        " /api/auth/login /api/metrics/runtime /api/event-bus/metrics /metrics /ws/telemetry /ws/page /ws/events /../x /api/% //"
        " /api/system/time /api/system/tasks /api/system/log /api/wifi/status /api/registers /api/history /api/mqtt/config"
        " /api/ota /api/alerts/active /api/can/status /setup /x.js /api/openapi.json /api/system/restart /api/ble /api/energy"
    ).split()
)
query = st.sampled_from(
    ("", "?limit=1", "?secrets=1", "?a=%zz", "?a=%00&b", "?limit=-1", "?=&=&", "?group=x", "?lang=fr")
)
header = st.one_of(
    st.sampled_from((
        b"Upgrade: websocket", b"Connection: Upgrade", b"Sec-WebSocket-Key: dGhlIHNhbXBsZQ==", b"Sec-WebSocket-Version: 13",
        b"Content-Type: application/json", b"Origin: http://127.0.0.1", b"Origin: http://x.example", b"Origin: null",
        b"Authorization: Basic YWRtaW46eA==", b"Authorization: Basic %%%", b"Authorization: Basic /w==", b"Host: 127.0.0.1:80",
        b"If-None-Match: x", b"Content-Length: 5", b"Content-Length: -1", b"Transfer-Encoding: chunked", b"Expect: 100-continue",
        b"X-Requested-With: x", b"Cookie: a=b",
    )),
    st.tuples(st.binary(max_size=12), st.binary(max_size=30)).map(b": ".join),
)  # fmt: skip
json_body = st.one_of(
    plain.map(lambda v: json.dumps(nested(v)).encode()), value.map(lambda v: json.dumps(v).encode()), noise,
    st.dictionaries(
        st.sampled_from("password old target delay_ms epoch_ms timestamp_ms address value level key".split()), scalar, max_size=3
    ).map(lambda v: json.dumps(v).encode()),
)  # fmt: skip


@st.composite
def http(draw):
    """One request, mostly understandable."""
    start = f"{draw(METHODS)} {draw(PATHS)}{draw(query)} HTTP/1.1\r\nHost: 127.0.0.1\r\n".encode()
    heads = b"".join(one + b"\r\n" for one in draw(st.lists(header, max_size=5)))
    data = draw(json_body) if draw(st.booleans()) else b""
    if data:
        heads += b"Content-Type: application/json\r\nContent-Length: %d\r\n" % len(data)
    return draw(byte) + start + heads + b"\r\n" + data


STATUSES = b"101 200 204 302 304 400 401 403 404 405 409 413 415 423 429 503".split()


def check_http(case, told):
    answer = bytes.fromhex(told)
    answer = answer.removeprefix(b"HTTP/1.1 100 Continue\r\n\r\n")
    need(not answer or (answer.startswith(b"HTTP/1.1 ") and answer[9:12] in STATUSES), answer)


part = st.tuples(
    st.sampled_from((b'form-data; name="firmware"', b'form-data; name="a"; filename="b"', b"form-data", b"attachment", b"\xff")),
    st.sampled_from((b"", b"\r\nContent-Type: text/plain", b"\r\n\xff\xfe", b"\r\n" + b"x" * 1100)),
    st.binary(max_size=80) | st.sampled_from((b"\r\n--", b"\r\n--B", b"x" * 1500, b"\r\n" * 20)),
).map(lambda p: b"Content-Disposition: " + p[0] + p[1] + b"\r\n\r\n" + p[2])  # fmt: skip


@st.composite
def multipart(draw):
    mark = draw(st.sampled_from((b"B", b"----WebKitFormBoundary7MA4", b"x" * 70, b"x" * 71)))
    parts = b"".join(b"--" + mark + b"\r\n" + one + b"\r\n" for one in draw(st.lists(part, max_size=4)))
    return draw(byte) + bytes((len(mark),)) + mark + parts + b"--" + mark + b"--\r\n"


def check_multipart(case, told):
    if isinstance(told, list):
        for _, _, data in told:
            need(bytes.fromhex(data) in case, told)


@st.composite
def ws_frame(draw):
    data = draw(
        st.one_of(st.binary(max_size=140), st.sampled_from((b'{"type":"ping"}', b"[" * 500, b"{}", b"x" * 600)))
    )
    head = bytes((draw(st.sampled_from((0x81, 0x81, 0x82, 0x88, 0x89, 0x8A, 0x01, 0x83, 0xC1))),))
    size = bytes((0x80 | len(data),)) if len(data) < 126 else b"\xfe" + len(data).to_bytes(2, "big")
    mask = draw(st.binary(min_size=4, max_size=4))
    return head + size + mask + bytes(one ^ mask[i & 3] for i, one in enumerate(data))


websocket = headed(byte, joined(st.one_of(ws_frame(), ws_frame(), noise), 5))


def ws_frames(data):
    """(frames, broken) by RFC 6455 and our limit of 512 bytes."""
    found, at = [], 0
    while at + 2 <= len(data):
        opcode, size, start = data[at] & 15, data[at + 1] & 127, at + 6
        if (
            data[at] & 0xF0 != 0x80
            or not data[at + 1] & 128
            or opcode not in (1, 2, 8, 9, 10)
            or (opcode > 7 and size > 125)
        ):
            return found, True
        if size == 127:
            return found, True
        if size == 126:
            if at + 4 > len(data):
                break
            size, start = int.from_bytes(data[at + 2 : at + 4], "big"), at + 8
        if size > 512:
            return found, True
        if start + size > len(data):
            break
        mask = data[start - 4 : start]
        found.append([opcode, bytes(one ^ mask[i & 3] for i, one in enumerate(data[start : start + size])).hex()])
        at = start + size
    return found, False


def check_websocket(case, told):
    need(told == list(ws_frames(case[1:])), told, ws_frames(case[1:]))
