"""CRC, reply hunting and decoding of firmware/bms, against frames and registers that this project did not make."""

import random
import struct
from array import array

from firmware import live
from firmware.bms import decode, frames, requests
from firmware.bms.crc import copy, crc16
from tests.unit.bms_fakes import DUMP, fast_reply, nack

ABSENT = live.ABSENT

# Manufacturer examples (Communication Protocols rev. D, 1.3.x), then captured and third-party frames
GOOD = (
    "AA 10 01 3B 00 02 04 10 68 09 C4 19 61",
    "AA 10 01 3B 00 02 28 22",
    "AA 03 0A 97 40 97 40 97 2C 97 2C 97 2C 3E C7",
    "AA 1B 06 16 01 14 01 16 01 0E 4E",
    "AA 03 02 9B 78 F6 8E",
    "AA 03 04 1E B8 42 5F 16 6C",
    "AA 14 7F 1F",
    "AA 02 05 90 83",
)
BAD = ("AA 14 7E AF", "AA 15 BF 6F", "AA 09 02 28 00 60 45")  # third-party literals with a wrong CRC


def unhex(text):
    return bytes(int(part, 16) for part in text.split())


def crc_plain(data):
    crc = 0xFFFF
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = (crc >> 1) ^ 0xA001 if crc & 1 else crc >> 1
    return crc


def test_crc_check_value():
    assert crc16(b"123456789", 0, 9) == 0x4B37


def test_crc_of_foreign_frames():
    for text in GOOD:
        frame = unhex(text)
        assert crc16(frame, 0, len(frame)) == 0, text
        assert crc16(frame, 0, len(frame) - 2) == frame[-2] | frame[-1] << 8
    for text in BAD:
        frame = unhex(text)
        assert crc16(frame, 0, len(frame)) != 0, text


def test_crc_against_plain_python():
    random.seed(1)
    for _ in range(50):
        data = bytes(random.getrandbits(8) for _ in range(random.randrange(1, 120)))
        start = random.randrange(len(data))
        assert crc16(data, start, len(data) - start) == crc_plain(data[start:])


def test_copy():
    buf = bytearray(b"0123456789")
    copy(buf, 4, buf, 0, 6)
    assert buf == b"4567896789"


def test_requests():
    assert requests.read_words(0, 16) == unhex("AA 03 00 00 00 10 5D DD")
    assert requests.read_words(300, 44) == unhex("AA 03 01 2C 00 2C 9D F9")
    assert requests.request(frames.EVENTS) == unhex("AA 12 FF 1D")
    assert nack(3, 1) == unhex("AA 00 03 01 E0 CC")


# --- decode ---


def decoded(registers, cells=14, soh=0):
    out = array("i", (0 for _ in range(decode.SIZE)))
    frame = fast_reply(registers)
    assert len(frame) == 117
    decode.fast(frame, out, cells, soh)
    return out


def test_dump_of_a_real_unit():
    out = decoded(DUMP)
    assert out[live.VOLTAGE] == 55780
    assert out[live.CURRENT] == 0
    assert out[live.SOC] == 8355
    assert out[live.SOH] == ABSENT
    assert out[live.TEMP_INT] == 97
    assert out[live.TEMP_EXT1] == ABSENT and out[live.TEMP_EXT2] == ABSENT
    assert out[live.STATUS] == live.IDLE
    assert (out[live.CELL_MIN], out[live.CELL_MAX]) == (3980, 3990)
    assert (out[live.CELL_MIN_AT], out[live.CELL_MAX_AT]) == (1, 8)
    cells = [3980, 3981, 3982, 3983, 3983, 3984, 3989, 3990, 3983, 3983, 3983, 3984, 3988, 3988]
    assert list(out[live.CELL : live.CELL + 16]) == cells + [ABSENT, ABSENT]
    assert out[decode.SUM] == sum(cells)
    assert (out[decode.LOWEST], out[decode.HIGHEST], out[decode.DETECTED]) == (3980, 3990, 14)
    assert out[live.LIFETIME] == 16683981
    assert out[live.TIME_LEFT] == 41777412


def with_float(register, value):
    bits = struct.unpack("<I", struct.pack("<f", value))[0]
    registers = dict(DUMP)
    registers[register] = bits & 0xFFFF
    registers[register + 1] = bits >> 16
    return registers


def test_negative_values():
    registers = with_float(38, -3.013)
    registers[42] = 0x10000 - 55
    registers[43] = 0xFFFF
    registers[48] = 0x10000 - 400
    out = decoded(registers)
    assert out[live.CURRENT] == -3013
    assert out[live.TEMP_EXT1] == -55
    assert out[live.TEMP_EXT2] == -1  # a temperature: all ones is -0.1 C
    assert out[live.TEMP_INT] == -400


def test_copy_of_fields_keeps_negative_values():
    source = array("i", (5, -5, -2000000, ABSENT, 7))
    target = array("i", (0 for _ in range(5)))
    copy(source, 0, target, 0, 16)
    assert list(target) == [5, -5, -2000000, ABSENT, 0]


