"""The short form of `make soak`: hours of the whole gateway on a simulated clock, with faults; a fixed seed."""

import random
import subprocess

import pytest

from tools.build import ROOT
from tools.processes import micropython
from tools.soak.__main__ import rows, slope, soak
from tools.soak.ledger import Ledger


@pytest.mark.parametrize(("days", "seed", "words"), [(0.06, 1, ()), (0.01, 2, ("nofaults", "mqtt"))])
def test_hours_of_everything(tmp_path, days, seed, words):
    lines = []
    result = soak(days, seed, tmp_path, words, lines.append)
    broken = [row for row in rows(result, days) if not row[3]]
    assert not broken, (broken, result["errors"], result["answers_wrong"], lines[-20:])
    assert result["wraps"] >= 1 and result["frames"] > 300_000 * days


def test_the_slope_of_the_heap_is_told_from_seven_days_on():
    dice = random.Random(1)

    def heap(days, rise):
        return [(hour, 380_000 + rise * hour / 24 + dice.uniform(-15e3, 15e3)) for hour in range(1, 24 * days + 1)]

    assert slope(heap(6, 0)) is None
    assert abs(slope(heap(15, 0))) < 1024
    assert 2048 < slope(heap(15, 3072)) < 4096


def test_the_ledger_sees_a_poll_that_must_not_count_and_one_that_should():
    class Waits:
        now = 1_000_000

    class Live:
        def good_poll(self):
            pass

        settings_read = good_poll

    waits, said, told, live = Waits(), [], [], Live()
    ledger = Ledger(waits, said.append)
    ledger.watch(live)
    ledger.reply(lambda: told.append(1))
    live.good_poll()
    assert said.pop() == "a poll counted while no settings hold"
    ledger.settings_fit = True
    live.settings_read()
    waits.now += 1000
    ledger.reply(lambda: told.append(2))
    live.good_poll()
    assert told == [1, 2] and not said
    live.good_poll()
    assert said.pop() == "a poll counted that had no good reply"
    ledger.reply(lambda: None)
    ledger.reply(lambda: None)
    assert said.pop() == "a good reply did not count"
    ledger.ended()
    assert not said and ledger.lost == {"line": 0, "late": 0, "cut": 1}
    ledger.settings_fit = False
    live.settings_read()
    assert said.pop() == "settings taken that cannot be"
    waits.now += 6000
    ledger.settings_fit, ledger.refused, ledger.settings_at = True, False, 0
    ledger.reply(lambda: None)
    live.good_poll()
    assert "settings not read again" in said.pop()


def test_a_fault_that_the_gateway_was_told_of_must_show_and_no_other(tmp_path):
    """tools/soak/checks.py under MicroPython: CCL in a fault of the BMS, before and after a good reply that tells it."""
    script = tmp_path / "probe.py"
    script.write_text(
        """
import sys
sys.path[:0] = [".", "lib"]
from tools.soak.checks import Checks
class One:
    fault, fault_at, now, good_at, settings_at, calm_since = 3, 10_000, 14_000, 9_950, 9_000, 99_000
    qualified = True
    hours = lambda self: 0
    say = lambda self, text: None
sim = One()
sim.waits = sim.ledger = sim.pack = sim.app = sim.live = sim
checks = Checks(sim)
limits = bytes((0x40, 2, 132, 3, 0, 0, 0, 0))
checks.frame(0x351, limits)
print(checks.count)
sim.good_at = 13_000
checks.frame(0x351, limits)
print(checks.count, checks.errors)
"""
    )
    done = subprocess.run([micropython(), str(script)], cwd=ROOT, capture_output=True, text=True, timeout=60)
    assert not done.returncode, done.stderr + done.stdout
    first, second = done.stdout.splitlines()
    assert first == "0" and second.startswith("1 ") and "CCL 90000 mA in BMS fault 03" in second
