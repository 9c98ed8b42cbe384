"""The running history: samples in one ring, and how they are read."""

import gc

from firmware import bus as topics
from firmware import live as field
from firmware.history import reader
from firmware.history.ring import CAPACITY
from tests.unit.help import FakeClock, new_directory
from tests.unit.history_parts import EPOCH, Rig


def rig(**options):
    return Rig(new_directory("history"), **options)


def samples(rig, skip=0):
    return list(reader.live_samples(rig.history, skip))


def test_sample_as_it_was_measured():
    r = rig()
    r.poll(1234)
    assert samples(r) == [(EPOCH + 1234, (52130, -11420, 7850, 9780, 246, 12))]


def test_values_at_their_limits_and_absent():
    r = rig()
    data = r.live.data
    for current in (-750_000, 750_000, 0):
        for temperature in (-400, 1250):
            data[field.CURRENT], data[field.TEMP_EXT1], data[field.VOLTAGE] = current, temperature, 80_000
            data[field.SOC], data[field.SOH] = 10_000, 0
            r.poll(1000)
            assert samples(r)[-1][1] == (80_000, current, 10_000, 0, temperature, 12)
    for i in (field.VOLTAGE, field.CURRENT, field.SOC, field.SOH, field.TEMP_EXT1, field.CELL_MIN):
        data[i] = field.ABSENT
    r.poll(1000)
    assert samples(r)[-1][1] == (None,) * 6


def test_ring_keeps_the_newest_in_order():
    r = rig()
    for i in range(700):
        r.battery(50_000 + i, 0)
        r.poll(1000)
    found = samples(r)
    assert r.history.ring.count == len(found) == CAPACITY == 512
    assert [values[0] for _, values in found] == list(range(50_188, 50_700))
    assert all(b[0] - a[0] == 1000 for a, b in zip(found, found[1:]))
    assert samples(r, 510) == found[-2:]


def test_samples_that_come_while_one_reads():
    r = rig()
    r.polls(600)
    generator = reader.live_samples(r.history, 0)
    first = next(generator)
    r.polls(3)
    rest = list(generator)
    stamps = [stamp for stamp, _ in rest]
    assert stamps == sorted(stamps) and stamps[0] > first[0]
    assert len(rest) == 512 - 1 - 2  # two that nobody had read yet were replaced


