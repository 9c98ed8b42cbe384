"""The simulated TinyBMS: every command against frames that others recorded, registers, settings."""

import struct

import pytest
from tests.integration.tinybms_bench import DATA, DUMP, FRAMES, Bench
from tools.tinybms_sim.protocol import Framer, crc16, nack, seal, valid

# Frames that we did not make


def test_crc_check_value():
    assert crc16(b"123456789") == 0x4B37


REQUESTS = [frame for frame in DATA["frames"] if frame["direction"] == "request"]


@pytest.mark.parametrize("frame", REQUESTS, ids=lambda frame: frame["id"])
def test_every_recorded_request_gets_a_well_formed_reply(frame):
    bench = Bench()
    request = FRAMES[frame["id"]]
    reply = bench.raw(request)
    assert valid(reply), reply.hex()
    if not frame["crc_valid"]:
        assert reply == nack(request[1], 1)
        return
    assert reply[0] == 0xAA and reply[1] == (1 if request[1] == 2 else request[1])
    pair = [f for f in DATA["frames"] if f.get("pair", 0) == frame.get("pair") and f["direction"] == "response"]
    for other in pair:
        example = FRAMES[other["id"]]
        assert len(reply) == len(example)
        same = 3 if request[1] in (0x03, 0x09, 0x1B) else len(example) - 2
        assert reply[:same] == example[:same]


def test_the_dump_of_a_real_unit_comes_back_byte_for_byte():
    bench = Bench(words=dict(DUMP))
    seen = 0
    for frame in DATA["frames"]:
        if frame["kind"] == "reconstructed_from_device_dump" and frame["direction"] == "request":
            assert bench.raw(FRAMES[frame["id"]]) == FRAMES[frame["pair"] + "-resp"]
            seen += 1
    assert seen > 40
    bench.run(5)
    assert bench.read(36, 2) == [DUMP[36], DUMP[37]]


def test_a_dump_answers_every_command():
    bench = Bench(words=dict(DUMP))
    assert struct.unpack("<f", bench.ask(0xAA, 0x14)[2:6])[0] == pytest.approx(55.78)
    assert bench.ask(0xAA, 0x15)[2:6] == bytes(4)
    assert struct.unpack("<H", bench.ask(0xAA, 0x16)[2:4]) == (3990,)
    assert struct.unpack("<H", bench.ask(0xAA, 0x17)[2:4]) == (3980,)
    assert struct.unpack("<H", bench.ask(0xAA, 0x18)[2:4]) == (0x97,)
    assert struct.unpack("<I", bench.ask(0xAA, 0x19)[2:6]) == (16683981,)
    assert struct.unpack("<I", bench.ask(0xAA, 0x1A)[2:6]) == (83554824,)
    assert struct.unpack("<hhh", bench.ask(0xAA, 0x1B)[3:9]) == (97, -32768, -32768)
    assert struct.unpack("<14H", bench.ask(0xAA, 0x1C)[3:31]) == tuple(DUMP[r] for r in range(2, 16))
    assert bench.ask(0xAA, 0x1E)[2:-2] == bytes((5, 2, 1, 1, 242, 0))
    assert bench.ask(0xAA, 0x1F)[2:-2] == bytes((7, 2, 1, 1, 242, 0, 24, 4))
    assert len(bench.ask(0xAA, 0x20)) == 16
    reply = bench.ask(0xAA, 0x12)
    assert reply[2] == 4 + 4 * 4 and struct.unpack("<I", reply[3:7]) == (16683981,)
    assert reply[7:11] == struct.pack("<HBB", 4646, 0, 0x65)
    assert reply[11:15] == struct.pack("<I", 12144171 | 0x64 << 24)


# Commands


def test_reads_agree_with_each_other():
    bench = Bench(soc=50)
    bench.battery.load_a = 12.5
    bench.run(1)
    words = bench.read(0, 56)
    assert words[50] == 0x93 and words[53] == 16
    block = bench.ask(0xAA, 0x07, 20, 32, 0)
    assert list(struct.unpack("<20H", block[3:-2])) == words[32:52]
    single = bench.ask(0xAA, 0x09, 4, 38, 0, 39, 0)
    assert struct.unpack("<4H", single[3:-2]) == (38, words[38], 39, words[39])
    assert struct.unpack("<f", bench.ask(0xAA, 0x15)[2:6])[0] == pytest.approx(-12.5)
    volts = struct.unpack("<f", struct.pack("<HH", *words[36:38]))[0]
    assert volts == pytest.approx(sum(words[:16]) / 10000, abs=1e-4)
    assert struct.unpack("<16H", bench.ask(0xAA, 0x1C)[3:-2]) == tuple(words[:16])
    assert len(bench.ask(0xAA, 0x20)) == 16 and len(bench.ask(0xAA, 0x1E)) == 10 and len(bench.ask(0xAA, 0x1F)) == 12
    assert bench.read(60, 10) == [0] * 10 and bench.read(45)[0] == 49000
    assert len(bench.ask(0xAA, 0x03, 0, 0, 0, 127)) == 5 + 254


