"""A simulated day in seconds: the battery model's truth against the energy counters and history at each resolution."""

import json
import random
import struct
import subprocess

import pytest

from tools.processes import ROOT, micropython
from tools.tinybms_sim.battery import Battery

STEP_S = 2
EPOCH = 1_700_000_000  # as in tests/unit/help.py


def day_of_polls():
    """(polls, battery): night, sun with clouds, evening; every poll as the BMS would tell it."""
    battery = Battery(cells=16, capacity_ah=280, soc=45, seed=3)
    rand = random.Random(5)
    polls = []
    for second in range(0, 86_400, STEP_S):
        if second % 20 == 0:
            hour = second / 3600
            battery.load_a = rand.choice((3, 8, 8, 15, 60)) + (40 if 18 < hour < 21 else 0)
            sun = max(0, 1 - ((hour - 12) / 4.5) ** 2) * rand.choice((1, 1, 0.9, 0.3))
            battery.charger_on, battery.charger_a = sun > 0.02, 120 * sun
        battery.step(STEP_S)
        polls.append(
            (
                round(battery.voltage_mv), round(battery.current_ma), round(battery.soc * 100), round(battery.ext_c[0] * 10),
                round(battery.cell_min_mv), round(battery.cell_max_mv),
            )
        )  # fmt: skip
    return polls, battery


@pytest.fixture(scope="module")
def day(tmp_path_factory):
    polls, battery = day_of_polls()
    path = tmp_path_factory.mktemp("day") / "polls"
    path.write_bytes(b"".join(struct.pack("<6i", *poll) for poll in polls))
    done = subprocess.run(
        [micropython(), "-X", "heapsize=8M", "tests/integration/history_day_driver.py", str(path), str(STEP_S)],
        cwd=ROOT, capture_output=True, text=True, timeout=120,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return polls, battery, json.loads(done.stdout)


def test_energy_within_half_a_percent_of_the_truth(day):
    _, battery, result = day
    assert not result["errors"]
    truth = [battery.energy_in_wh, battery.energy_out_wh, battery.charge_in_ah, battery.charge_out_ah]
    for counted, true in zip(result["counters"], truth, strict=True):
        assert true > 20 and abs(counted - true) < 0.005 * true, (result["counters"], truth)
    print("Wh and Ah counted", result["counters"], "truth", truth)
    # the day of the clock begins in the middle of it, at 22:13:20
    energy = result["energy"]
    both = energy["today"]["discharged_wh"] + energy["yesterday"]["discharged_wh"]
    assert abs(both - result["counters"][1]) < 0.1 and energy["yesterday"]["charged_wh"] == 0


def test_live_samples_are_the_last_polls(day):
    polls, _, result = day
    assert len(result["live"]) == 512
    for (stamp, values), n in zip(result["live"], range(len(polls) - 512, len(polls)), strict=True):
        mv, ma, soc, temperature, low, high = polls[n]
        assert stamp == (EPOCH + (n + 1) * STEP_S) * 1000
        assert values == [mv, ma, soc, 9780, temperature, high - low]


@pytest.mark.parametrize(("resolution", "period", "count"), [("1m", 60, 1440), ("15m", 900, 96)])
def test_archive_holds_mean_and_extremes(day, resolution, period, count):
    polls, _, result = day
    expected = {}
    for n, poll in enumerate(polls):
        time = EPOCH + (n + 1) * STEP_S
        expected.setdefault(time // period * period, []).append(poll)
    records = result[resolution]
    assert count - 1 <= len(records) <= count + 1
    for stamp, values in records:
        found = dict(zip(result["names"], values, strict=True))
        mv, ma, soc, temperature, low, high = zip(*expected[stamp // 1000], strict=True)
        assert abs(found["pack_voltage"] - sum(mv) / len(mv)) <= 2
        assert abs(found["pack_voltage_min"] - min(mv)) <= 1 and abs(found["pack_voltage_max"] - max(mv)) <= 1
        assert abs(found["pack_current"] - sum(ma) / len(ma)) <= 26
        assert abs(found["pack_current_min"] - min(ma)) <= 50 and abs(found["pack_current_max"] - max(ma)) <= 50
        assert abs(found["state_of_charge"] - sum(soc) / len(soc)) <= 1
        assert abs(found["average_temperature"] - sum(temperature) / len(temperature)) <= 1
        assert found["cell_voltage_min"] == min(low) and found["cell_voltage_max"] == max(high)
        assert found["cell_spread"] == max(b - a for a, b in zip(low, high, strict=True))


def test_heap_stays_flat(day):
    heap = day[2]["heap"]
    assert len(heap) == 24 and max(heap[2:]) - min(heap[2:]) < 2_000, heap
