"""The targets, on the host: what hypothesis draws for each (`CASES`), and what is true of every answer (`CHECKS`)."""

from __future__ import annotations

import hashlib
import io
import json
import random
import struct
import tarfile
import zlib

from hypothesis import strategies as st

from tests import bundles


def crc16(data):
    value = 0xFFFF
    for byte in data:
        value ^= byte
        for _ in range(8):
            value = (value >> 1) ^ 0xA001 if value & 1 else value >> 1
    return value


def need(truth, *told):
    if not truth:
        raise AssertionError(told)


byte = st.integers(0, 255).map(lambda n: bytes((n,)))
noise = st.binary(max_size=60)


def joined(part, size=8):
    return st.lists(part, max_size=size).map(b"".join)


def headed(*heads):
    """Heads and a body, one after the other."""
    return st.tuples(*heads).map(b"".join)


# -- UART --

SHAPES = ((3, 4), (3, 112), (3, 88), (3, 36), (3, 20), (0x12, -1), (0x10, 1), (1, 2))


def sealed(body):
    return body + crc16(body).to_bytes(2, "little")


@st.composite
def uart_frame(draw, kind):
    code, third = SHAPES[kind]
    if code == 0x12:
        count = draw(st.integers(1, 50)) * 4
        body = bytes((code, count)) + draw(st.binary(min_size=count, max_size=count))
    elif code == 0x10:
        body = b"\x10\x01" + draw(st.binary(min_size=4, max_size=4))
    else:
        body = bytes((code, third)) + draw(st.binary(min_size=third, max_size=third))
    if draw(st.integers(0, 9)) == 0:
        body = bytes((0, draw(st.integers(0, 20)), draw(st.integers(0, 5))))
    return sealed(b"\xaa" + body)


@st.composite
def uart(draw):
    kind = draw(st.integers(0, len(SHAPES) - 1))
    code = bytes((0xAA, SHAPES[kind][0], SHAPES[kind][1] & 255))
    part = st.one_of(uart_frame(kind), noise, st.sampled_from((b"\xaa", code, code[:2], b"\xaa\x00", b"\xaa" * 30)))
    return bytes((kind,)) + draw(byte) + draw(joined(part, 6))


def check_uart(case, found):
    code = SHAPES[case[0] % len(SHAPES)][0]
    at = 2
    for text in found:
        frame = bytes.fromhex(text)
        need(crc16(frame) == 0 and frame[0] == 0xAA and frame[1] in (0, code), text)
        at = case.find(frame, at)  # as it came, and in order
        need(at >= 0, text)
        at += len(frame)


# -- SLCAN --

line = st.one_of(
    st.tuples(st.integers(0, 0xFFF), st.binary(max_size=8)).map(
        lambda f: b"t%03X%d" % (f[0], len(f[1])) + f[1].hex().encode()
    ),
    st.sampled_from((b"z", b"Z", b"F20", b"FA0", b"F22", b"F00", b"FZZ", b"V1013", b"N1", b"T000000010", b"zt1230", b"z" * 40)),
    st.binary(max_size=40),
    st.text("tTrRzZF0123456789ABCDEFabcdef", max_size=40).map(str.encode),
)  # fmt: skip
slcan = headed(byte, joined(st.tuples(line, st.sampled_from((b"\r", b"\r\n", b"\a", b"\n", b""))).map(b"".join)))


def slcan_frames(stream):
    """What a plain reading of the Lawicel lines makes of it."""
    text = bytearray()
    for sign in stream:
        if sign == 7:
            text.clear()
        elif sign in b"\r\n":
            if len(text) <= 32:
                while len(text) > 1 and text[0] in b"zZ":
                    del text[0]
                if frame := _slcan_frame(bytes(text)):
                    yield frame
            text.clear()
        else:
            text.append(sign)


def _slcan_frame(text):
    if text[:1] != b"t" or len(text) < 5 or not 48 <= text[4] <= 56:
        return None
    size = 2 * (text[4] - 48)
    if len(text) not in (5 + size, 9 + size) or any(c not in b"0123456789abcdefABCDEF" for c in text[1 : 5 + size]):
        return None
    can_id = int(text[1:4], 16)
    return [can_id, text[5 : 5 + size].decode().lower()] if can_id < 0x800 else None


