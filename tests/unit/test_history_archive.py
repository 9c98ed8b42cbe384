"""The archive: minutes and quarters of an hour on flash, with their time, and what a power cut leaves of them."""

import os

from firmware import live as field
from firmware.history import reader
from firmware.history.thin import thinned
from tests.unit.help import FakeClock, new_directory
from tests.unit.history_parts import EPOCH, Rig

_START = EPOCH // 1000 // 60 * 60  # of the minute of EPOCH: 20 s before it


def rig(**options):
    return Rig(new_directory("archive"), **options)


def records(rig, resolution="1m", skip=0):
    archive = rig.history.archive
    archived = reader.Archived(archive, reader.ring_of(archive, resolution))
    return [sample for sample in reader.archived_samples(archived, skip) if sample is not None]


def column(name):
    return [entry[0] for entry in reader.ARCHIVE].index(name)


def of(samples, name):
    return [values[column(name)] for _, values in samples]


def test_a_minute_holds_mean_minimum_and_maximum():
    r = rig()
    r.polls(39)  # the next poll is at the full minute
    for i in range(60):
        r.battery(51_200 + 100 * (i % 2), -20_000 + 1000 * i, 7_000 + i, 200 + i)
        r.live.data[field.CELL_MIN], r.live.data[field.CELL_MAX] = 3_200 - i, 3_210 + i
        r.poll(1000)
    r.poll(1000)
    stamp, values = records(r)[1]
    assert stamp == (_START + 60) * 1000
    wanted = {
        "pack_voltage": 51_250, "pack_voltage_min": 51_200, "pack_voltage_max": 51_300, "pack_current": 9_500,
        "pack_current_min": -20_000, "pack_current_max": 39_000, "state_of_charge": 7_030, "state_of_charge_min": 7_000,
        "state_of_charge_max": 7_050, "state_of_health": 9_800, "average_temperature": 230, "temperature_min": 200,
        "temperature_max": 260, "cell_voltage_min": 3_141, "cell_voltage_max": 3_269, "cell_spread": 128,
    }  # fmt: skip
    assert dict(zip((name for name, _ in reader.ARCHIVE), values)) == wanted, values


def test_extreme_and_unknown_values():
    for voltage, current, temperature in ((80_000, 750_000, 1250), (4_000, -750_000, -400)):
        r = rig()
        r.battery(voltage, current, 10_000, temperature)
        r.live.data[field.CELL_MIN], r.live.data[field.CELL_MAX] = 0, 8_000
        r.polls(1_000, 100)
        found = records(r)[-1][1]
        for name in ("pack_voltage", "pack_voltage_min", "pack_voltage_max"):
            assert found[column(name)] == voltage
        for name in ("pack_current", "pack_current_min", "pack_current_max"):
            assert found[column(name)] == current
        assert found[column("state_of_charge")] == 10_000 and found[column("average_temperature")] == temperature
        assert found[column("cell_spread")] == 8_000
    r = rig()
    for name in (field.SOC, field.SOH, field.TEMP_EXT1, field.CELL_MIN, field.CELL_MAX):
        r.live.data[name] = field.ABSENT
    r.polls(70)
    found = dict(zip((name for name, _ in reader.ARCHIVE), records(r)[0][1]))
    for name, value in found.items():
        assert (value is None) == (not name.startswith("pack_")), name
    r = rig()
    r.live.data[field.VOLTAGE] = field.ABSENT
    r.polls(200)
    assert records(r) == []


def test_small_currents_do_not_get_lost_in_the_mean():
    r = rig()
    r.battery(52_000, 13)  # half a step
    r.polls(1, 40_000)
    r.polls(600, 100)
    assert 0 <= records(r)[-1][1][column("pack_current")] <= 25
    r = rig()
    r.battery(52_000, -37)
    r.poll(40_000)
    r.polls(600, 100)
    assert -50 <= records(r)[-1][1][column("pack_current")] <= -25


