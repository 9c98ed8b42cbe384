"""boot.py and system/slots.py: which slot is started, counted, confirmed, given up; power cut at every write."""

import binascii
import hashlib
import json
import os
import sys

import boot
from firmware.system.slots import Slots
from tests.unit import test_config_powercut as cut
from tests.unit.help import raises

_ROOT = cut._ROOT  # where its RAM device is mounted


class Picker(boot.Picker):
    """Tells of the rescue page instead of running it, and leaves the import path alone afterwards."""

    rescued = None

    def pick(self):
        path = list(sys.path)
        try:
            return super().pick()
        finally:
            sys.path[:] = path

    def rescue(self, faults, target):
        self.rescued = faults, target


def _put(path, data):
    with open(path, "wb") as file:
        file.write(data)


def _slot(slot, version="1", contents=b"code"):
    directory = _ROOT + "/" + slot
    try:
        os.mkdir(directory)
    except OSError:
        pass
    _put(directory + "/app.mpy", contents)
    digest = binascii.hexlify(hashlib.sha256(contents).digest()).decode()
    manifest = {"name": "tinybms-gw", "version": version, "files": {"app.mpy": [digest, len(contents)]}}
    _put(directory + "/manifest.json", json.dumps(manifest).encode())


def _both():
    _slot("slot_a", "1")
    _slot("slot_b", "2", b"newer")


def _on_disk(*jobs):
    """Run each job in turn, mounted anew as after a restart; gives the results."""
    device = cut.RamDevice()
    cut.VfsLfs2.mkfs(device, progsize=32, readsize=32)
    return [cut._mounted(device, job) for job in jobs][1:]


def _boot():
    """(slot started or None, state in slots.json)."""
    picker = Picker(_ROOT)
    return picker.pick() if picker.pick else None, picker.state()


def _running(slot):
    """Slots of an application that was started from `slot`."""
    sys.path.insert(0, _ROOT + "/" + slot)
    try:
        return Slots(_ROOT)
    finally:
        sys.path.pop(0)


def test_first_slot_without_state():
    assert _on_disk(_both, _boot) == [("slot_a", {"active": "slot_a"})]
    names = _on_disk(_both, _boot, lambda: os.listdir(_ROOT))[1]
    assert sorted(names) == ["slot_a", "slot_b"]  # nothing is written


def test_other_slot_when_the_first_is_not_there():
    slot, state = _on_disk(lambda: _slot("slot_b"), _boot)[0]
    assert slot == "slot_b" and state["active"] == "slot_b" and state["failed"]["reason"] == "no manifest.json"


def test_import_path_and_names():
    def job():
        path = list(sys.path)
        try:
            slot = boot.Picker(_ROOT).pick()
            return slot, sys.path[:2], Slots(_ROOT).running, Slots(_ROOT).idle
        finally:
            sys.path[:] = path

    expected = ("slot_a", [_ROOT + "/slot_a", _ROOT + "/slot_a/lib"], "slot_a", "slot_b")
    assert _on_disk(_both, job) == [expected]


def test_trial_is_counted_and_confirmed():
    def confirm():
        slots = _running("slot_b")
        assert slots.trial and slots.state()["boots"] == 2
        assert slots.state()["versions"] == {"slot_a": "1", "slot_b": "2"}
        slots.confirm()
        assert not slots.trial
        slots.confirm()

    results = _on_disk(_both, lambda: _running("slot_a").select("slot_b"), _boot, _boot, confirm, _boot)
    assert results[1:3] == [
        ("slot_b", {"active": "slot_b", "trial": 1}),
        ("slot_b", {"active": "slot_b", "trial": 2}),
    ]
    assert results[4] == ("slot_b", {"active": "slot_b"})


def test_three_boots_without_confirmation():
    results = _on_disk(_both, lambda: _running("slot_a").select("slot_b"), _boot, _boot, _boot, _boot, _boot)
    assert [slot for slot, _ in results[1:]] == ["slot_b", "slot_b", "slot_b", "slot_a", "slot_a"]
    failed = {"slot": "slot_b", "version": "2", "reason": "not confirmed in 3 boots"}
    assert results[4][1] == results[5][1] == {"active": "slot_a", "failed": failed}


