"""Energy and charge: integers against exact sums, days, records, saving."""

import os

from firmware import bus as topics
from firmware import live as field
from firmware.history import energy as counter
from firmware.history.report import report
from tests.unit.help import FakeClock, new_directory
from tests.unit.history_parts import EPOCH, Rig


def rig(**options):
    return Rig(new_directory("energy"), **options)


def wh(r, at):
    """A counter with its fraction, exactly enough for a test."""
    return r.energy.state[at] + r.energy.state[at + 1] / counter.UNIT


def test_constant_power_is_exact():
    for current, up, down in ((10_000, counter.IN_WH, counter.OUT_WH), (-10_000, counter.OUT_WH, counter.IN_WH)):
        r = rig()
        r.battery(52_000, current)
        r.poll()
        r.polls(4 * 3600, 250)
        assert abs(wh(r, up) - 520) < 0.001 and wh(r, down) == 0
        assert abs(wh(r, up + 4) - 10) < 0.00001 and wh(r, down + 4) == 0
        assert r.live.data[field.ENERGY_IN] == r.energy.state[counter.IN_WH]


def test_largest_powers_stay_small_ints():
    r = rig()
    r.battery(80_000, 750_000)
    r.poll()
    r.polls(3600, 10_000)
    assert wh(r, counter.IN_WH) == 600_000 and wh(r, counter.IN_AH) == 7_500
    assert all(-(1 << 30) < word < 1 << 30 for word in r.energy.state)


def test_small_currents_add_up():
    r = rig()
    r.battery(3_333, 7)  # 23 mW
    r.poll()
    r.polls(100_000, 100)
    assert abs(wh(r, counter.IN_WH) - 0.0648) < 0.003
    assert abs(wh(r, counter.IN_AH) - 0.0194444) < 0.00001


def test_trapezoid_against_exact_sums():
    r = rig()
    state = 1
    exact = {counter.IN_WH: 0, counter.OUT_WH: 0, counter.IN_AH: 0, counter.OUT_AH: 0}
    last = None
    for _ in range(5000):
        state = state * 1103515245 + 12345 & 0x7FFFFFFF
        voltage, current = 40_000 + state % 20_000, (state >> 8) % 400_001 - 200_000
        ms = 50 + (state >> 4) % 2_000
        r.battery(voltage, current)
        r.poll(ms)
        if last:
            for v, i in (last, (voltage, current)):
                exact[counter.IN_WH if i > 0 else counter.OUT_WH] += v * abs(i) * ms
                exact[counter.IN_AH if i > 0 else counter.OUT_AH] += abs(i) * ms
        last = voltage, current
    for at in (counter.IN_WH, counter.OUT_WH):
        assert abs(wh(r, at) - exact[at] / 7.2e12) < 0.01, (wh(r, at), exact[at] / 7.2e12)
        assert abs(wh(r, at + 4) - exact[at + 4] / 7.2e9) < 0.001


def test_gaps_are_not_counted():
    for gap, counted in ((10_000, True), (10_001, False), (86_400_000, False), (1 << 30, False)):
        r = rig()
        r.battery(50_000, 100_000)
        r.polls(2)
        before = wh(r, counter.IN_AH)
        left = gap
        while left:  # the task runs on
            step = min(left, 10_001)
            r.clock.advance(step)
            left -= step
            if step == 10_001:
                r.energy.tick()
        r.poll()
        assert (wh(r, counter.IN_AH) > before) == counted, gap
        r.poll(1000)
        assert wh(r, counter.IN_AH) > before


def test_unknown_values_are_not_counted():
    r = rig()
    r.polls(3)
    r.live.data[field.CURRENT] = field.ABSENT
    before = r.energy.state[1:9]
    r.poll(1000)
    r.battery(52_000, -1000)
    r.poll(1000)
    assert r.energy.state[1:9] == before
    r.poll(1000)
    assert r.energy.state[1:9] != before


def test_absent_until_counted():
    r = rig()
    assert r.live.get(field.ENERGY_IN) is None and r.live.get(field.ENERGY_OUT) is None
    r.polls(2)
    assert r.live.get(field.ENERGY_IN) == 0 and r.live.get(field.ENERGY_OUT) == 0


def test_days():
    r = rig(utc_offset_min=60)  # EPOCH is 23:13:20 there
    r.battery(50_000, 20_000)  # 1 kW
    r.poll()
    r.polls(46 * 60 + 39)
    seen = report(r.energy, r.live)
    assert abs(seen["today"]["charged_wh"] - 777.5) < 0.5 and seen["yesterday"] is None
    r.polls(1801)  # over midnight
    r.energy.tick()
    seen = report(r.energy, r.live)
    assert abs(seen["yesterday"]["charged_wh"] - 777.5) < 0.5
    assert abs(seen["today"]["charged_wh"] - 500) < 1 and abs(seen["today"]["charged_ah"] - 10) < 0.02
    assert seen["today"]["discharged_wh"] == 0 and seen["lifetime"]["charged_wh"] in (1277, 1278)
    r.energy.stop()
    again = Rig(r.directory, clock=r.clock, utc_offset_min=60)
    assert report(again.energy, again.live) == seen
    for _ in range(2 * 24 * 360):  # two days without the BMS
        r.clock.advance(10_000)
        again.energy.tick()
    seen = report(again.energy, again.live)
    assert seen["today"]["charged_wh"] == 0 and seen["yesterday"]["charged_wh"] == 0


