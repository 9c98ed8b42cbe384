"""Events of the BMS among the alerts, and times before the clock is set."""

from firmware import live as L
from firmware.alerts.alert import ACTIVE, CLEARED
from firmware.alerts.seen import unseen
from firmware.bms.events import CAPACITY
from tests.unit.alerts_parts import Bench
from tests.unit.bms_fakes import DUMP_EVENTS


def kinds(bench):
    return [kind for kind, _ in bench.history()]


def test_first_contact_with_a_real_unit():
    bench = Bench()
    bench.bms_events(12_144_500, DUMP_EVENTS)
    assert bench.history() == [(305, CLEARED), (302, CLEARED), (304, CLEARED), (305, CLEARED)]
    assert bench.active() == [] and bench.triggered == [] and bench.told == []
    newest = bench.entries()[0]
    assert newest.times[0] == bench.clock.epoch_ms() - (12_144_500 - 12_144_194) * 1000 == newest.times[2]


def test_first_contact_raises_only_what_lasts():
    bench = Bench()
    ring = [(10, 0x02), (20, 0x7B), (30, 0x05), (40, 0x61), (50, 0x37), (60, 0x04), (70, 0x73), (80, 0x04)]
    bench.bms_events(1000, ring)
    assert bench.active() == [104, 207]
    assert bench.history() == [
        (104, ACTIVE), (319, CLEARED), (104, CLEARED), (207, ACTIVE), (301, CLEARED), (105, CLEARED), (327, CLEARED),
        (102, CLEARED),
    ]  # fmt: skip
    assert len(bench.triggered) == 2
    bench.bms_events(1010, ring + [(1005, 0x73), (1006, 0x74)])
    assert bench.active() == []
    assert bench.history()[2:4] == [(104, CLEARED), (319, CLEARED)]


def test_event_that_comes_again_while_active_is_logged_but_raised_once():
    bench = Bench()
    bench.bms_events(1000, [(990, 0x05)])
    first = bench.alerts.active[105].id
    bench.bms_events(1020, [(990, 0x05), (1015, 0x05)])
    assert bench.alerts.active[105].id == first
    assert sorted(bench.history()) == [(105, ACTIVE), (105, CLEARED)]
    assert len(bench.triggered) == 1


def test_no_event_twice_over_restarts_and_none_lost():
    """300 events in a ring of 49 whose stamps wrap, some in the same second, with restarts at odd moments."""
    bench = Bench()
    ring = [(0, 0)] * CAPACITY
    base = (1 << 24) - 1000
    expected = []
    got = []
    for n in range(300):
        if n % 4:
            base += 7
        code = (0x62, 0x64, 0x65, 0x66)[n % 4]
        ring[n % CAPACITY] = (base & 0xFFFFFF, code)
        expected.append(300 + code - 0x60)
        if n % 11 in (3, 7, 10):
            if n % 5 == 0:
                base += 1  # a restart takes its time
                bench.restart()
            bench.bms_events(base + 1, ring)
            bench.clock.advance(8000)
            ids = bench.alerts.log.last_id
            got += [alert for alert in reversed(bench.entries()) if alert.id > len(got)]
            assert ids == len(got)
    assert [alert.kind for alert in got] == expected[: len(got)] and len(got) > 295


def test_another_bms_and_a_cleared_list():
    bench = Bench()
    bench.bms_events(1000, [(900, 0x64)])
    bench.restart()
    bench.bms_events(5000, [(4000, 0x64), (4001, 0x62)])
    assert kinds(bench) == [304, 302, 304]  # in the order of time
    bench.bms_events(5010, [])
    bench.restart()
    bench.bms_events(5020, [])
    bench.bms_events(5030, [(5025, 0x65)])
    assert kinds(bench) == [305, 304, 302, 304]


class Listed:
    def __init__(self, entries):
        self.entries = entries
        self.count = self.total = len(entries)

    def id(self, i):
        return self.entries[i][1]

    def stamp(self, i):
        return self.entries[i][0]


def seen(*entries):
    data = b"".join(bytes((stamp & 255, stamp >> 8 & 255, stamp >> 16, code)) for stamp, code in entries[-7:])
    return bytes(28 - len(data)) + data


