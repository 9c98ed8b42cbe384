"""The simulated TinyBMS on its line: commands against frames that others recorded, settings, events, sleep, faults, processes."""

import json
import os
import signal
import socket
import struct
import subprocess
import sys
import time
from pathlib import Path

import pytest
from tools.tinybms_sim.battery import Battery
from tools.tinybms_sim.bms import TinyBms
from tools.tinybms_sim.control import Commands, Control
from tools.tinybms_sim.faults import FAULTS
from tools.tinybms_sim.line import Line
from tools.tinybms_sim.protocol import Framer, crc16, nack, seal, valid
from tools.tinybms_sim.scenarios import SCENARIOS

ROOT = Path(__file__).parents[2]
DATA = json.loads((ROOT / "tests/data/tinybms_frames.json").read_text())
FRAMES = {frame["id"]: bytes.fromhex(frame["hex"]) for frame in DATA["frames"]}
DUMP = {int(r): w for r, w in DATA["register_dumps"][0]["words"].items()}


class Bench:
    """A BMS on a line with a clock of its own."""

    def __init__(self, words=None, firmware=254, lifetime=12_000_000, **battery):
        self.now = 1000.0
        self.sent = []
        self.battery = Battery(**battery)
        self.bms = TinyBms(self.battery, words, firmware, lifetime)
        self.line = Line(self.bms, lambda: self.now, lambda delay, data: self.sent.append((delay, data)))
        self.commands = Commands(self.line)

    def ask(self, *request):
        """What comes back for a request (without its CRC)."""
        return self.raw(seal(request))

    def raw(self, data):
        self.sent.clear()
        self.line.receive(bytes(data))
        return b"".join(data for _, data in self.sent)

    def read(self, address, count=1):
        reply = self.ask(0xAA, 0x03, address >> 8, address & 0xFF, 0, count)
        assert valid(reply) and reply[:3] == bytes((0xAA, 3, 2 * count)), reply.hex()
        return list(struct.unpack(f">{count}H", reply[3:-2]))

    def write(self, address, *words):
        """Through 0x10; True when taken."""
        data = struct.pack(f">BBHHB{len(words)}H", 0xAA, 0x10, address, len(words), 2 * len(words), *words)
        reply = self.raw(seal(data))
        assert reply in (seal(data[:6]), nack(0x10))
        return reply[1] == 0x10

    def run(self, seconds, tick=0.1):
        end = self.now + seconds - 1e-6
        while self.now < end:
            self.now += tick
            self.line.tick()

    def call(self, cmd, **options):
        reply = json.loads(self.commands.answer(json.dumps({"cmd": cmd, **options})))
        assert reply.pop("ok"), reply
        return reply


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


# Events, statistics, restart, sleep


def test_event_ring_wraps_and_stamps_have_24_bits():
    bench = Bench(lifetime=(1 << 24) - 3)
    for n in range(60):
        bench.run(1, tick=1.0)
        bench.call("event", id=0x61 + n % 16)
    bench.ask(0xAA, 0x18)  # wakes it
    ring = bench.read(200, 98)
    assert all(word >> 8 for word in ring[1::2])
    reply = bench.ask(0xAA, 0x12)
    assert len(reply) == 205 and valid(reply)
    base, *events = struct.unpack("<50I", reply[3:-2])
    ages = [(base - event) % (1 << 24) for event in events]
    assert base == (1 << 24) + 57 and ages == sorted(ages, reverse=True) and ages[-1] == 0 and ages[0] == 48
    newest = bench.ask(0xAA, 0x11)
    assert newest[2] == 4 + 40 and newest[7:-2] == reply[-42:-2]
    at = 61 % 49  # the first event of all was 0x61
    low, high = ring[2 * at : 2 * at + 2]
    assert (low | (high & 0xFF) << 16 | high >> 8 << 24) == events[0]


def test_clear_events_and_statistics():
    bench = Bench(soc=50)
    bench.battery.load_a = 40
    bench.run(3)
    bench.call("event", id=0x03)
    assert bench.read(102)[0] == 400 and bench.read(106)[0] == 1
    assert bench.ask(0xAA, 0x02, 1) == seal((0xAA, 1, 2)) and bench.ask(0xAA, 0x12)[2] == 4
    assert bench.ask(0xAA, 0x02, 2) == seal((0xAA, 1, 2))
    low, high = bench.read(116, 2)
    assert bench.read(102)[0] == 0 and bench.read(106)[0] == 0 and low | high << 16 == bench.bms.lifetime
    assert bench.read(200, 98) == [0] * 98


def test_reset_acknowledges_is_silent_and_starts_again():
    bench = Bench()
    bench.battery.trip(0x0B)
    bench.run(0.2)
    assert bench.read(50)[0] == 0x9B
    assert bench.ask(0xAA, 0x02, 5) == seal((0xAA, 1, 2))
    bench.run(1.2)
    assert bench.ask(0xAA, 0x18) == b""
    bench.run(0.5)
    bench.run(0.1)
    assert bench.ask(0xAA, 0x18)[2] == 0x97 and bench.read(114)[0] & 0xFF == 4
    assert 0x61 in [event["id"] for event in bench.call("events")["events"][-2:]]


