"""Charge control steers the simulator's battery: 16 LFP cells, one 60 mV high, one 2 % weak; a charger that holds 25 mV more."""

import pytest

from tools.charge_loop import ABSORPTION, BULK, FLOAT, STATES, ChargeProcess, ClosedLoop
from tools.tinybms_sim.battery import Battery


@pytest.fixture(scope="module")
def process():
    with ChargeProcess() as charge:
        yield charge


def pack(**arguments):
    return Battery(offset_mv={7: 60}, weak_percent={3: 2}, **arguments)


def comes_and_goes(t):
    return (2.0, 25.0, 0.0, 110.0, 8.0)[int(t) // 700 % 5]


def assert_safe(loop):
    high, low = loop.margin
    assert high > 20 and low > 20, (high, low)
    assert loop.battery.trips == 0, list(loop.battery.events)
    assert loop.fed_ah == 0, "discharged to reach a lower CVL"


def assert_float_is_steady(loop):
    """At most one step of CVL in any 10 minutes of FLOAT, each of 0.1 V."""
    last = None
    for before, (time, cvl, state) in zip(loop.cvl_changes, loop.cvl_changes[1:]):
        if state == FLOAT and before[2] == FLOAT:
            assert abs(cvl - before[1]) <= 100
            assert last is None or time - last >= 600
            last = time


def test_a_day_full_charge_and_hours_of_float(process):
    battery = pack(soc=40)
    loop = ClosedLoop(process, battery, load=comes_and_goes)
    assert loop.run(8, until=lambda loop: loop.state == ABSORPTION)
    assert loop.run(4, until=lambda loop: loop.state == FLOAT), loop.cvl_mv
    assert max(row[9] for row in loop.trace) > 99.5  # full
    assert min(battery.true_soc, battery.soc) > 97
    loop.run(6)
    assert loop.state == FLOAT and loop.cvl_mv == loop.float_cvl_mv == 54_000
    assert_float_is_steady(loop)
    assert_safe(loop)


def test_a_balanced_pack_gets_full_by_the_bms_s_own_word(process):
    for overshoot in (25, 0):
        battery = Battery(soc=90)
        loop = ClosedLoop(process, battery, overshoot=overshoot)
        assert loop.run(3, until=lambda loop: loop.battery.full), (overshoot, battery.cell_min_mv)
        loop.run(1)
        assert loop.state == FLOAT or loop.state == ABSORPTION and loop.cvl_mv < 57_600
        assert_safe(loop)


def test_discharge_to_empty_and_up_again(process):
    battery = pack(soc=25)
    loop = ClosedLoop(process, battery, charger_a=0, load=lambda t: (180.0, 60.0, 0.0, 20.0)[int(t) // 300 % 4])
    assert loop.run(4, until=lambda loop: loop.dcl_ma == 0)
    loop.run(0.5)
    assert loop.dcl_ma == 0 and battery.soc < 6
    assert_safe(loop)
    battery.charger_a = 90
    assert loop.run(2, until=lambda loop: loop.dcl_ma == 135_000)
    assert_safe(loop)


def test_cold_start(process):
    battery = pack(soc=50, temperature_c=-5)
    loop = ClosedLoop(process, battery, load=lambda t: 12.0)
    loop.run(0.5)
    assert loop.ccl_ma == 0 and battery.charge_in_ah == 0
    battery.ambient_c = 20
    assert loop.run(6, until=lambda loop: loop.ccl_ma > 0)
    assert min(battery.ext_c) > 0
    assert loop.run(14, until=lambda loop: loop.state == FLOAT)
    assert battery.true_soc > 97
    assert_float_is_steady(loop)
    assert_safe(loop)


def test_heat(process):
    battery = pack(soc=60, temperature_c=25)
    battery.ambient_c = 55
    loop = ClosedLoop(process, battery, load=lambda t: 100.0 if int(t) // 1200 % 2 else 0.0)
    loop.run(12)
    assert max(battery.ext_c) > 50 and loop.ccl_ma < 60_000
    battery.ambient_c = 75
    assert loop.run(8, until=lambda loop: loop.ccl_ma == loop.dcl_ma == 0)
    assert_safe(loop)
    battery.ambient_c = 20
    assert loop.run(12, until=lambda loop: loop.ccl_ma > 50_000)
    assert_safe(loop)


def test_restarts_at_every_stage(process):
    """Every 11 minutes over a charge, float and a discharge; the pack gets full all the same."""
    battery = pack(soc=80)
    loop = ClosedLoop(process, battery, load=comes_and_goes)
    seen = set()
    for _ in range(36):
        loop.run(0.183)
        seen.add(STATES[loop.state])
        before = loop.cvl_mv
        loop.restart()
        assert loop.cvl_mv >= loop.float_cvl_mv
        assert loop.cvl_mv <= max(before + 500, loop.float_cvl_mv)  # at most what the charger adds
        assert_safe(loop)
    assert {"BULK", "ABSORPTION", "FLOAT"} <= seen
    assert max(row[9] for row in loop.trace) > 99
    battery.charger_a = 0
    loop.load = lambda t: 120.0
    for _ in range(20):
        loop.run(0.183)
        loop.restart()
        assert_safe(loop)
    assert battery.soc < 8


def test_night_and_day(process):
    """Two short days: the sun charges, the house discharges; rebulk each morning, full each day."""
    battery = pack(soc=50, capacity_ah=140)
    loop = ClosedLoop(process, battery, load=lambda t: 5.0)
    for _ in range(2):
        battery.charger_a = 60
        loop.trace.clear()
        assert loop.run(6, until=lambda loop: loop.state == FLOAT)
        assert max(row[9] for row in loop.trace) > 99.5
        battery.charger_a, loop.load = 0, lambda t: 20.0
        loop.run(4)
        assert loop.state == BULK
        loop.load = lambda t: 5.0
    assert_float_is_steady(loop)
    assert_safe(loop)


@pytest.mark.parametrize(
    ("chemistry", "cells", "capacity"), [("nmc", 14, 66), ("nmc", 4, 500), ("lto", 16, 40), ("lfp", 8, 100)]
)
def test_other_packs(process, chemistry, cells, capacity):
    settings = {317: max(2, capacity // 2), 318: max(2, capacity // 2)}
    battery = Battery(
        cells=cells, capacity_ah=capacity, chemistry=chemistry, soc=70, offset_mv={2: 30}, settings=settings
    )
    amps = capacity / 3
    loop = ClosedLoop(process, battery, charger_a=amps, load=lambda t: amps / 4 if int(t) // 900 % 2 else 0.0)
    loop.run(5)
    assert max(row[9] for row in loop.trace) > 97  # with 4 cells a step of CVL is 25 mV a cell
    assert_float_is_steady(loop)
    battery.charger_a = 0
    loop.load = lambda t: amps
    assert loop.run(5, until=lambda loop: loop.dcl_ma == 0)
    assert_safe(loop)


def test_nothing_is_allocated(process):
    loop = ClosedLoop(process, pack(soc=90))
    loop.run(0.1)
    assert process.heap(2000) == process.heap(200)  # only what the measuring itself takes