def test_interval():
    for poll_ms, interval_ms, distance in ((250, 1000, 1000), (250, 250, 250), (100, 1000, 1000), (1000, 5000, 5000)):
        r = rig(interval_ms=interval_ms)
        r.polls(60_000 // poll_ms, poll_ms)
        stamps = [stamp for stamp, _ in samples(r)]
        assert all(b - a == distance for a, b in zip(stamps, stamps[1:])), (poll_ms, interval_ms)


def test_polls_that_jitter_keep_the_interval():
    r = rig()
    for i in range(400):
        r.poll(250 + (-20, 15, 20, -15)[i % 4])
    assert 99 <= len(samples(r)) <= 101


def test_interval_is_changed():
    r = rig(interval_ms=60_000)
    r.polls(10)
    r.config.values["history.interval_ms"] = 1000
    r.bus.publish(topics.CONFIG, ("history.interval_ms",))
    before = len(samples(r))
    r.polls(20)
    assert r.history.interval_ms == 1000 and len(samples(r)) >= before + 19


def test_no_samples_while_the_bms_is_lost():
    r = rig()
    r.polls(5)
    for _ in range(600):
        r.clock.advance(1000)
        r.history.tick()
    r.polls(5)
    stamps = [stamp for stamp, _ in samples(r)]
    assert len(stamps) == 10 and stamps[5] - stamps[4] == 601_000


def test_after_days_without_polls_and_across_the_wrap_of_the_ticks():
    r = rig()
    r.poll(1000)
    for _ in range(20 * 24):
        r.clock.advance(3_600_000)
        r.history.tick()
        r.energy.tick()
    r.polls(3)
    stamps = [stamp for stamp, _ in samples(r)]
    assert stamps == [EPOCH + 1000] + [EPOCH + 20 * 86_400_000 + 1000 + 1000 * i for i in (1, 2, 3)]


def test_samples_from_before_the_clock_was_set_get_their_time():
    clock = FakeClock()
    clock.time_valid = False
    r = rig(clock=clock)
    r.polls(3)
    assert [stamp for stamp, _ in samples(r)] == [1000, 2000, 3000]
    assert reader.iso(3000) is None
    clock.set_epoch_ms(EPOCH + 3000)
    assert [stamp for stamp, _ in samples(r)] == [EPOCH + 1000, EPOCH + 2000, EPOCH + 3000]


def test_ring_takes_six_and_a_half_kilobytes():
    gc.collect()
    before = gc.mem_alloc()
    from firmware.history.ring import Ring

    ring = Ring(None)
    gc.collect()
    assert len(ring.bytes) == 6656
    assert gc.mem_alloc() - before < 6656 + 400


def test_distances_of_samples():
    """Milliseconds up to half an hour, then seconds, made up for by the next sample; after 24 days the ring begins anew."""
    r = rig()
    r.poll(1234)
    time = EPOCH + 1234
    for gap in (1_999_001, 61_234, 1500):
        r.clock.advance(gap - 1)
        r.history.tick()
        r.poll(1)
        time += gap
        assert samples(r)[-1][0] == time
    for gap in (2_001_300, 3_000_700, 300_000_900):
        r.clock.advance(gap - 1)
        r.history.tick()
        r.poll(1)
        time += gap
        assert 0 <= time - samples(r)[-1][0] < 1000
        r.poll(1000)
        time += 1000
        assert samples(r)[-1][0] == time
    stamps = [stamp for stamp, _ in samples(r)]
    assert len(stamps) == 10 and stamps[0] == EPOCH + 1234
    for _ in range(25):
        r.clock.advance(86_400_000)
        r.history.tick()
    r.poll(1000)
    r.poll(1000)
    assert len(samples(r)) == 2 and r.history.ring.count == 2


def test_a_poll_allocates_nothing():
    """Sample, minute and quarter of an hour that close, energy, records, a new day."""
    r = rig()
    r.energy.tick()
    r.history.tick()
    advance, good, add, count = r.clock, r.live, r.history._on_poll, r.energy._on_poll
    data = r.live.data
    add(0, None)
    count(0, None)
    times = (advance._ticks, advance._up)
    worst = 0
    gc.collect()
    gc.disable()
    for i in range(2 * 3600):
        advance._ticks, advance._up = times[0], times[1]
        r.clock.advance(1000)
        times = (advance._ticks, advance._up)
        data[field.CURRENT] = (-30_000, 1, 0, 80_001)[i % 4]
        data[field.VOLTAGE] = 50_000 + i
        good.good_poll()
        before = gc.mem_alloc()
        add(0, None)
        count(0, None)
        used = gc.mem_alloc() - before
        if used > worst:
            worst = used
        if i % 300 == 299:
            r.history.tick()
            gc.collect()
    gc.enable()
    assert r.energy.state[1] > 0 and r.history.archive.minutes.count < 10
    assert worst == 0, worst


def test_numbers_as_text():
    cases = (
        (52130, 3, "52.13"), (-5, 3, "-0.005"), (0, 3, "0"), (1000, 3, "1"), (-11420, 3, "-11.42"), (246, 1, "24.6"),
        (10000, 2, "100"), (123456789, 3, "123456.789"),
        (-1000, 3, "-1"), (5, 1, "0.5"), (-99, 2, "-0.99"),
    )  # fmt: skip
    for value, digits, text in cases:
        assert reader.fixed(value, digits) == text.encode(), (value, reader.fixed(value, digits))


def test_rows_make_what_has_changed():
    pieces = [b"", b"", b" ", b"", b" ", b"", b" ", b"", b";"]
    names = (("a", 1), ("b", 2))
    minute = 1_700_000_100_000
    samples = (
        (3000, (None, 5)), None, (minute + 59_999, (10, 5)), (minute + 60_000, (None, 5)), (minute + 60_001, (0, -5)),
    )  # fmt: skip
    found = [row and row.decode() for row in reader.rows(names, samples, pieces, b"'", b"-")]
    assert found == [
        "3000 - - 0.05;", None, "1700000159999 '2023-11-14T22:15:59.999Z' 1 0.05;",
        "1700000160000 '2023-11-14T22:16:00.000Z' - 0.05;", "1700000160001 '2023-11-14T22:16:00.001Z' 0 -0.05;",
    ], found  # fmt: skip


def test_iso():
    assert reader.iso(1_700_000_100_123) == "2023-11-14T22:15:00.123Z"