def test_a_change_of_the_operation_mode_restarts():
    bench = Bench()
    assert bench.write(340, 0)
    assert bench.ask(0xAA, 0x18)  # no change, no restart
    assert bench.write(340, 1)
    assert bench.ask(0xAA, 0x18) == b""
    bench.run(2)
    assert bench.read(340)[0] == 1 and bench.bms.restarts == 1


def test_sleep_and_wake_by_the_second_request():
    bench = Bench()
    bench.run(9.5)
    assert not bench.line.asleep
    bench.run(1)
    assert bench.line.asleep
    assert bench.ask(0xAA, 0x18) == b"" and len(bench.ask(0xAA, 0x18)) == 6
    assert bench.read(114)[0] >> 8 == 3
    for _ in range(30):  # traffic keeps it awake
        bench.run(1)
        assert bench.ask(0xAA, 0x18)
    bench.call("sleep")
    assert bench.ask(0xAA, 0x18) == b"" and bench.ask(0xAA, 0x18)


def test_what_keeps_it_awake():
    for inputs in ({"charger_on": True}, {"load_a": 1.5}, {"regen_a": 2.0}):
        bench = Bench(soc=50)
        bench.call("model", **inputs)
        bench.run(15)
        assert not bench.line.asleep, inputs
    bench = Bench(soc=50)
    bench.run(12)
    bench.call("model", charger_on=True)
    bench.run(0.3)
    assert not bench.line.asleep and bench.read(114)[0] >> 8 == 0


# Faults


def status(bench):
    return bench.ask(0xAA, 0x18)


GOOD = seal((0xAA, 0x18, 0x97, 0))


def test_every_fault_does_what_it_says():
    """What comes back while the fault is on; the line is good again afterwards, and the fault was counted."""
    checks = {
        "silence": lambda r: r == b"",
        "drop_rate": lambda r: r == b"",
        "noise": lambda r: r.endswith(GOOD) and len(r) == len(GOOD) + 20,
        "noise_in": lambda r: len(r) == len(GOOD) + 5 and r not in (GOOD,),
        "bad_crc": lambda r: len(r) == len(GOOD) and not valid(r),
        "delay": lambda r: r == GOOD,
        "nack": lambda r: r == nack(0x18, 1),
        "short": lambda r: r == GOOD[:3],
        "split": lambda r: r == GOOD,
        "double": lambda r: r == GOOD + GOOD,
        "wrong_command": lambda r: valid(r) and r[1] != 0x18,
        "broadcast": lambda r: r == GOOD,
        "sleep": lambda r: r == b"",
    }
    options = {
        "drop_rate": {"rate": 1}, "noise": {"bytes": 20}, "noise_in": {"bytes": 5}, "delay": {"ms": 70}, "nack": {"code": 1},
        "short": {"bytes": 3},
    }  # fmt: skip
    assert checks.keys() == FAULTS.keys()
    for name, check in checks.items():
        bench = Bench()
        bench.call("fault", name=name, **options.get(name, {}))
        bench.line.tick()
        assert check(status(bench)), name
        if name == "delay":
            assert bench.sent == [(0.07, GOOD)]
        if name == "split":
            assert len(bench.sent) > 1 or len(bench.ask(0xAA, 0x12)) and len(bench.sent) > 1
        assert bench.call("state")["injected"][name] == 1
        bench.call("fault", name=name, on=False)
        bench.run(0.2)
        assert status(bench) == GOOD, name


def test_faults_end_by_count_time_and_clear():
    bench = Bench()
    bench.call("fault", name="bad_crc", count=2)
    assert [valid(status(bench)) for _ in range(4)] == [False, False, True, True]
    bench.call("fault", name="silence", ms=500)
    assert status(bench) == b""
    bench.run(0.6)
    assert status(bench) == GOOD
    bench.call("fault", name="double")
    bench.call("set", register=50, value=0x91)
    bench.call("clear")
    assert status(bench) == GOOD


def test_rates_repeat_with_their_seed():
    def run(seed):
        bench = Bench()
        bench.call("fault", name="bad_crc", rate=0.3, seed=seed)
        return [valid(status(bench)) for _ in range(200)]

    one = run(5)
    assert one == run(5) != run(6) and 100 < sum(one) < 180


def test_unknown_faults_and_commands_are_named():
    bench = Bench()
    for text in (
        '{"cmd": "fault", "name": "gremlin"}', '{"cmd": "fault", "name": "silence", "colour": 1}', '{"cmd": "nothing"}', "{",
        "[]", '{"cmd": "model", "wheels": 4}', '{"cmd": "model", "load_a": "much"}', '{"cmd": "model", "soc": null}',
        '{"cmd": "model", "setting_306": 0}', '{"cmd": "set", "register": 1, "value": 70000}', '{"cmd": "event", "id": 0}',
    ):  # fmt: skip
        reply = json.loads(bench.commands.answer(text))
        assert reply["ok"] is False and reply["error"]
    assert set(bench.call("help")["faults"]) == set(FAULTS)