def check_slcan(case, found):
    need(found == list(slcan_frames(case[1:])), found, list(slcan_frames(case[1:])))


# -- bundles --

names = st.sampled_from("firmware/a.mpy firmware/b.py lib/c.mpy www/d.gz www/x/e.gz ../x boot.py www/.a".split())
files = st.dictionaries(names, st.binary(max_size=700), max_size=4)
changes = st.dictionaries(
    st.sampled_from(tuple(bundles.HEAD)),
    st.one_of(st.none(), st.sampled_from(("x64", "tinybms-gw", "1.28.0", "9.9")), st.integers()),
    max_size=1,
)


@st.composite
def bundle(draw):
    """A bundle; half of them damaged before they are compressed, where a checksum does not find it."""
    some = draw(files)
    archive = bundles.tar([("manifest.json", bundles.manifest(some, **draw(changes))), *sorted(some.items())])
    archive += bytes(draw(st.sampled_from((0, 0, 512, 20_000, 200_000))))
    if draw(st.booleans()):
        archive = mutant(archive, random.Random(draw(st.integers(0, 1 << 32))))
    return bundles.pack(archive, draw(st.sampled_from((9, 12, 12, 12, 15))))


def unpacked(case):
    """What a gzip file holds, also with a wrong trailer: of a bundle the SHA-256 of each file is what counts."""
    stream, data = zlib.decompressobj(31), b""
    for byte in case:
        try:
            data += stream.decompress(bytes((byte,)))
        except zlib.error:
            break
    return data


def check_bundle(case, told):
    if told != "good":
        return
    with tarfile.open(fileobj=io.BytesIO(unpacked(case))) as archive:
        read = {member.name: archive.extractfile(member).read() for member in archive}
    manifest = json.loads(read.pop("manifest.json"))
    need(manifest["name"] == "tinybms-gw" and manifest["family"] == "x64")
    need({name: [hashlib.sha256(data).hexdigest(), len(data)] for name, data in read.items()} == manifest["files"])
    need(all(name.split("/")[0] in ("firmware", "lib", "www") and ".." not in name for name in read), read.keys())


# -- configuration --

KEYS = (
    "charge.ccl_max_ma charge.cvl_max_mv charge.rebulk_soc can.enabled can.speed_bps uart.baudrate uart.poll_interval_ms"
    " mqtt.port mqtt.broker_uri mqtt.topics.status mqtt.keepalive wifi.ssid wifi.password"
    " wifi.sta_ssid system.board time.utc_offset_min"
    " alerts.debounce_sec history.interval_ms log.level auth.password_hash auth.rounds device.name"
    " can.tx_pin uart.rx_pin http.port"
).split()
scalar = st.one_of(
    st.integers(), st.integers(-10, 100_000), st.booleans(), st.none(), st.text(max_size=40), st.floats(),
    st.sampled_from(("mqtt://a:1", "mqtts://x", "********", "info", "é" * 70, "", "esp32", "a\0b")),
)  # fmt: skip
value = st.recursive(
    scalar, lambda x: st.one_of(st.lists(x, max_size=3), st.dictionaries(st.text(max_size=8), x, max_size=3)), max_leaves=4
)  # fmt: skip
flat = st.dictionaries(st.sampled_from(KEYS), value, max_size=5)


def framed(values):
    body = json.dumps(values)
    return b'{"crc":"%08X","values":' % zlib.crc32(body.encode()) + body.encode() + b"}"


deep = st.integers(1, 3000).flatmap(
    lambda n: st.sampled_from((b"[" * n, b'{"values":' * n, b'{"values":{"a":' + b"[" * n + b"]" * n + b"}}"))
)
plain = st.dictionaries(st.sampled_from(KEYS), scalar, max_size=5)
stored = headed(
    st.just(b"\0"),
    st.one_of(plain.map(framed), flat.map(framed), flat.map(lambda v: json.dumps({"values": v}).encode()), deep, noise),
)