def test_minutes_and_quarters_in_order_with_their_gaps():
    r = rig()
    r.minutes(50)
    r.clock.advance(3_600_000)  # the BMS was lost for an hour
    r.minutes(30)
    stamps = [stamp // 1000 for stamp, _ in records(r)]
    assert stamps[0] == _START and stamps == sorted(set(stamps)) and all(s % 60 == 0 for s in stamps)
    gaps = [b - a for a, b in zip(stamps, stamps[1:]) if b - a != 60]
    assert gaps == [3_600] or gaps == [3_660], gaps
    assert 80 <= len(stamps) <= 81
    quarters = [stamp // 1000 for stamp, _ in records(r, "15m")]
    assert all(s % 900 == 0 for s in quarters) and 6 <= len(quarters) <= 7
    assert records(r, "1m", 77) == records(r)[77:]


def test_blocks_of_ten_minutes_and_files_of_fixed_size():
    r = rig()
    writes = []
    write = r.history.archive.write
    r.history.archive.write = lambda: (writes.append(r.clock.epoch_ms()), write())
    r.minutes(121)
    assert 12 <= len(writes) <= 12 + 8  # minutes, quarters
    directory = r.directory + "/history"
    for name in os.listdir(directory):
        assert os.stat(directory + "/" + name)[6] == (3840 if name[0] == "m" else 3072), name
    assert r.history.archive.minutes.count < 10 and len(records(r)) == 121


def test_rings_wrap():
    r = rig()
    r.minutes(2)
    archive = r.history.archive
    for hours in range(3 * 24):
        r.battery(50_000 + hours, 0)
        r.clock.advance(3_540_000)
        r.minutes(1)
    minutes = records(r)
    now = r.clock.epoch_ms()
    assert all(now - stamp <= 86_400_000 for stamp, _ in minutes) and 24 <= len(minutes) <= 49
    assert of(minutes, "pack_voltage_max")[-1] >= 50_070
    for _ in range(33):
        r.clock.advance(86_400_000 - 60_000)
        r.minutes(1)
    r.clock.advance(900_000)
    r.minutes(1)
    quarters = records(r, "15m")
    assert 31 <= len(quarters) <= 64 and all(r.clock.epoch_ms() - stamp <= 31 * 86_400_000 for stamp, _ in quarters)
    size = 0
    for name in os.listdir(archive.directory):
        size += os.stat(archive.directory + "/" + name)[6]
    assert size <= 141_312, size


def test_a_restart_keeps_what_was_written():
    r = rig()
    r.minutes(35)
    r.history.stop()
    before = records(r), records(r, "15m")
    again = Rig(r.directory, clock=r.clock)
    again.history.tick()
    assert (records(again), records(again, "15m")) == before
    assert len(before[0]) == 36 and len(before[1]) == 4


def test_clock_is_set_after_minutes_and_after_hours():
    for kept in (15, 180):
        clock = FakeClock()
        clock.time_valid = False
        r = rig(clock=clock)
        r.minutes(kept)
        assert all(stamp < 86_400_000 for stamp, _ in records(r))
        clock.set_epoch_ms(EPOCH + clock.uptime_ms())
        for _ in range(20):
            r.history.tick()
        r.minutes(15)
        stamps = [stamp // 1000 for stamp, _ in records(r)]
        assert stamps == sorted(set(stamps)) and stamps[0] == _START, (stamps[0], _START)
        assert kept + 13 <= len(stamps) <= kept + 16, (kept, len(stamps))
        assert not [name for name in os.listdir(r.directory + "/history") if name.startswith("early")]


def test_small_and_large_steps_of_the_clock():
    for step in (-3_000, 3_000, 40_000, 7_200_000):
        r = rig()
        r.minutes(25)
        r.clock.set_epoch_ms(r.clock.epoch_ms() + step)
        r.minutes(25)
        stamps = [stamp // 1000 for stamp, _ in records(r)]
        assert stamps == sorted(set(stamps))
        assert 49 <= len(stamps) <= 52, (step, len(stamps))


def test_damaged_records_are_skipped():
    r = rig()
    r.minutes(20)
    r.history.stop()
    count = len(records(r))
    directory = r.directory + "/history"
    name = [name for name in os.listdir(directory) if name.startswith("m")][0]
    slot = _START // 60 % 1440 % 120
    with open(directory + "/" + name, "r+b") as file:
        file.seek(slot * 32 + 9)
        file.write(b"\x55")
    assert len(records(r)) == count - 1


def test_full_disk():
    r = rig()
    r.minutes(5)
    r.history.archive.directory = "/nowhere/at/all"
    r.minutes(40)
    assert [line for line in r.log.lines if line[0] == "error"] and len(r.log.lines) == 1
    assert r.history.archive.minutes.count == 24
    r.history.archive.directory = r.directory + "/history"
    r.minutes(10)
    assert r.history.archive.minutes.count < 10 and len(records(r)) >= 24


def test_only_what_lies_in_a_window_is_read():
    r = rig()
    r.minutes(45)
    archive = r.history.archive
    stamps = [stamp for stamp, _ in records(r)]
    assert len(stamps) >= 44 and archive.minutes.count  # some on flash, some wait

    def between(first, last):
        archived = reader.Archived(archive, archive.minutes, first, last)
        return [item[0] for item in reader.archived_samples(archived, 0) if item is not None]

    for first, last in ((3, 7), (0, len(stamps) - 1), (len(stamps) - 3, len(stamps) - 1), (5, 5)):
        assert between(stamps[first], stamps[last]) == stamps[first : last + 1]
        assert between(stamps[first] - 59_999, stamps[last] + 59_999) == stamps[first : last + 1]
    assert between(stamps[4] + 1, None) == stamps[5:] and between(None, stamps[4] - 1) == stamps[:4]
    assert between(stamps[-1] + 1, None) == between(None, stamps[0] - 1) == between(stamps[9], stamps[3]) == []
    assert between(0, 10**14) == stamps


def test_one_sample_of_many():
    names = (("pack_current", 3), ("pack_current_min", 3), ("pack_current_max", 3), ("cell_spread", 3))
    samples = [
        (60_000, (-5, -9, 1, 4)),
        None,
        (120_000, (-8, -7, -1, None)),
        (180_000, (None, None, None, None)),  # unknown is not zero
        (240_000, (7, 6, 8, 2)),
        (360_000, (None, None, None, 3)),
    ]
    found = list(thinned(iter(samples), names, 240_000))
    assert found == [None, (0, [-6, -9, 1, 4]), (240_000, [7, 6, 8, 3])], found
    assert list(thinned(iter([]), names, 1000)) == []
