"""The simulated TinyBMS: events, statistics, restart, sleep, faults, control."""

import json
import struct

from tests.integration.tinybms_bench import DATA, Bench
from tools.tinybms_sim.faults import FAULTS
from tools.tinybms_sim.protocol import nack, seal, valid

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