def nested(values):
    """The form of GET /api/config."""
    result = {}
    for key, held in values.items():
        place = result
        *groups, leaf = key.split(".")
        for group in groups:
            place = place.setdefault(group, {})
        place[leaf] = held
    return result


def leaves(values):
    return {key.split(".", 1)[1]: held for key, held in values.items()}


body = headed(
    byte,
    st.one_of(
        plain.map(lambda v: json.dumps(nested(v)).encode()),
        plain.map(lambda v: json.dumps({key.replace(".", "_"): held for key, held in v.items()}).encode()),
        flat.map(lambda v: json.dumps({"format": "tinybms-gw-config", "version": 1, "config": nested(v)}).encode()),
        flat.map(lambda v: json.dumps(leaves(v)).encode()),
        value.map(lambda v: json.dumps(v).encode()),
        deep,
    ),
)


def check_stored(case, told):
    values, problem = told
    try:
        text = case[1:].decode()
        held = json.loads(text)["values"]
        good = text[8:16] == f"{zlib.crc32(text[27:-1].encode()):08X}" and isinstance(held, dict)
    except (ValueError, KeyError, TypeError, RecursionError):
        return
    if good:  # what was stored whole comes back, or the problem says what does not
        lost = {key for key in held if key in values and values[key] != held[key]}
        need(not lost, lost, problem)


# -- MQTT --


def remaining(size):
    out = bytearray()
    while size > 127:
        out.append(size & 127 | 128)
        size >>= 7
    return bytes(out) + bytes((size,))


def packet(head, data):
    return bytes((head,)) + remaining(len(data)) + data


publish = st.tuples(st.integers(0x30, 0x3F), st.binary(max_size=140), st.binary(max_size=40), st.integers(1, 80)).map(
    lambda p: packet(p[0], struct.pack(">H", len(p[1])) + p[1] + (b"\0\7" if p[0] & 6 else b"") + p[2] * p[3])
)
mqtt = headed(
    byte,
    joined(
        st.one_of(
            publish,
            st.tuples(st.integers(0, 255), st.binary(max_size=8)).map(lambda p: packet(*p)),
            st.sampled_from((b"\x20\2\0\0", b"\x40\2\0\7", b"\x90\3\0\1\1", b"\xd0\0", b"\x30\xff\xff\xff\x7f", b"\x30\xff")),
            noise,
        )
    ),
)  # fmt: skip


def mqtt_messages(data):
    """The messages for us in a stream, as MQTT 3.1.1 says; (found, received)."""
    found, received, at = [], 0, 0
    try:
        while True:
            head, size, shift = data[at], 0, 0
            at += 1
            while True:
                one = data[at]
                at += 1
                size |= (one & 127) << shift
                shift += 7
                if one < 128:
                    break
                if shift > 21:
                    return found, received
            if head & 0xF0 != 0x30:
                at += size
                continue
            qos = head >> 1 & 3
            count = int.from_bytes(data[at : at + 2], "big")
            if qos > 1 or size < 2 or at + 2 > len(data):
                return found, received
            end = at + size
            begin = at + 2 + count + 2 * qos
            if begin > end or begin > len(data):
                return found, received
            received += 1
            if count <= 128 and end - begin <= 2048 and not head & 1:
                if end > len(data):
                    return found, received
                found.append([data[at + 2 : at + 2 + count].hex(), data[begin:end].hex()])
            at = end
    except IndexError:
        return found, received


def check_mqtt(case, told):
    found, received = mqtt_messages(case[1:])
    need(told[0] == found and told[2] == received, told, found, received)


# -- names and time --