def test_what_was_seen():
    a, b, c, d = (100, 1), (200, 2), (200, 3), (300, 4)
    for old, now, fresh in (
        ([], [a, b], 2),
        ([a], [a, b, c, d], 3),
        ([a, b, c], [a, b, c, d], 1),
        ([a, b, c], [a, c, b, d], 1),
        ([a, b], [a, b, c], 1),
        ([a, b], [a, b, b], 1),
        ([a, b, c, d], [b, c, d], 0),
        ([a, b], [c, d], 2),
        ([b] * 9, [a] + [b] * 9, 0),
    ):
        assert unseen(Listed(now), seen(*old)) == fresh, (old, now)


def test_monitoring_off_takes_in_nothing_until_it_is_on():
    bench = Bench(monitor_tinybms_events=False)
    bench.bms_events(1000, [(900, 0x64), (950, 0x05)])
    assert bench.history() == []
    bench.config.values["alerts.monitor_tinybms_events"] = True
    bench.bus.publish(10, ("alerts.monitor_tinybms_events",))  # CONFIG
    bench.run(3)
    assert bench.active() == [105] and len(bench.history()) == 2


def test_events_survive_a_restart_of_the_gateway():
    bench = Bench()
    ring = [(900, 0x31), (950, 0x05)]
    bench.bms_events(1000, ring)
    assert bench.active() == [105, 201]
    bench.restart()
    assert bench.active() == [105, 201]  # the list was not read yet
    bench.bms_events(1010, ring)
    assert bench.active() == [105, 201] and bench.triggered == []
    bench.restart()
    bench.bms_events(1030, ring + [(1020, 0x77)])  # recovered meanwhile
    assert bench.active() == [201] and len(bench.history()) == 3


def test_times_before_the_clock_is_set():
    bench = Bench(debounce_sec=0, imbalance_enabled=False)
    bench.status(L.CHARGING)  # while the clock is right
    bench.clock.time_valid = False
    bench.clock._up = 0
    bench.restart()
    bench.run(5)
    bench.live.data[L.CELL_MAX] = 3700
    bench.run(1)
    assert bench.alerts.active[3].times[0] == 6000
    bench.clock.advance(4000)
    bench.alerts.acknowledge_all()
    bench.bms_events(1000, [(900, 0x64), (930, 0x65)])
    assert [alert.times[0] for alert in bench.entries()] == [6000, -60_000, -90_000, bench.entries()[-1].times[0]]
    assert kinds(bench) == [3, 305, 304, 20]
    told, triggered = len(bench.told), len(bench.triggered)
    bench.clock.set_epoch_ms(1_800_000_000_000)
    bench.run(3)
    assert bench.told[told:] == [bench.alerts.active[3].id] and len(bench.triggered) == triggered  # who shows it
    entries = bench.entries()
    assert [alert.times[0] - 1_800_000_000_000 for alert in entries[:3]] == [-4000, -70_000, -100_000]
    assert entries[0].times[1] == 1_800_000_000_000 and bench.alerts.active[3].times == entries[0].times
    assert all(alert.relative == 0 for alert in entries)
    bench.restart(connected=False)
    again = bench.entries()
    assert [alert.times for alert in again] == [alert.times for alert in entries]


def test_times_of_a_run_that_never_had_the_clock_stay():
    bench = Bench(time_valid=False, debounce_sec=0, imbalance_enabled=False)
    bench.live.data[L.CELL_MAX] = 3700
    bench.run(2)
    raised = bench.alerts.active[3].times[0]
    bench.restart()
    bench.run(1)
    bench.status(L.CHARGING)
    bench.clock.set_epoch_ms(1_800_000_000_000)
    bench.run(3)
    entries = bench.entries()
    assert [alert.kind for alert in entries] == [20, 3], [a.__dict__ for a in entries]
    assert entries[1].times[0] == raised and entries[0].times[0] == 1_800_000_000_000
    assert entries[1].times[2] == 1_799_999_999_000  # it ended after the restart


def test_many_times_are_corrected():
    bench = Bench(time_valid=False)
    bench.bms_events(2000, [(100 * n, 0x64) for n in range(1, 18)])
    bench.clock.set_epoch_ms(1_800_000_000_000)
    bench.run(6, polls=True)
    times = [alert.times[0] for alert in bench.entries()]
    assert len(times) == 17 and min(times) > 1_799_990_000_000
    assert times == sorted(times)[::-1]
