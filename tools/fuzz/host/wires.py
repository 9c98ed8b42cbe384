"""The two wires: frames of the UART, lines of the CAN adapter."""

from __future__ import annotations

from hypothesis import strategies as st

from tools.fuzz.host.common import byte, headed, joined, need, noise
from tools.tinybms_sim.protocol import crc16, seal

# -- UART --

SHAPES = ((3, 4), (3, 112), (3, 88), (3, 36), (3, 20), (0x12, -1), (0x10, 1), (1, 2))


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
    return seal(b"\xaa" + body)


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