def test_failure_is_told_once_and_shown_until_the_next_update():
    def tell():
        slots = _running("slot_a")
        first = dict(slots.failed)
        slots.seen()
        return first, Slots(_ROOT).failed, slots.state()["failed"]

    def again():
        _running("slot_a").select("slot_b")
        return Slots(_ROOT).failed

    fail = [_boot] * 4
    first, second, shown = _on_disk(_both, lambda: _running("slot_a").select("slot_b"), *fail, tell)[-1]
    assert "seen" not in first and second["seen"] is True and shown == first
    assert _on_disk(_both, lambda: _running("slot_a").select("slot_b"), *fail, tell, again)[-1] is None


def test_what_makes_a_slot_bad():
    def with_fault(job):
        def run():
            _both()
            job()
            return Picker(_ROOT).fault("slot_a")

        return _on_disk(lambda: None, run)[0]

    path = _ROOT + "/slot_a/"
    assert with_fault(lambda: None) == ""
    assert with_fault(lambda: _put(path + "app.mpy", b"c0de")) == "app.mpy has the wrong hash"
    assert with_fault(lambda: _put(path + "app.mpy", b"code ")) == "app.mpy has 5 bytes instead of 4"
    assert with_fault(lambda: os.remove(path + "app.mpy")) == "app.mpy is missing"
    assert with_fault(lambda: os.remove(path + "manifest.json")) == "no manifest.json"
    for text in (
        b"",
        b"{",
        b"\xff\xfe",
        b"[]",
        b"{}",
        b'{"files": 3}',
        b'{"files": {"app.mpy": 3}}',
        b'{"files": {"app.mpy": []}}',
    ):
        assert with_fault(lambda text=text: _put(path + "manifest.json", text)) == "manifest.json is damaged", text
    assert with_fault(lambda: _put(path + "manifest.json", b'{"files": {}}')) == "manifest.json is empty"


def test_damaged_state_means_the_first_slot():
    def damage(text):
        _both()
        _put(_ROOT + "/slots.json", text)
        return _boot()[0]

    for text in (
        b"",
        b"{",
        b"\xff",
        b"[]",
        b"3",
        b'{"active": "slot_c"}',
        b'{"active": "slot_b", "trial": "1"}',
        b'{"active": []}',
    ):
        assert _on_disk(lambda: None, lambda text=text: damage(text)) == ["slot_a"], text
        assert _on_disk(lambda: None, lambda text=text: damage(text) and _running("slot_a").trial) == [False], text


def test_bad_slot_is_left_at_once():
    def damage():
        _put(_ROOT + "/slot_b/app.mpy", b"NEWER")

    results = _on_disk(_both, lambda: _running("slot_a").select("slot_b"), damage, _boot, _boot)
    assert results[2][0] == "slot_a" and results[2][1]["failed"]["reason"] == "app.mpy has the wrong hash"
    assert results[3] == results[2]


def test_both_bad():
    def damage():
        _put(_ROOT + "/slot_a/app.mpy", b"")
        _put(_ROOT + "/slot_b/app.mpy", b"")
        picker = Picker(_ROOT)
        assert picker.pick() is None
        return picker.rescued, sorted(os.listdir(_ROOT))

    (faults, target), names = _on_disk(_both, damage)[0]
    assert sorted(faults) == ["slot_a", "slot_b"] and target == "slot_b" and names == ["slot_a", "slot_b"]


def test_given_up_with_the_other_bad():
    """The one on trial is sound but does not work: the other one is replaced."""

    def job():
        _both()
        _put(_ROOT + "/slot_a/app.mpy", b"")
        _put(_ROOT + "/slots.json", b'{"active": "slot_b", "trial": 3}')
        picker = Picker(_ROOT)
        return picker.pick(), picker.rescued[1], picker.rescued[0]["slot_b"]

    assert _on_disk(lambda: None, job) == [(None, "slot_a", "not confirmed in 3 boots")]


def test_boots_that_cannot_be_counted():
    class Full(Picker):
        def save(self, state):
            raise OSError(28)

    def job():
        return Full(_ROOT).pick()

    assert _on_disk(_both, lambda: _running("slot_a").select("slot_b"), job)[1:] == ["slot_a"]


def test_maintenance_flag_is_taken_once():
    def job():
        _put(_ROOT + "/maintenance", b"")
        return boot._taken(_ROOT + "/maintenance"), boot._taken(_ROOT + "/maintenance")

    assert _on_disk(lambda: None, job) == [(True, False)]


def test_quick_look_begins_with_what_the_start_needs():
    names = (
        "www/a.gz",
        "firmware/mqtt/x.mpy",
        "firmware/can/__init__.mpy",
        "firmware/app.mpy",
        "firmware/__init__.mpy",
        "firmware/board/x.mpy",
    )
    ranked = sorted(names, key=Picker.rank)
    assert ranked == [names[4], names[3], names[5], names[2], names[1], names[0]]