def test_restart_after_midnight_without_a_clock():
    r = rig()
    r.battery(50_000, 20_000)
    r.poll()
    r.polls(3600)
    r.energy.stop()
    clock = FakeClock()
    clock.time_valid = False
    again = Rig(r.directory, clock=clock)
    again.battery(50_000, -20_000)
    again.poll()
    again.polls(1800)
    assert report(again.energy, again.live)["today"] is None
    clock.set_epoch_ms(EPOCH + 86_400_000)
    again.energy.tick()
    seen = report(again.energy, again.live)
    # EPOCH is 22:13: an hour later it is 23:13 of the same day, which is yesterday now
    assert abs(seen["yesterday"]["charged_wh"] - 1000) < 0.1 and abs(seen["today"]["discharged_wh"] - 500) < 0.1
    assert seen["today"]["charged_wh"] == 0 and seen["yesterday"]["discharged_wh"] == 0


def test_clock_set_back_over_midnight_keeps_the_day():
    r = rig()
    r.battery(50_000, 20_000)
    r.poll()
    r.minutes(110)  # 00:03
    before = report(r.energy, r.live)
    r.clock.set_epoch_ms(r.clock.epoch_ms() - 300_000)
    r.energy.tick()
    assert report(r.energy, r.live) == before and before["yesterday"] is not None
    r.minutes(10)
    assert abs(report(r.energy, r.live)["today"]["charged_wh"] - before["today"]["charged_wh"] - 166.6) < 1


def test_saved_after_ten_watt_hours_or_ten_minutes():
    r = rig()
    saves = []
    save = r.energy.save
    r.energy.save = lambda: (saves.append(r.clock.uptime_ms()), save())
    r.battery(50_000, 20_000)  # 10 Wh in 36 s
    r.minutes(10)
    assert 13 <= len(saves) <= 17, len(saves)
    del saves[:]
    r.battery(50_000, 400)  # 20 W
    r.minutes(60)
    assert 5 <= len(saves) <= 7, len(saves)
    del saves[:]
    r.battery(50_000, 0)
    r.minutes(60)
    assert len(saves) <= 2, "nothing new but the day, nothing saved"


def test_records_and_time_at_high_soc():
    r = rig()
    r.live.data[field.SET_CAPACITY] = 280_000
    empty = report(r.energy, r.live)
    assert set(empty["records"].values()) == {None} and empty["cycles"] == 0
    for voltage, current, soc, temperature in (
        (52_000, 0, 8_999, 200), (56_000, 80_000, 9_000, 310), (48_000, -120_000, 9_500, -55)
    ):  # fmt: skip
        r.battery(voltage, current, soc, temperature)
        r.polls(10)
    seen = report(r.energy, r.live)
    assert seen["high_soc_s"] == 20 and seen["high_soc_percent"] == 90
    assert seen["records"] == {
        "cell_voltage_min_mv": 2_995, "cell_voltage_max_mv": 3_507, "pack_voltage_min_mv": 48_000,
        "pack_voltage_max_mv": 56_000, "temperature_min_c": -5.5, "temperature_max_c": 31.0,
        "charge_current_max_ma": 80_000, "discharge_current_max_ma": 120_000,
    }  # fmt: skip
    r.energy.state[counter.OUT_AH] = 700
    assert report(r.energy, r.live)["cycles"] == 2.5
    r.energy.stop()
    assert report(Rig(r.directory).energy, r.live)["records"] == seen["records"]


def test_damaged_files():
    r = rig()
    r.battery(50_000, 200_000)
    r.minutes(10)
    path = r.directory + "/energy."
    sequence = r.energy.state[0]
    newest = path + str(sequence & 1)
    assert os.stat(newest)[6] == 128
    saved = r.energy.saved_wh
    with open(newest, "r+b") as file:
        file.seek(50)
        file.write(b"\xaa")
    again = Rig(r.directory)
    assert saved - 80 <= again.energy.state[counter.IN_WH] < saved
    for name in "01":
        with open(path + name, "wb") as file:
            file.write(b"")
    again = Rig(r.directory)
    assert again.energy.state[counter.IN_WH] == 0 and again.log.lines[0][0] == "error"
    assert again.live.get(field.ENERGY_IN) is None
    os.remove(path + "0")  # as a first save leaves it that found the disk full: nothing was ever counted
    assert Rig(r.directory).log.lines == []


def test_save_that_fails_is_tried_again_and_spares_the_good_file():
    r = rig()
    r.battery(50_000, 200_000)
    r.minutes(3)
    path = r.energy.path
    r.energy.path = "/nowhere/energy."
    sequence = r.energy.state[0]
    r.minutes(3)
    assert r.energy.state[0] == sequence and len(r.log.lines) == 1
    r.energy.path = path
    r.minutes(1)
    assert Rig(r.directory).energy.state[counter.IN_WH] >= r.energy.state[counter.IN_WH] - 40


def test_a_broken_poll_does_not_break_the_bus():
    r = rig()
    r.bus.publish(topics.POLL)
    assert r.bus.errors == 0