def test_soh():
    registers = dict(DUMP)
    for raw, value in ((48500, 9700), (50000, 10000), (0, 0), (0xFFFF, ABSENT), (50001, ABSENT), (7, 1)):
        registers[45] = raw
        assert decoded(registers, 14, 1)[live.SOH] == value
        assert decoded(registers, 14, 0)[live.SOH] == ABSENT


def test_soc():
    registers = dict(DUMP)
    for raw, value in (
        (100_000_000, 10000),
        (99_999_999, 9999),
        (100_500_000, 10000),
        (102_000_000, ABSENT),
        (0xFFFFFFFF, ABSENT),
        (0, 0),
    ):
        registers[46] = raw & 0xFFFF
        registers[47] = raw >> 16
        assert decoded(registers)[live.SOC] == value, raw


def test_long_times():
    registers = dict(DUMP)
    for low, high, value in ((0xFFFF, 0xFFFF, ABSENT), (1, 0x8000, ABSENT - 1), (0xFFFE, 0x3FFE, 0x3FFEFFFE)):
        registers[32] = registers[34] = low
        registers[33] = registers[35] = high
        out = decoded(registers)
        assert out[live.LIFETIME] == value and out[live.TIME_LEFT] == value


def test_balancing_bits_are_pack_cells():
    registers = dict(DUMP)
    registers[52] = 1 << 2 | 1 << 6  # registers 2 and 6: pack cells 1 and 5 of 14
    registers[51] = 1 << 15
    out = decoded(registers)
    assert out[live.BALANCING] == 1 << 0 | 1 << 4
    assert out[live.BALANCE_NEED] == 1 << 13
    out = decoded(registers, 16)
    assert out[live.BALANCING] == 1 << 2 | 1 << 6


def test_milli_odd_values():
    for bits in (0x7F800000, 0xFF800000, 0x7FC00000, 0x49800000, 0x4F000000):  # infinite, NaN, 2^20, 2^31
        assert decode.milli(bits >> 16, bits & 0xFFFF) == ABSENT
    for bits in (0, 0x80000000, 1, 0x80000001, 0x38000000):  # zeros, subnormal, 0.00003
        assert decode.milli(bits >> 16, bits & 0xFFFF) == 0
    for value in (0.001, 0.5, 1.0, -1.0, 64.0, 1000.0, -750.0, 1048575.0, -1048575.0):
        bits = struct.unpack("<I", struct.pack("<f", value))[0]
        assert decode.milli(bits >> 16, bits & 0xFFFF) == round(value * 1000), value


def milli_plain(bits):
    """The exact thousandths, times 2^64."""
    exponent = bits >> 23 & 0xFF
    value = (((bits & 0x7FFFFF) | 0x800000) * 1000 << 64) >> (150 - exponent)
    return -value if bits >> 31 else value


def test_milli_against_plain_python():
    random.seed(2)
    for _ in range(500):
        bits = random.getrandbits(23) | random.randrange(100, 147) << 23 | random.getrandbits(1) << 31
        got = decode.milli(bits >> 16, bits & 0xFFFF)
        assert abs((got << 64) - milli_plain(bits)) <= (1 << 64) * 503 // 1000, hex(bits)


