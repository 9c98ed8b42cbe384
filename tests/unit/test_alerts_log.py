"""The file of the alert log: bounded, in order, and safe from a power cut at every write (littlefs on a RAM device)."""

import os

from firmware.alerts import store
from firmware.alerts.alert import ACTIVE, CLEARED, Alert
from firmware.alerts import alerts as resident
from tests.unit.alerts_parts import Bench, directory
from tests.unit.help import raises
from tests.unit.test_config_powercut import _ROOT, PowerCut, RamDevice, _image, _mounted

_NOW = 1_780_000_000_000
_CUTS = 4000


def Log(path):
    """The log of the alerts in a directory."""
    log = resident.Log()
    store.begin(log, path)
    return log


def make(log, kind, ms, status=CLEARED):
    log.last_id += 1
    alert = Alert(log.last_id, kind)
    alert.status = status
    alert.value = -log.last_id
    alert.times = [ms, None, ms if status == CLEARED else None]
    if status != CLEARED:
        log.active[kind] = alert
    return alert


def ids(log):
    """Ids in the file, newest first, and as a list."""
    return [alert.id for end in range(log.count, 0, -8) for alert in store.page(log, end, 8)]


def loaded(path):
    log = Log(path)
    store.load(log)
    return log


def test_a_record_keeps_everything():
    alert = Alert(134_000_000, 351)
    alert.times = [-5, None, _NOW + 999]
    alert.status, alert.relative, alert.cell, alert.value, alert.limit = 2, 5, 16, -750_000, 80_000
    record = bytearray(40)
    alert.pack(record)
    other = Alert()
    other.unpack(record)
    assert other.__dict__ == alert.__dict__


def test_holds_200_and_no_more_than_a_quarter_of_information():
    log = Log(directory())
    store.load(log)
    for n in range(500):
        store.append(log, [make(log, 24 if n % 2 else 4, _NOW + n)], n % 3 == 0)
    kinds = [alert.kind for end in range(log.count, 0, -8) for alert in store.page(log, end, 8)]
    assert len(kinds) == 208 and kinds.count(24) == 52
    for n in range(300):
        store.append(log, [make(log, 4, _NOW + 1000 + n)], False)
    assert ids(log) == list(range(800, 592, -1))
    assert os.stat(log.path)[6] <= 416 * 40
    again = loaded(log.path[: -len("/alerts.log")])
    assert ids(again) == ids(log) and again.last_id == 800


def test_active_ones_outlast_a_full_log():
    path = directory()
    log = Log(path)
    old = make(log, 3, _NOW, ACTIVE)
    store.append(log, [old], False)
    for n in range(600):
        store.append(log, [make(log, 4, _NOW + n)], False)
    assert log.count == 208 and ids(log)[-1] == old.id
    again = loaded(path)
    assert list(again.active) == [3] and again.active[3].id == old.id and ids(again) == ids(log)
    old.status = CLEARED
    store.append(log, [old], False)
    del log.active[3]
    store.append(log, [make(log, 4, _NOW + 700)], False)
    assert old.id not in ids(log)


def test_order_is_that_of_time():
    path = directory()
    log = Log(path)
    for ms in (5000, 1000, 3000, 3000, 2999, 90_000_000):
        store.append(log, [make(log, 4, _NOW + ms)], False)
    assert ids(log) == [6, 1, 4, 3, 5, 2]
    assert ids(loaded(path)) == ids(log)
    store.compact(log)
    assert ids(loaded(path)) == ids(log)


