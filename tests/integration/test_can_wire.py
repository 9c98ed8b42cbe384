"""What a GX sees on the bus: every id with its period, and every bit of 0x35A, from registers and events of the BMS."""

import statistics
import struct
import time

import pytest

from tests.integration.watch import Stalls
from tools.victron import active, decode

CORE = (0x351, 0x355, 0x356, 0x35A)
SLOW = (0x35E, 0x35F, *range(0x370, 0x378), 0x379, 0x380, 0x381, 0x382)
FROM_GX = {0x305, 0x306, 0x307}

pytestmark = pytest.mark.usefixtures("host_build")


def word(parts, register):
    return parts.control.call("get", register=register)["words"][0]


def set_cells(parts, millivolts):
    """Override what the registers of a 16-cell pack read: cells (0.1 mV), pack (float, low word first), lowest, highest."""
    high, low = struct.unpack(">HH", struct.pack(">f", sum(millivolts) / 1000))
    values = {i: 10 * mv for i, mv in enumerate(millivolts)}
    values |= {36: low, 37: high, 40: min(millivolts), 41: max(millivolts)}
    parts.control.call("set", values={str(k): v for k, v in values.items()})


def set_current(parts, amperes):
    high, low = struct.unpack(">HH", struct.pack(">f", amperes))
    parts.control.call("set", values={"38": low, "39": high})


@pytest.fixture
def bus(parts):
    parts.start_sim(scenario="normal", speed=0, soc=60)
    parts.control.call("model", charger_on=False, load_a=5)
    parts.control.call("model", step_s=1)
    parts.start_can()
    bus = parts.bus()
    parts.start_gateway()
    bus.wait(0x351, 20)
    return bus


def test_every_id_with_its_period(parts, bus):
    with Stalls() as machine:
        frames = bus.listen(12)
    at = {}
    for t, can_id, data in frames:
        assert len(data) == 8
        at.setdefault(can_id, []).append(t)
    assert not FROM_GX & set(at)
    for can_id in CORE:
        gaps = [b - a for a, b in zip(at[can_id], at[can_id][1:])]
        assert len(gaps) >= 10 and abs(statistics.median(gaps) - 1) < 0.02, (hex(can_id), gaps)
        assert max(gaps) < 1.2 + machine.seconds, (hex(can_id), gaps)
    for can_id in SLOW:
        assert 1 <= len(at.get(can_id, ())) <= 3, hex(can_id)
    texts = {can_id: data for _, can_id, data in frames}
    assert texts[0x35E] == texts[0x370] == b"TinyBMS\0"


def see(bus, match, seconds=6):
    """Wait for a 0x35A for which `match(alarms, warnings)`, the sets of active items without "general"."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        items = decode(0x35A, bus.wait(0x35A, 3))
        found = [set(active(items[half])) for half in ("alarms", "warnings")]
        for names in found:
            assert ("general" in names) == (len(names) > 0), items
        if match(*(names - {"general"} for names in found)):
            return
    raise AssertionError(f"0x35A stays at {found}")


def silent(alarms, warnings):
    return not alarms and not warnings


def test_every_bit_of_0x35a(parts, bus):
    see(bus, silent)
    over, under, trip, charge_trip = (word(parts, n) for n in (315, 316, 317, 318))
    hot, cold = word(parts, 319), word(parts, 320)
    cold -= 65536 if cold > 32767 else 0

    def with_cell(mv, others):
        return lambda: set_cells(parts, [mv, *[others] * 15])

    def with_sensor(tenths):
        return lambda: parts.control.call("set", register=42, value=tenths)

    def with_event(code):
        return lambda: parts.control.call("event", id=code, active=True)

    heat, chill = {"high_temperature", "high_temp_charge"}, {"low_temperature", "low_temp_charge"}
    steps = (  # provoke, alarms, warnings
        (with_cell(over + 5, over - 60), {"high_voltage"}, {"high_voltage"}),
        (with_cell(under - 5, under + 60), {"low_voltage"}, {"low_voltage"}),
        (with_cell(3650, 3100), {"cell_imbalance"}, {"cell_imbalance"}),
        (with_sensor(10 * hot - 30), set(), heat),
        (with_sensor(10 * hot), heat, heat),
        (with_sensor(10 * cold), {"low_temp_charge"}, {"low_temp_charge"}),
        (with_sensor(-400), chill, chill),
        (lambda: set_current(parts, -trip), {"high_current"}, {"high_current"}),
        (lambda: set_current(parts, 0.96 * charge_trip), set(), {"high_charge_current"}),
        (lambda: set_current(parts, charge_trip), {"high_charge_current"}, {"high_charge_current"}),
        (with_event(0x0B), {"contactor"}, set()),
        # last: these go on until the next charge or a restart of the BMS
        (with_event(0x39), set(), {"bms_internal"}),
        (with_event(0x0E), {"bms_internal"}, {"bms_internal"}),
    )
    for provoke, alarms, warnings in steps:
        provoke()
        see(bus, lambda a, w, alarms=alarms, warnings=warnings: a == alarms and w == warnings)
        if "bms_internal" not in alarms | warnings:
            parts.control.call("clear")
            parts.control.call("model", step_s=0.1)
            see(bus, silent)