def test_select_refuses_what_is_no_slot():
    raises(ValueError, Slots("/nowhere").select, "slot_c")


# -- power cut at every write ------------------------------------------------------------------------------------------


def _cut_everywhere(before, job, allowed):
    """Cut the power in `job` at every write, clean and torn; what the next boot starts must be `allowed`. Gives the cuts."""
    image = cut._image(before)
    cuts = 0
    seen = []
    for torn in (False, True):
        result = cut.PowerCut
        k = 0
        while result is cut.PowerCut:
            k += 1
            device = cut.RamDevice(image, k, torn)
            result = cut._mounted(device, job)
            found = cut._mounted(cut.RamDevice(device.image), _boot)
            assert found in allowed, (k, torn, found)
            if found not in seen:
                seen.append(found)
        cuts += k - 1
    assert len(seen) == len(allowed), seen
    return cuts


def _state(slot, trial=None, failed=None):
    state = {"active": slot}
    if trial is not None:
        state["trial"] = trial
    if failed:
        state["failed"] = {"slot": "slot_b", "version": "2", "reason": failed}
    return slot, state


def _with(text):
    def before():
        _both()
        if text:
            _put(_ROOT + "/slots.json", text)

    return before


def test_cut_while_an_update_is_selected():
    for text in (None, b'{"active": "slot_a"}'):
        allowed = (_state("slot_a"), _state("slot_b", 1))
        assert _cut_everywhere(_with(text), lambda: Slots(_ROOT).select("slot_b"), allowed) >= 4


def test_cut_while_a_trial_is_counted():
    """The interrupted boot counts or not; the next one counts."""
    for trial in (0, 1):
        before = _with(b'{"active": "slot_b", "trial": %d}' % trial)
        assert _cut_everywhere(before, _boot, (_state("slot_b", trial + 1), _state("slot_b", trial + 2))) >= 4


def test_cut_while_a_slot_is_confirmed():
    before = _with(b'{"active": "slot_b", "trial": 1}')
    allowed = (_state("slot_b", 2), _state("slot_b"))
    assert _cut_everywhere(before, lambda: _running("slot_b").confirm(), allowed) >= 4


def test_cut_while_a_slot_is_given_up():
    before = _with(b'{"active": "slot_b", "trial": 3}')
    assert _cut_everywhere(before, _boot, (_state("slot_a", None, "not confirmed in 3 boots"),)) >= 4

    def damaged():
        _both()
        _put(_ROOT + "/slot_b/app.mpy", b"")
        _put(_ROOT + "/slots.json", b'{"active": "slot_b"}')

    allowed = (_state("slot_a", None, "app.mpy has 0 bytes instead of 5"),)
    assert _cut_everywhere(damaged, _boot, allowed) >= 4


class _Board:
    """`sys` of an ESP32 for boot.py."""

    platform = "esp32"
    path = sys.path


def _boot_of_a_board():
    """What `_boot` gives on an ESP32, and the milliseconds of the watchdog that boot.py has started, or None."""
    sys.path.insert(0, "tests/stand_ins")
    import machine

    machine.fake_reset()
    real, boot.sys = boot.sys, _Board
    try:
        return _boot() + (machine.fake_watchdog and machine.fake_watchdog.fake_timeout,)
    finally:
        boot.sys = real
        sys.path.remove("tests/stand_ins")


def test_a_trial_boot_of_a_board_has_a_watchdog_but_not_the_rescue_page():
    def trial():
        _put(_ROOT + "/slots.json", b'{"active": "slot_b", "trial": 0}')

    def spoil(slot):
        return lambda: _put(_ROOT + "/" + slot + "/app.mpy", b"spoilt")

    assert _on_disk(_both, _boot_of_a_board)[0][2] is None  # not on trial
    assert _on_disk(_both, trial, _boot_of_a_board)[1] == ("slot_b", {"active": "slot_b", "trial": 1}, 30_000)
    slot, _, watchdog = _on_disk(_both, trial, spoil("slot_b"), _boot_of_a_board)[2]
    assert (slot, watchdog) == ("slot_a", None)  # the application starts its own
    slot, _, watchdog = _on_disk(_both, trial, spoil("slot_b"), spoil("slot_a"), _boot_of_a_board)[3]
    assert (slot, watchdog) == (None, None)  # nobody would feed it there