def test_overrides_win_until_unset():
    bench = Bench()
    bench.call("set", values={"42": -400, "50": 0x95, "307": 15})
    assert bench.read(42)[0] == 0x10000 - 400 and status(bench)[2] == 0x95 and bench.read(307)[0] == 15
    assert bench.call("get", register=42)["words"] == [0x10000 - 400]
    bench.call("unset", register=50)
    assert status(bench) == GOOD and bench.read(307)[0] == 15
    bench.call("unset")
    assert bench.read(307)[0] == 16 and bench.read(42)[0] == 200


def test_broadcast_text():
    bench = Bench(words=None, soc=50)
    assert bench.write(342, 4)
    bench.sent.clear()
    for protocol, fields in ((1, 14), (0, 13), (2, 1)):
        assert bench.write(343, protocol)
        bench.sent.clear()
        bench.run(3)
        lines = [data.decode() for _, data in bench.sent]
        assert 2 <= len(lines) <= 4 and all(line.endswith("\r\n") for line in lines)
        assert len(lines[0].split("\t")) == fields
        status(bench)
    example = DATA["broadcast_text"][0]["text"]
    names = [field.split(":")[0] for field in example.split("\t")]
    assert [field.split(":")[0] for field in bench.line.text(1).decode().strip().split("\t")] == names


def test_an_active_event_is_a_fault_until_cleared():
    bench = Bench()
    bench.call("event", id="0x0C", active=True)
    state = bench.call("state")
    assert status(bench)[2] == 0x9B and state["battery"]["active"] == [0x0C] and not state["battery"]["load_switch"]
    bench.call("clear")
    bench.run(0.2)
    assert status(bench) == GOOD


def test_state_counts_requests():
    bench = Bench()
    bench.read(0, 56)
    bench.raw(bytes.fromhex("AA147EAF"))
    state = bench.call("state")
    assert state["requests"] == {"0x03": 1, "bad_crc": 1} and len(state["battery"]["cell_mv"]) == 16


# Processes


class Process:
    def __init__(self, *arguments):
        command = [sys.executable, "-m", "tools.tinybms_sim", *arguments]
        self.process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)
        self.urls = {}
        for line in self.process.stdout:
            if line == "ready\n":
                break
            name, url = line.split()
            self.urls[name] = url

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.kill()
        self.process.wait()
        self.process.stdout.close()

    def connect(self):
        host, port = self.urls["uart"].removeprefix("socket://").split(":")
        return socket.create_connection((host, int(port)), 5)


def ask(link, *request, size):
    link.sendall(seal(request))
    data = b""
    while len(data) < size:
        part = link.recv(size - len(data))
        assert part
        data += part
    assert valid(data)
    return data


def test_process_over_tcp():
    with Process("--listen", "127.0.0.1:0", "--control", "127.0.0.1:0", "--speed", "600") as sim:
        assert list(sim.urls) == ["uart", "control"]
        for _ in range(2):  # one client after another
            with sim.connect() as link:
                assert ask(link, 0xAA, 0x18, size=6)[1] == 0x18
        with Control.from_url(sim.urls["control"]) as control, sim.connect() as link:
            assert control.call("state")["requests"]["0x18"] == 2
            control.call("model", charger_on=False, load_a=70)
            time.sleep(0.5)
            assert struct.unpack("<f", ask(link, 0xAA, 0x15, size=8)[2:6])[0] == pytest.approx(-70)
            control.call("fault", name="delay", ms=300)
            start = time.monotonic()
            ask(link, 0xAA, 0x18, size=6)
            assert 0.25 < time.monotonic() - start < 3
            with pytest.raises(RuntimeError, match="gremlin"):
                control.call("fault", name="gremlin")
        sim.process.send_signal(signal.SIGTERM)
        assert sim.process.wait(10) == 0


def test_process_on_a_pty_with_a_dump(tmp_path):
    dump = tmp_path / "dump.json"
    dump.write_text(json.dumps({str(r): w for r, w in DUMP.items()}))
    with Process("--pty", "--dump", str(dump)) as sim:
        assert sim.urls["uart"].startswith("/dev/")
        link = os.open(sim.urls["uart"], os.O_RDWR | os.O_NOCTTY)
        try:
            os.write(link, FRAMES["code-voltage"])
            data = b""
            while len(data) < 8:
                data += os.read(link, 8)
            assert struct.unpack("<f", data[2:6])[0] == pytest.approx(55.78)
        finally:
            os.close(link)
        sim.process.send_signal(signal.SIGINT)
        assert sim.process.wait(10) == 0


def test_scenarios_are_listed_and_run():
    out = subprocess.run(
        [sys.executable, "-m", "tools.tinybms_sim", "--list-scenarios"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    assert [line.split()[0] for line in out.splitlines()] == list(SCENARIOS)
    assert {"normal", "full", "empty", "cold", "hot", "weak-cell", "high-cell", "noisy", "sleepy"} <= set(SCENARIOS)