label = st.sampled_from(
    (b"\6broker\4test\0", b"\6broker\5local\0", b"\xc0\x0c", b"\xc0\x30", b"\0", b"\x3fx", b"\1a" * 70 + b"\0")
)  # fmt: skip
record = st.tuples(
    label, st.sampled_from((1, 1, 5, 28)), st.sampled_from((1, 0x8001, 3)), st.integers(0, 0xFFFFFFFF),
    st.sampled_from((b"\1\2\3\4", b"\xc0\x0c", b"", b"x" * 20)),
).map(lambda r: r[0] + struct.pack(">HHIH", r[1], r[2], r[3], len(r[4])) + r[4])  # fmt: skip
asked = st.tuples(label, st.just(b"\0\1\0\1")).map(b"".join)
dns = st.tuples(
    byte, st.sampled_from((0x1234, 0x1234, 0, 0x4321)), st.sampled_from((0x8180, 0x8183, 0x8182, 0x8400, 0x0100)),
    st.integers(0, 2), st.integers(0, 4), st.lists(asked, max_size=2), st.lists(record, max_size=4),
).map(lambda d: d[0] + struct.pack(">6H", d[1], d[2], d[3], d[4], 0, 0) + b"".join(d[5]) + b"".join(d[6]))  # fmt: skip


def check_dns(case, told):
    if isinstance(told, list):
        address, ttl = told
        parts = [int(part) for part in address.split(".")]
        need(len(parts) == 4 and bytes(parts) in case, told)
        need(0 <= ttl < 1 << 26 and case[3] & 0x80 and (case[0] & 1 or case[1:3] == b"\x12\x34"), told)


ntp = st.tuples(
    st.integers(0, 255) | st.just(0x24), st.integers(0, 255) | st.integers(0, 16), st.binary(min_size=22, max_size=22),
    st.just(b"\x11" * 8) | st.binary(min_size=8, max_size=8), st.binary(min_size=16, max_size=30),
).map(lambda n: bytes(n[:2]) + n[2] + n[3] + n[4])  # fmt: skip


def check_ntp(case, told):
    if isinstance(told, int):
        seconds, fraction = struct.unpack_from(">II", case, 40)
        seconds += 0 if seconds & 0x80000000 else 1 << 32
        need(told == (seconds - 2_208_988_800) * 1000 + fraction * 1000 // (1 << 32), told)
        need(case[24:32] == b"\x11" * 8 and case[0] & 7 == 4 and 0 < case[1] < 16)


captive = st.tuples(
    st.binary(min_size=2, max_size=2), st.sampled_from((0x0100, 0, 0x8180, 0x2800)), st.sampled_from((1, 1, 1, 0, 2)), label,
    st.sampled_from((1, 28, 255)), st.sampled_from((1, 3, 0x8001)), noise,
).map(lambda q: q[0] + struct.pack(">5H", q[1], q[2], 0, 0, 0) + q[3] + struct.pack(">HH", *q[4:6]) + q[6])  # fmt: skip


def check_captive(case, told):
    if told:
        packet = bytes.fromhex(told)
        need(len(packet) <= len(case) + 16 and packet[:2] == case[:2] and packet[2] & 0x80, told)  # no amplifier


# -- HTTP --

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


def mutant(data, dice):
    """`data` with one to four things wrong."""
    data = bytearray(data)
    for _ in range(dice.randrange(1, 5)):
        at = dice.randrange(len(data) + 1)
        size = dice.choice((1, 1, 2, 4, 16, 100))
        kind = dice.randrange(7)
        if kind == 0 and data:
            data[at % len(data)] ^= 1 << dice.randrange(8)
        elif kind == 1:
            data[at : at + size] = b""
        elif kind == 2:
            data[at:at] = dice.randbytes(size)
        elif kind == 3:
            data[at:at] = data[dice.randrange(len(data) + 1) :][:size]
        elif kind == 4 and data:
            data[at % len(data)] = dice.choice((0, 1, 0x7F, 0x80, 0xAA, 0xC0, 0xFF, 10, 13, 34, 123))
        elif kind == 5:
            del data[at:]
        elif len(data) < 3000:
            data[at:at] = data[at : at + size] * dice.randrange(1, 6)
    return bytes(data)


CASES = {
    "uart": uart(), "slcan": slcan, "bundle": bundle(), "stored": stored, "body": body, "mqtt": mqtt, "dns": dns, "ntp": ntp,
    "captive": captive, "http": http(), "multipart": multipart(), "websocket": websocket,
}  # fmt: skip
CHECKS = {name: globals().get("check_" + name, lambda case, told: None) for name in CASES}
LEAST = {"multipart": 2, "uart": 2}  # bytes that a mutant keeps: they say how the case is cut
