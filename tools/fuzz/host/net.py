"""The network below HTTP: MQTT, DNS and mDNS, NTP, the portal's name server."""

from __future__ import annotations

import struct

from hypothesis import strategies as st

from tools.fuzz.host.common import byte, headed, joined, need, noise

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
