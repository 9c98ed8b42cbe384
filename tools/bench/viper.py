"""Runs under MicroPython (started by tools.bench): the hot functions in viper against the same source as bytecode.

Prints one JSON object a line: {"name", "ratio", "viper_us", "bytecode_us"}. Both run in turns in this one process; the best of
several turns counts, so that a busy machine disturbs both alike.
"""

import gc
import json
import time
from array import array
from firmware import live
from firmware.bms import crc, decode
from firmware.can import frames

_TURNS = 15


def as_bytecode(module):
    """The functions of `module` compiled without viper, as a dict."""
    with open(module.__file__) as file:
        source = file.read()
    for cast in ("ptr8", "ptr16", "ptr32"):
        source = source.replace(cast + "(", "(")
    space = {"__name__": "bytecode"}
    exec(source.replace("@micropython.viper\n", ""), space)
    return space


def time_us(function, a, b, c, d, calls):
    """Microseconds of `calls` calls with three arguments, or four when `d` is not None."""
    gc.collect()
    before = time.ticks_us()
    if d is None:
        for _ in range(calls):
            function(a, b, c)
    else:
        for _ in range(calls):
            function(a, b, c, d)
    return time.ticks_diff(time.ticks_us(), before)


def compare(name, fast, slow, calls, a, b, c, d=None, slow_c=None):
    """Times `fast(a, b, c[, d])` and `slow` with the same arguments (`slow_c` in place of `c` where it takes another buffer)."""
    fastest = slowest = 1 << 60
    for _ in range(_TURNS):
        fastest = min(fastest, time_us(fast, a, b, c, d, calls))
        slowest = min(slowest, time_us(slow, a, b, slow_c or c, d, calls // 10) * 10)
    print(
        json.dumps(
            {
                "name": name,
                "ratio": slowest / fastest,
                "viper_us": fastest / calls,
                "bytecode_us": slowest / calls,
            }
        )
    )


def poll_reply():
    """A reply to "read registers 0-55" of a 16-cell pack, with its CRC."""
    frame = bytearray(117)
    frame[0:3] = b"\xaa\x03\x70"
    for cell in range(16):
        value = 33000 + 7 * cell
        frame[3 + 2 * cell] = value >> 8
        frame[4 + 2 * cell] = value & 0xFF
    frame[75:79] = b"\x33\x33\x42\x53"  # 52.8 V, low word first
    frame[79:83] = b"\x00\x00\xc1\x20"  # -10 A
    frame[95:99] = b"\xf2\x08\x04\xfa"  # 83.55 %
    frame[99:101] = b"\x00\xc8"
    frame[103:105] = b"\x00\x93"
    frame[109:111] = b"\x00\x10"
    value = crc.crc16(frame, 0, 115)
    frame[115] = value & 0xFF
    frame[116] = value >> 8
    return frame


def main():
    reply = poll_reply()
    slow_crc = as_bytecode(crc)["crc16"]
    assert crc.crc16(reply, 0, 117) == slow_crc(reply, 0, 117) == 0
    compare("CRC of a poll reply", crc.crc16, slow_crc, 2000, reply, 0, 117)

    fast_out = array("i", (0 for _ in range(decode.SIZE)))
    slow_out = array("i", (0 for _ in range(decode.SIZE)))
    slow_decode = as_bytecode(decode)["fast"]
    decode.fast(reply, fast_out, 16, 1)
    slow_decode(reply, slow_out, 16, 1)
    assert fast_out == slow_out
    compare("decode of registers 0-55", decode.fast, slow_decode, 2000, reply, fast_out, 16, 1)

    data = array("i", (live.ABSENT for _ in range(live.FIELDS)))
    for field in range(live.SET_FULL):
        data[field] = fast_out[field]
    for field, value in ((live.SET_EMPTY, 2900), (live.SET_CAPACITY, 280000), (live.SET_CELLS, 16)):
        data[field] = value
    for field in range(live.HARDWARE, live.SERIAL + 6):
        data[field] = 0x0102
    data[live.ENERGY_IN] = data[live.ENERGY_OUT] = 123456
    work = array("i", (56000, 14000, 20000, 0, 0, 1))
    fast_buffer, slow_buffer = bytearray(8 * frames.COUNT), bytearray(8 * frames.COUNT)
    slow_words = array("H", (0 for _ in range(4 * frames.COUNT)))
    slow = as_bytecode(frames)
    slow_core, slow_slow = slow["core"], slow["slow"]
    frames.core(data, work, fast_buffer)
    frames.slow(data, work, fast_buffer)
    slow_core(data, work, slow_words)
    slow_slow(data, work, slow_words)
    for i in range(4 * frames.COUNT):
        slow_buffer[2 * i] = slow_words[i] & 0xFF
        slow_buffer[2 * i + 1] = slow_words[i] >> 8
    assert fast_buffer == slow_buffer

    def encode(data, work, out):
        frames.core(data, work, out)
        frames.slow(data, work, out)

    def encode_slow(data, work, out):
        slow_core(data, work, out)
        slow_slow(data, work, out)

    compare("encode of all frames", encode, encode_slow, 2000, data, work, fast_buffer, None, slow_words)


main()
