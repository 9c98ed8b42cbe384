"""Power cut at every write of the archive and of the counters, on a real littlefs over a RAM block device."""

import os
import struct

from firmware.history import energy as counter
from firmware.history import reader
from tests.unit import test_config_powercut as cut
from tests.unit.help import FakeClock
from tests.unit.history_parts import EPOCH, Rig

try:
    from vfs import VfsLfs2, mount, umount
except ImportError:
    from os import VfsLfs2, mount, umount

_ROOT = "/cuthistory"
_BLOCK = 4096  # as on the board
_BLOCKS = 12


class Device(cut.RamDevice):
    """Like the one of the configuration's test, with blocks as large as the board's; counts erases."""

    def __init__(self, image=None, left=None, torn=False):
        super().__init__(image or b"\xff" * (_BLOCK * _BLOCKS), left, torn)
        self.erased = 0

    def readblocks(self, block, buf, offset=0):
        if self.dead:
            return cut._EIO
        at = block * _BLOCK + offset
        buf[:] = memoryview(self.image)[at : at + len(buf)]
        return 0

    def writeblocks(self, block, buf, offset=0):
        at = block * _BLOCK + offset
        if self.dead or self._fails(at, buf):
            return cut._EIO
        self.image[at : at + len(buf)] = buf
        return 0

    def ioctl(self, op, arg):
        if op == 4:
            return _BLOCKS
        if op == 5:
            return _BLOCK
        if op == 6:
            self.erased += 1
            if self.dead or self._fails(arg * _BLOCK, b"\xff" * 64):
                return cut._EIO
            self.image[arg * _BLOCK : (arg + 1) * _BLOCK] = b"\xff" * _BLOCK
        return 0


def _mounted(device, job):
    """Run `job` with the device mounted; whatever it does with the errors of a device that is dead."""
    try:
        mount(VfsLfs2(device), _ROOT)
    except OSError:
        if not device.dead:
            raise
        return None
    try:
        return job()
    finally:
        umount(_ROOT)


def _image(job):
    device = Device()
    VfsLfs2.mkfs(device)
    _mounted(device, job)
    return device


def _rig(seconds):
    """A gateway that was started `seconds` after EPOCH."""
    rig = Rig(_ROOT, clock=FakeClock(epoch=EPOCH + 1000 * seconds))
    rig.battery(50_000, 100_000)  # 5 kW
    return rig


def _stamps(rig, resolution):
    archive = rig.history.archive
    archived = reader.Archived(archive, reader.ring_of(archive, resolution))
    return [item[0] for item in reader.archived_samples(archived, 0) if item]


def _cut_everywhere(image, job, check):
    """Cut the power in `job` at every write, clean and torn, and `check()` what a new start finds. Gives the cuts."""
    cuts = 0
    for torn in (False, True):
        k = 0
        while True:
            k += 1
            device = Device(image, k, torn)
            _mounted(device, job)
            _mounted(Device(device.image), check)
            if not device.dead:
                break
        cuts += k - 1
    return cuts


def _first_half_hour():
    rig = _rig(0)
    rig.minutes(30, 10_000)
    rig.history.stop()
    rig.energy.stop()


def test_archive():
    image = _image(_first_half_hour).image
    found = []
    before = []

    def job():
        rig = _rig(2000)
        for _ in range(25):  # two blocks of minutes, two quarters; crosses into another file of minutes
            rig.polls(2, 30_000)
            rig.history.tick()

    def look():
        rig = _rig(4000)
        rig.history.tick()
        return _stamps(rig, "1m"), _stamps(rig, "15m")

    def check():
        minutes, quarters = look()
        assert minutes[: len(before[0][0])] == before[0][0] and quarters[:2] == before[0][1][:2]
        assert minutes == sorted(set(minutes))
        found.append(len(minutes))
        rig = _rig(4000)
        rig.minutes(12, 10_000)  # and the gateway can write on
        assert not rig.log.lines and len(_stamps(rig, "1m")) >= len(minutes) + 12

    _mounted(Device(image), lambda: before.append(look()))
    assert len(before[0][0]) >= 30
    assert _cut_everywhere(image, job, check) > 20
    assert len(set(found)) >= 3 and max(found) - min(found) >= 20, set(found)


