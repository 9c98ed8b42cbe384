"""What the strategies and oracles of all targets share."""

from __future__ import annotations

from hypothesis import strategies as st


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
