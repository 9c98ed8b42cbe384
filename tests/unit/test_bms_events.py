"""Event list, its order, what is new in it, and the conditions it tells (firmware/bms/events.py)."""

from firmware.bms.events import CAPACITY, Events
from firmware.bms.requests import request
from tests.unit.bms_fakes import DUMP_EVENTS, entry


def reply(base, entries):
    data = [base >> n & 0xFF for n in (0, 8, 16, 24)]
    for one in entries:
        data += list(entry(*one))
    return bytes(request(0x12, len(data), *data))


def update(events, base, entries):
    frame = reply(base, entries)
    return events.update(frame, len(frame))


def listed(events):
    return [(events.stamp(i), events.id(i)) for i in range(events.count)]


def test_events_of_a_real_unit():
    events = Events()
    assert update(events, 12_144_500, list(DUMP_EVENTS) + [(0, 0)] * 45) == 4
    assert listed(events) == list(DUMP_EVENTS)
    assert events.age(1) == 329
    assert (events.faults, events.warnings) == (0, 0)


def test_ring_order_with_equal_stamps():
    ordered = [(100, 0x64), (200, 0x62), (200, 0x02), (200, 0x7B), (300, 0x61)]
    for turn in range(5):
        events = Events()
        update(events, 1000, ordered[turn:] + ordered[:turn])
        if turn not in (2, 3):  # cut between equal stamps: nobody can know
            assert listed(events) == ordered, turn
        else:
            assert sorted(listed(events)) == sorted(ordered)


def test_newest_first_is_turned():
    ordered = [(n * 10, 0x61 + n % 3) for n in range(1, 20)]
    events = Events()
    update(events, 1000, list(reversed(ordered)))
    assert listed(events) == ordered


def test_stamps_wrap_at_24_bits():
    base = (5 << 24) + 50  # the newest are after the wrap
    ordered = [((1 << 24) - 100, 0x64), ((1 << 24) - 1, 0x02), (10, 0x7B), (50, 0x65)]
    events = Events()
    update(events, base, ordered[2:] + ordered[:2])
    assert listed(events) == ordered
    assert [events.age(i) for i in range(4)] == [150, 51, 40, 0]
    assert events.faults == 0


def test_no_event_twice_and_none_lost():
    """The ring of the BMS over 300 events, several in the same second, read at odd moments."""
    ring = [(0, 0)] * CAPACITY
    events = Events()
    written = []
    seen = []
    base = (1 << 24) - 2000
    for n in range(300):
        if n % 3:
            base += 7
        one = (base & 0xFFFFFF, (0x62, 0x64, 0x65)[n % 7 % 3])
        ring[n % CAPACITY] = one
        written.append(one)
        if n % 11 in (0, 4, 5):
            fresh = update(events, base, ring)
            new = listed(events)[events.count - fresh :]
            seen += new
            assert update(events, base + 1, ring) == 0
    assert seen == written[: len(seen)]
    assert len(seen) > 290
    assert events.total == len(seen)
    assert events.count == CAPACITY


def test_an_old_event_does_not_come_back_when_its_stamp_wraps():
    events = Events()
    update(events, 2000, [(1000, 0x64), (1500, 0x65)])
    assert update(events, 2000 + (1 << 24) - 600, [(1000, 0x64), (1500, 0x65)]) == 0
    assert update(events, 2000 + (1 << 24), [(1000, 0x64), (1500, 0x65), (1990, 0x62)]) == 1
    assert listed(events) == [(1000, 0x64), (1500, 0x65), (1990, 0x62)]


def test_cleared_log_keeps_the_conditions():
    events = Events()
    update(events, 2000, [(1000, 0x02), (1001, 0x37)])
    assert (events.faults, events.warnings) == (1 << 2, 1 << 7)
    assert update(events, 2010, []) == 0
    assert events.count == 0
    assert (events.faults, events.warnings) == (1 << 2, 1 << 7)
    assert update(events, 2020, [(2015, 0x7B)]) == 1
    assert (events.faults, events.warnings) == (0, 1 << 7)


def test_each_condition_ends_with_its_event():
    for raised, ends in (
        (0x02, 0x7B), (0x03, 0x79), (0x04, 0x73), (0x05, 0x77), (0x06, 0x76), (0x07, 0x78), (0x0A, 0x75), (0x0E, 0x7C),
        (0x31, 0x7A), (0x37, 0x74),
    ):  # fmt: skip
        events = Events()
        update(events, 100, [(10, raised)])
        if raised < 0x31:
            assert (events.faults, events.warnings) == (1 << raised, 0)
        else:
            assert (events.faults, events.warnings) == (0, 1 << (raised - 0x30))
        for other in (0x62, 0x64, 0x66, 0x67, 0x7D):
            update(events, 100, [(10, raised), (11, other)])
            assert events.faults or events.warnings
        update(events, 100, [(10, raised), (12, ends)])
        assert (events.faults, events.warnings) == (0, 0)


def test_several_faults_at_once_and_a_restart():
    events = Events()
    update(events, 100, [(10, 0x02), (11, 0x0C), (12, 0x04), (13, 0x73)])
    assert events.faults == 1 << 2 | 1 << 0x0C
    events.not_fault()  # the switch error has no event of its own that ends it
    assert events.faults == 1 << 2
    update(events, 100, [(14, 0x0D), (15, 0x61)])
    assert events.faults == 0


def test_charging_done_is_over_with_the_next_charge():
    events = Events()
    update(events, 100, [(10, 0x38)])
    assert events.warnings == 1 << 8
    update(events, 100, [(10, 0x38), (20, 0x62)])
    assert events.warnings == 0


def test_after_an_absence_the_list_alone_tells():
    events = Events()
    update(events, 2000, [(1000, 0x02), (1001, 0x37)])
    frame = reply(2100, [(1001, 0x37), (2050, 0x03)])
    assert events.update(frame, len(frame), True) == 1
    assert (events.faults, events.warnings) == (1 << 3, 1 << 7)


def test_more_events_than_the_ring_holds():
    events = Events()
    update(events, 2000, [(1000, 0x02)])
    assert update(events, 9000, [(3000 + n, 0x62) for n in range(CAPACITY)]) == CAPACITY
    assert events.faults == 0