def _quick_minutes(rig, count):
    for _ in range(count):
        rig.polls(2, 30_000)
        rig.history.tick()


def test_first_files():
    def job():
        rig = _rig(0)
        _quick_minutes(rig, 12)
        rig.history.stop()

    def check():
        rig = _rig(4000)
        _quick_minutes(rig, 11)
        assert not rig.log.lines

    assert _cut_everywhere(_image(lambda: None).image, job, check) > 20


def test_counters_never_lose_more_than_was_unsaved():
    image = _image(_first_half_hour).image
    shown = [0, 0]  # before the cut: the last that is on flash for sure, and the newest that anybody saw

    def job():
        rig = _rig(2000)
        save = rig.energy.save
        device_alive = [True]

        def watched():
            before = rig.energy.state[counter.IN_WH]
            save()
            if rig.energy.failing:
                device_alive[0] = False
            elif device_alive[0]:
                shown[0] = before

        rig.energy.save = watched
        shown[0] = rig.energy.state[counter.IN_WH]
        for _ in range(20):
            rig.polls(2, 5000)
            rig.energy.tick()
            shown[1] = rig.energy.state[counter.IN_WH]

    def check():
        rig = _rig(4000)
        found = rig.energy.state[counter.IN_WH]
        assert shown[0] <= found <= shown[1], (shown, found)
        assert not rig.log.lines, rig.log.lines
        rig.minutes(1, 10_000)
        assert _rig(5000).energy.state[counter.IN_WH] > found

    assert _cut_everywhere(image, job, check) >= 20


def test_first_save_of_the_counters():
    def check():
        rig = _rig(4000)
        assert 0 <= rig.energy.state[counter.IN_WH] <= 84
        rig.minutes(2, 10_000)
        assert _rig(5000).energy.state[counter.IN_WH] > 0

    assert _cut_everywhere(_image(lambda: None).image, lambda: _rig(0).minutes(1, 10_000), check) >= 2


def test_early_records():
    """The clock comes late: what is set aside is placed, or lost with the start that made it, never wrong."""

    def job():
        clock = FakeClock()
        clock.time_valid = False
        rig = Rig(_ROOT, clock=clock)
        for _ in range(60):
            rig.polls(2, 30_000)
            rig.history.tick()
        clock.set_epoch_ms(EPOCH + clock.uptime_ms())
        for _ in range(8):
            rig.history.tick()

    def check():
        rig = _rig(4000)
        rig.history.tick()
        assert not [name for name in os.listdir(_ROOT + "/history") if name.startswith("early")]
        stamps = _stamps(rig, "1m")
        assert stamps == sorted(set(stamps)) and all(EPOCH - 60_000 <= s <= EPOCH + 3_600_000 for s in stamps)
        rig.minutes(11, 10_000)
        assert not rig.log.lines

    assert _cut_everywhere(_image(lambda: None).image, job, check) > 20


def test_saves_are_cheap():
    """A save of the counters stays inside the directory block; a block of minutes costs one or two erased blocks."""
    erased = []

    def job():
        rig = _rig(2000)
        start = device.erased
        for _ in range(200):
            rig.energy.save()
        erased.append(device.erased - start)
        start = device.erased
        rig.minutes(60)
        erased.append(device.erased - start)

    device = Device(_image(_first_half_hour).image)
    _mounted(device, job)
    assert erased[0] <= 20, erased
    print("# erases: 200 saves of the counters", erased[0], "- an hour at 5 kW", erased[1])
    assert erased[1] <= 90, erased


def test_record_on_flash_is_as_documented():
    """32 bytes, Unix seconds first, in the place that follows from the time."""

    def job():
        _rig(0).minutes(13)
        slot = EPOCH // 1000 // 60 % 1440
        with open(_ROOT + "/history/m%02d" % (slot // 120), "rb") as file:
            file.seek(slot % 120 * 32)
            record = file.read(32)
        assert struct.unpack_from("<I", record)[0] == EPOCH // 60_000 * 60
        assert struct.unpack_from("<H", record, 4)[0] == 25_000 and struct.unpack_from("<h", record, 10)[0] == 4_000

    _image(job)