def fast_plain(registers, cells, soh):
    """The same decode in straight Python."""

    def signed(word):
        return ABSENT if word == 0x8000 else word - 0x10000 if word > 0x8000 else word

    def long(at):
        value = registers[at] | registers[at + 1] << 16
        return ABSENT if value == 0xFFFFFFFF else min(value, ABSENT - 1 if value >> 16 >= 0x3FFF else value)

    first = 16 - cells
    mv = [(registers[first + n] + 5) // 10 for n in range(cells)]
    soc = (registers[46] | registers[47] << 16) // 10000
    out = [
        decode.milli(registers[37], registers[36]),
        decode.milli(registers[39], registers[38]),
        ABSENT if soc > 10100 else min(soc, 10000),
        registers[45] // 5 if soh and registers[45] <= 50000 else ABSENT,
        signed(registers[48]),
        signed(registers[42]),
        signed(registers[43]),
        registers[50],
        registers[40],
        registers[41],
        mv.index(min(mv)) + 1,
        mv.index(max(mv)) + 1,
        cells,
        registers[52] >> first,
        registers[51] >> first,
        long(34),
        long(32),
    ]
    return out + mv + [ABSENT] * first + [sum(mv), min(mv), max(mv), registers[53]]


def test_decode_against_plain_python():
    random.seed(3)
    for _ in range(60):
        registers = [random.getrandbits(16) for _ in range(56)]
        registers[47] = random.randrange(0x600) if random.getrandbits(1) else registers[47]
        cells = random.randrange(4, 17)
        soh = random.getrandbits(1)
        assert list(decoded(dict(enumerate(registers)), cells, soh)) == fast_plain(registers, cells, soh)


# --- the hunt ---

REPLY = unhex("AA 03 04 1E B8 42 5F 16 6C")
OTHER = unhex("AA 03 04 93 CD 00 FE DD C2")
TEXT = b"BPV:49.05\tMINCV:3.766\tMAXCV:3.776\tBPC:-3.03\tSOC:80\r\n"


def parser(third=4):
    p = frames.Parser(frames.Counters())
    p.expect(3, 3, third, 0)
    return p


def feed(p, data, size):
    """All finds in `data`, fed `size` bytes at a time."""
    found = []
    for at in range(0, len(data), size):
        part = data[at : at + size]
        more = p.feed(part, 0, len(part))
        while more:
            found.append(bytes(p.buf[p.at : p.at + p.length]))
            more = p.more()
    return found


def test_reply_at_every_split():
    stream = TEXT + REPLY + b"\xaa\xaa" + OTHER + b"\xff\x00"
    for size in range(1, len(stream) + 1):
        p = parser()
        assert feed(p, stream, size) == [REPLY, OTHER], size
        assert p._counters.noise_bytes == len(TEXT) + 4, size


def test_bad_crc_is_refused_and_counted():
    damaged = REPLY[:-1] + b"\x6d"
    p = parser()
    assert feed(p, damaged + REPLY, 3) == [REPLY]
    assert p._counters.crc_errors == 1
    assert p._counters.noise_bytes == len(damaged)


def test_short_frame_then_good_one():
    for cut in range(1, len(REPLY)):
        p = parser()
        assert feed(p, REPLY[:cut] + REPLY, 4) == [REPLY], cut


def test_replies_of_other_shapes_are_noise():
    p = parser()
    assert feed(p, unhex(GOOD[2]) + unhex("AA 03 02 9B 78 F6 8E") + unhex(GOOD[3]) + REPLY, 5) == [REPLY]


def test_a_frame_within_a_frame_is_data():
    inner = nack(3)
    outer = bytes(requests.request(3, 8, 0, *inner, 0))
    p = parser(8)
    assert feed(p, outer, 1) == [outer]


def test_rescue_from_a_false_beginning():
    """Only a reply shorter than the false one can hide behind it: a refusal, a list of few events."""
    p = parser(112)
    assert feed(p, b"\xaa\x03\x70" + nack(3), 2) == []
    assert p.rescue()
    assert bytes(p.buf[p.at : p.at + p.length]) == nack(3)
    assert not p.more()
    assert p._counters.noise_bytes == 3
    p = frames.Parser(frames.Counters())
    p.expect(0x12, 0x12, -1, 0)
    frame = bytes(requests.request(0x12, 8, *bytes(8)))
    assert feed(p, b"\xaa\x12\xc8\xaa\x12\x40" + frame + b"\xaa\x12", 3) == []
    assert p.rescue()
    assert bytes(p.buf[p.at : p.at + p.length]) == frame
    assert not p.more()
    assert not p.rescue()


def test_rescue_leaves_what_is_still_arriving():
    p = parser()
    assert feed(p, REPLY[:5], 5) == []
    assert not p.rescue()
    assert feed(p, REPLY[5:], 2) == [REPLY]


def test_events_of_any_length():
    for n in (0, 1, 49):
        frame = bytes(requests.request(0x12, 4 + 4 * n, *bytes(4 + 4 * n)))
        p = frames.Parser(frames.Counters())
        p.expect(0x12, 0x12, -1, 0)
        assert feed(p, b"\xaa" + frame, 11) == [frame]


def test_no_frame_is_lost_in_noise():
    random.seed(4)
    p = parser()
    stream = bytearray()
    for _ in range(60):
        noise = bytearray(random.getrandbits(8) for _ in range(random.randrange(60)))
        for i in range(0, len(noise) - 3, 9):
            noise[i : i + 3] = b"\xaa\x03\x04"  # beginnings to be misled by
        stream += noise + REPLY + bytes(9)  # quiet bytes end what a false beginning waits for
    for size in (1, 2, 5, 31, 256):
        p = parser()
        assert len([f for f in feed(p, stream, size) if f == REPLY]) == 60


# --- what the benchmark does ---


def as_bytecode(path):
    """The module at `path` with its viper functions as bytecode, as `crc` says; None where there is no source."""
    try:
        with open(path) as file:
            source = file.read()
    except OSError:
        return None
    names = {}
    exec(source.replace("@micropython.viper\n", "").replace("ptr16(", "("), names)
    return names


def test_viper_and_bytecode_agree():
    crc, dec = as_bytecode("firmware/bms/crc.py"), as_bytecode("firmware/bms/decode.py")
    if crc is None or dec is None:
        return
    random.seed(5)
    for _ in range(60):
        frame = bytes(random.getrandbits(8) for _ in range(117))
        assert crc["crc16"](frame, 3, 100) == crc16(frame, 3, 100)
        frame = bytes(random.getrandbits(8) for _ in range(117))
        one, two = (array("i", (0 for _ in range(decode.SIZE))) for _ in range(2))
        cells, soh = random.randrange(4, 17), random.getrandbits(1)
        decode.fast(frame, one, cells, soh)
        dec["fast"](frame, two, cells, soh)
        assert one == two