def test_what_a_restart_reads_is_what_was_there():
    """Random lives of alerts: the file read again gives the same alerts in the same order with the same states."""
    seed = 1
    path = directory()
    log = Log(path)
    for n in range(3000):
        seed = seed * 1103515245 + 12345 & 0x7FFFFFFF
        dice = seed >> 8
        what = dice % 10
        kind = (1, 2, 3, 24, 105, 304)[dice // 10 % 6]
        now = _NOW + n * 700
        if kind in log.active and what < 6:
            alert = log.active[kind]
            if what < 3:
                alert.status = 1
                alert.times[1] = now
            else:
                alert.status = CLEARED
                alert.times[2] = now
                del log.active[kind]
        elif what == 9 and dice % 40 == 9:
            store.forget_ended(log)
            continue
        else:
            old = dice // 60 % 3 == 0
            ended = kind in (24, 304) or kind in log.active
            alert = make(log, kind, now - (50_000 if old else 0), CLEARED if ended else ACTIVE)
        store.append(log, [alert], dice % 7 == 0)
        if n % 97 == 0:
            again = loaded(path)
            assert ids(again) == ids(log), n
            assert {k: (a.id, a.status, a.times) for k, a in again.active.items()} == {
                k: (a.id, a.status, a.times) for k, a in log.active.items()
            }
            times = [alert.times[0] for end in range(log.count, 0, -8) for alert in store.page(log, end, 8)]
            assert times == sorted(times)[::-1]


def test_damage_is_left_out():
    path = directory()
    log = Log(path)
    for n in range(10):
        store.append(log, [make(log, 4, _NOW + n)], False)
    with open(log.path, "r+b") as file:
        file.seek(3 * 40 + 5)
        file.write(b"\xaa")
    with open(log.path, "ab") as file:
        file.write(b"half a record")
    log = loaded(path)
    assert ids(log) == [10, 9, 8, 7, 6, 5, 3, 2, 1]
    store.append(log, [make(log, 4, _NOW + 50)], True)
    assert ids(loaded(path)) == ids(log) == [11, 10, 9, 8, 7, 6, 5, 3, 2, 1]
    with open(log.path, "wb") as file:
        file.write(b"\x00" * 1000)
    assert ids(loaded(path)) == []


def test_a_full_disk_shows_what_it_cannot_keep():
    bench = Bench(debounce_sec=0, imbalance_enabled=False)
    bench.alerts.log.path = bench.path + "/gone/alerts.log"
    bench.live.data[9] = 3700  # CELL_MAX
    bench.run(3)
    assert bench.active() == [3] and len(bench.told) == 1
    assert [line[0] for line in bench.logger.lines] == ["error"]
    bench.alerts.acknowledge_all()
    raises(OSError, bench.alerts.clear_history)
    os.mkdir(bench.path + "/gone")
    bench.run(40)
    bench.path += "/gone"
    bench.restart(connected=False)
    assert bench.active() == [3] and bench.alerts.active[3].status == 1


def _fill(count):
    """An image with a log of `count` alerts, some of them still active."""

    def job():
        log = Log(_ROOT)
        store.load(log)
        for n in range(count):
            store.append(
                log, [make(log, (1, 3, 11, 4)[n] if n < 4 else 24, _NOW + n, ACTIVE if n < 3 else CLEARED)], n % 2
            )

    return _image(job)


def _cut_everywhere(image, job, shown):
    """Cut the power at every write of `job(report)`; what it reported as saved must be there afterwards."""
    cuts = 0
    for torn in (False, True):
        k = 0
        cut = PowerCut
        while cut is PowerCut:
            k += 1
            assert k < _CUTS
            saved, found = [], []
            device = RamDevice(image, k, torn)
            cut = _mounted(device, lambda saved=saved: job(saved))
            _mounted(RamDevice(device.image), lambda found=found: found.append(_look()))
            shown(saved, found[0], (k, torn))
        cuts += k - 1
    return cuts


def _look():
    """{id: status} of the log after a restart; it must also be able to go on."""
    log = loaded(_ROOT)
    entries = [alert for end in range(log.count, 0, -8) for alert in store.page(log, end, 8)]
    assert len(entries) == log.count
    found = {alert.id: alert.status for alert in entries}
    assert sorted(log.active) == sorted(alert.kind for alert in entries if alert.status != CLEARED)
    assert log.last_id >= max(found) if found else True
    store.append(log, [make(log, 4, _NOW + 10_000)], True)
    assert loaded(_ROOT).count == log.count
    return found


def test_cut_at_every_write_of_the_first_alerts():
    def job(saved):
        log = Log(_ROOT)
        store.load(log)
        for n in range(4):
            alert = make(log, n + 1, _NOW + n, ACTIVE)
            store.append(log, [alert], n == 2)
            saved.append((alert.id, ACTIVE))

    def shown(saved, found, where):
        for alert_id, status in saved:
            assert found.get(alert_id) == status, (where, saved, found)

    assert _cut_everywhere(_image(lambda: None), job, shown) >= 12


def test_cut_at_every_write_of_a_life():
    """Raised, acknowledged, cleared, history emptied: each is there once it was shown, and nothing else is lost."""

    def job(saved):
        log = Log(_ROOT)
        store.load(log)
        first = log.active[1]
        for status in (1, CLEARED):
            first.status = status
            store.append(log, [first], False)
            saved.append((first.id, status))
        del log.active[1]
        alert = make(log, 12, _NOW + 500, ACTIVE)
        store.append(log, [alert], True)
        saved.append((alert.id, ACTIVE))
        store.forget_ended(log)
        saved.append("emptied")

    def shown(saved, found, where):
        if "emptied" in saved:
            assert found == {2: ACTIVE, 3: ACTIVE, 11: ACTIVE}, (where, found)
            return
        assert found[2] == found[3] == ACTIVE
        now = dict(saved)
        if found.get(1) is None:  # being emptied
            assert len(saved) == 3 and found[11] == ACTIVE
        else:
            assert found[1] in (now.get(1, ACTIVE), now.get(1, ACTIVE) + 1), (where, found)
            assert set(range(1, 11)) <= set(found)
        if 11 in now:
            assert found[11] == ACTIVE

    assert _cut_everywhere(_fill(10), job, shown) >= 12


def test_cut_at_every_write_while_a_full_file_is_written_anew():
    def fill():
        log = Log(_ROOT)
        store.load(log)
        batch = [make(log, 4, _NOW + n, CLEARED) for n in range(60)]
        for n in range(0, 60, 20):
            store.append(log, batch[n : n + 20], False)
        while log.records + 2 <= 416:
            count = min(20, 416 - 1 - log.records)
            store.append(log, batch[:count], False)

    def job(saved):
        log = loaded(_ROOT)
        assert log.count == 60 and log.records > 410
        for n in range(2):
            alert = make(log, n + 1, _NOW + 1000 + n, ACTIVE)
            store.append(log, [alert], True)
            saved.append((alert.id, ACTIVE))
        assert log.records < 100

    def shown(saved, found, where):
        assert set(range(1, 61)) <= set(found), (where, sorted(found))
        for alert_id, status in saved:
            assert found.get(alert_id) == status, (where, saved)

    assert _cut_everywhere(_big_image(fill), job, shown) >= 12


def _big_image(job):
    """The device of the configuration's test has 12 KB: enough for a full log only with more blocks."""
    from tests.unit import test_config_powercut as device

    device._BLOCKS = 96
    return _image(job)


def test_cut_at_every_write_nothing_that_was_shown_is_lost():
    """The whole of it: what bus.ALERT told before the power went is found after the restart, with its state or a later one."""
    from firmware.bus import ALERT

    def job(shown):
        bench = Bench(_ROOT, debounce_sec=0)
        bench.bus.subscribe(ALERT, lambda topic, payload: shown.append(_state(bench, payload[0])))
        bench.live.data[9] = 3700  # CELL_MAX
        bench.run(1)
        bench.alerts.acknowledge_all()
        bench.bms_events(1000, [(990, 0x05), (991, 0x64)])
        bench.normal()
        bench.run(2)

    for torn in (False, True):
        k = 0
        cut = PowerCut
        while cut is PowerCut:
            k += 1
            device = RamDevice(_image(lambda: None), k, torn)
            told = []
            cut = _mounted(device, lambda told=told, device=device: job(_Until(told, device)))
            found = {}
            _mounted(RamDevice(device.image), lambda found=found: found.update(_look()))
            for alert_id, status in told:
                assert found.get(alert_id, -1) >= status, (k, torn, told, found)
        assert len(told) == 8 and k > 8, (told, k)


def _state(bench, alert_id):
    return alert_id, bench.alerts.get(alert_id).status


class _Until:
    """A list that takes nothing more once the power is off: nobody sees it."""

    def __init__(self, items, device):
        self._items = items
        self._device = device

    def append(self, item):
        if not self._device.dead:
            self._items.append(item)