def test_cells_sit_on_the_highest_pins():
    bench = Bench(cells=14, soc=50, offset_mv={1: 30})
    words = bench.read(0, 54)
    assert words[:2] == [0, 0] and words[2] == max(words[2:16]) and words[53] == 14 and words[41] == words[2] // 10
    assert len(bench.ask(0xAA, 0x1C)) == 5 + 28


@pytest.mark.parametrize(
    "request_",
    [
        (0xAA, 0x03, 0, 0, 0, 0), (0xAA, 0x03, 0, 0, 0, 128), (0xAA, 0x07, 0, 0, 0), (0xAA, 0x07, 32, 0, 0), (0xAA, 0x09, 0),
        (0xAA, 0x09, 3, 1, 0, 2), (0xAA, 0x0D, 2, 44, 1), (0xAA, 0x0B, 2, 44, 1), (0xAA, 0x1D, 5, 0, 4), (0xAA, 0x1D, 1, 0, 101),
        (0xAA, 0x02, 3), (0xAA, 0x33), (0xAA, 0x10, 1, 44, 0, 0, 0),
    ],
    ids=lambda request: bytes(request).hex(),
)  # fmt: skip
def test_what_is_wrong_is_refused(request_):
    assert Bench().ask(*request_) == nack(request_[1], 0)


def test_bad_crc_is_answered_and_the_next_frame_is_good():
    bench = Bench()
    assert bench.raw(bytes.fromhex("AA147EAF") + seal((0xAA, 0x18)))[:6] == nack(0x14, 1)
    assert len(b"".join(data for _, data in bench.sent)) == 6 + 6


def test_requests_may_come_in_pieces_and_a_stale_piece_is_forgotten():
    bench = Bench()
    request = seal((0xAA, 0x03, 0, 0, 0, 2))
    assert bench.raw(b"\x00\x13" + request[:3]) == b""
    assert len(bench.raw(request[3:])) == 9
    bench.raw(request[:5])
    bench.now += Framer.GAP_S * 2
    assert len(bench.raw(request)) == 9


def test_settings_are_written_by_three_commands():
    bench = Bench()
    assert bench.write(315, 3700, 2600) and bench.read(315, 2) == [3700, 2600]
    assert bench.ask(0xAA, 0x0D, 8, 0x2F, 1, 0x48, 0x0D, 0x34, 1, 20, 0) == seal((0xAA, 1, 0x0D))
    assert bench.read(303)[0] == 3400 and bench.read(308)[0] == 20
    for size in (6, 4):  # PL with and without the address
        assert bench.ask(0xAA, 0x0B, size, 0x3D, 1, 160 + size, 0, 90, 0) == seal((0xAA, 1, 0x0B))
        assert bench.read(317, 2) == [160 + size, 90]
    assert bench.battery.settings[317] == 164


@pytest.mark.parametrize(
    "register, word",
    [(300, 3745), (301, 2705), (301, 3595), (315, 3605), (316, 2895), (308, 14), (307, 17), (319, 91), (320, 0xFF00), (318, 0),
     (305, 150), (317, 200), (36, 1), (500, 1), (314, 6), (328, 50001), (330, 0x1F01), (343, 3), (313, 9), (400, 0), (337, 1)],
)  # fmt: skip
def test_range_and_rules_of_settings(register, word):
    bench = Bench()
    before = bench.bms.word(register)
    assert not bench.write(register, word) and bench.bms.word(register) == before


def test_special_settings():
    bench = Bench()
    assert bench.write(328, 20000) and bench.read(328)[0] == 0xFFFF
    assert bench.read(46, 2) == [40_000_000 & 0xFFFF, 40_000_000 >> 16]
    assert bench.write(323, 45000) and bench.read(323)[0] == 0xFFFF and bench.read(45)[0] == 45000
    assert bench.write(320, 0xFFFB) and bench.read(320)[0] == 0xFFFB and bench.battery._cold == -5
    assert bench.write(344, 7) and bench.read(344)[0] == 0  # reserved: taken, not kept
    assert bench.write(312, 1000, 1) and bench.read(312, 2) == [1000, 1]


def test_limits_of_settings():
    bench = Bench()

    def limits(option, count=44):
        reply = bench.ask(0xAA, 0x1D, option, 0, count)
        assert valid(reply) and reply[2] == 2 * count
        return struct.unpack(f"<{count}H", reply[3:-2])

    least, most, default, current = (limits(n) for n in (1, 2, 3, 4))
    assert least[0] == 1200 and most[0] == 4500 and default[0] == 3600 and list(current) == bench.read(300, 44)
    assert least[20] == 0x10000 - 40 and most[12] | most[13] << 16 == 100_000 and len(limits(4, 100)) == 100
    for a, b, c in zip(least, default, most):
        assert a <= b <= c or b in (0, 0xFFFF) or a & 0x8000


def test_old_firmware_has_no_new_registers():
    bench = Bench(firmware=242)
    assert bench.read(45)[0] == 0 and bench.read(305)[0] == 0 and bench.read(502)[0] == 242
    assert bench.write(305, 300) and bench.read(305)[0] == 0
    assert Bench(firmware=251).read(45)[0] == 49000
