"""The update itself: what is taken, refused, said of it; and the power cut at every write, on a real littlefs."""

import asyncio
import os
import sys

import boot
from firmware.config.config import Config
from firmware.system.ota import Ota
from firmware.system.slots import Slots
from firmware.system.update import Update, UpdateError
from tests.unit import test_config_powercut as cut
from tests.unit import update_parts as parts
from tests.unit.help import FakeClock, FakeLog

_ROOT = cut._ROOT
_OLD = {"firmware/app.mpy": b"old application " * 40, "firmware/old.mpy": b"gone later", "www/a.gz": b"page"}
_NEW = {"firmware/app.mpy": b"new application " * 50, "lib/microdot/m.mpy": bytes(range(256)), "www/a.gz": b"new"}
_OLDEST = {"firmware/app.mpy": b"oldest " * 30, "firmware/b/c.txt": b"text"}


class Device(cut.RamDevice):
    """64 KB."""

    def __init__(self, image=None, left=None, torn=False, blocks=128):
        self.blocks = blocks
        super().__init__(image or b"\xff" * (512 * blocks), left, torn)

    def ioctl(self, op, arg):
        return self.blocks if op == 4 else super().ioctl(op, arg)


class Board(FakeClock):
    def __init__(self, root):
        super().__init__()
        self.root_dir = root
        self.partition = None

    def family(self):
        return "x64"

    def chip(self):
        return "esp32"

    def ota_partition(self):
        return self.partition


class App:
    """What an update sees of the gateway; `events` is what was said."""

    def __init__(self, root):
        self.board = Board(root)
        self.log = FakeLog()
        self.ota = Ota()
        self.events = []

    def event(self, name, data):
        self.events.append((name, data))


class Partition:
    """An OTA partition of 12 KB in memory."""

    label = "ota_1"
    size = 12288

    def __init__(self, bad=False):
        self.data = {}
        self.finished = False
        self._bad = bad

    def write(self, number, block):
        assert len(block) == 4096
        self.data[number] = bytes(block)

    def finish(self):
        if self._bad:
            raise OSError(-5379)
        self.finished = True


async def _update(app, data, pieces=300, size=None):
    at = 0

    async def read():
        nonlocal at
        app.board.advance(50)
        piece = data[at : at + pieces]
        at += len(piece)
        return piece

    update = Update(app, lambda: None)
    update.board = app.board
    update.begin()
    try:
        # no reserve for other files on so small a disk
        free = update.free
        update.free = lambda: free() + 32768
        await update.receive(read, size or len(data) + 200)
        return await update.install()
    except BaseException as error:
        update.failed(error)
        raise
    finally:
        update.end()


def _running(slot, job):
    """The result of `job` while `slot` is the one that was started."""
    sys.path.insert(0, _ROOT + "/" + slot)
    try:
        return job()
    finally:
        sys.path.pop(0)


def update(app, data, **options):
    """Update the application in slot_a."""
    try:
        return _running("slot_a", lambda: asyncio.run(_update(app, data, **options)))
    finally:
        asyncio.new_event_loop()


def on_disk(*jobs, blocks=128):
    """Run each job in turn on one disk, mounted anew each time; gives the result of the last."""
    device = Device(blocks=blocks)
    cut.VfsLfs2.mkfs(device, progsize=32, readsize=32)
    for job in jobs:
        result = cut._mounted(device, job)
    return result


def _old():
    parts.write_slot(_ROOT + "/slot_a", _OLD, version="1.0.0")


def _both():
    _old()
    parts.write_slot(_ROOT + "/slot_b", _OLDEST, version="0.9.0")
    with open(_ROOT + "/slot_b/left-over", "w") as file:
        file.write("of an update that was broken off")


def refused(job, code, status=400):
    try:
        job()
    except UpdateError as error:
        assert (error.code, error.status) == (code, status), (error.code, error.status, str(error))
        return str(error)
    raise AssertionError("was taken")


def test_bundle_into_the_idle_slot():
    app = App(_ROOT)
    data = parts.bundle(_NEW)

    def job():
        return update(app, data), sorted(os.listdir(_ROOT)), sorted(os.listdir(_ROOT + "/slot_b")), Slots(_ROOT).state()

    result, root, slot, state = on_disk(_both, job)
    crc = "%08X" % boot.binascii.crc32(data)
    assert result == {"bytes": len(data), "crc32": crc, "partition": "slot_b", "version": "2.0.0"}
    assert root == ["slot_a", "slot_b", "slots.json"]
    assert slot == ["firmware", "lib", "manifest.json", "www"]
    assert state["versions"] == {"slot_a": "1.0.0", "slot_b": "2.0.0"}
    names = [name for name, _ in app.events]
    assert names[0] == "OTA_START" and names[-1] == "OTA_COMPLETE" and set(names[1:-1]) == {"OTA_PROGRESS"}
    states = [data["state"] for name, data in app.events if name == "OTA_PROGRESS"]
    assert [state for i, state in enumerate(states) if i == 0 or states[i - 1] != state] == [
        "RECEIVING", "CHECKING", "WRITING", "VERIFYING",
    ]  # fmt: skip
    assert (app.ota.state, app.ota.partition, app.ota.version, app.ota.busy) == ("READY", "slot_b", "2.0.0", False)


def test_progress_once_a_second():
    app = App(_ROOT)
    files = dict(_NEW)
    files["www/b.gz"] = bytes(12_000)
    on_disk(_old, lambda: update(app, parts.bundle(files), pieces=100), blocks=256)
    receiving = [
        data["percent"] for name, data in app.events if name == "OTA_PROGRESS" and data["state"] == "RECEIVING"
    ]
    assert receiving == sorted(set(receiving)) and 5 <= len(receiving) <= 20, receiving


def _refusal(app, data, code, status, **options):
    """A job: the update is refused."""
    return lambda: refused(lambda: update(app, data, **options), code, status)


def _unchanged(app, data, code, status):
    """A job: the update is refused and has changed nothing."""

    def look():
        assert boot.Picker(_ROOT).fault("slot_b") == ""
        return sorted(os.listdir(_ROOT)), sorted(os.listdir(_ROOT + "/slot_b"))

    def job():
        before = look()
        text = refused(lambda: update(app, data), code, status)
        assert look() == before and "slots.json" not in before[0], code
        return text

    return job


def test_refusals_change_nothing():
    good = parts.bundle(_NEW)
    evil = dict(_NEW)
    evil["firmware/../../boot.py"] = b"evil"
    for data, code, status in (
        (b"", "UNKNOWN_FORMAT", 400),
        (b"PK\3\4 what is that", "UNKNOWN_FORMAT", 400),
        (good[:-1], "INVALID_BUNDLE", 400),
        (good + b"x", "INVALID_BUNDLE", 400),
        (parts.bundle(evil), "INVALID_BUNDLE", 400),
        (parts.bundle(_NEW, family="xtensawin"), "WRONG_FAMILY", 400),
        (parts.bundle(_NEW, micropython="9.0.0"), "MICROPYTHON_TOO_OLD", 400),
        (parts.gzip(parts.archive(_NEW, parts.manifest(dict(_NEW, **{"www/a.gz": b"old"})))), "HASH_MISMATCH", 400),
        (parts.bundle(dict(_NEW, **{"www/z.gz": bytes(70_000)})), "PAYLOAD_TOO_LARGE", 413),
        (b"\xe9" + bytes(400), "NO_OTA_PARTITION", 400),
    ):
        app = App(_ROOT)
        text = on_disk(_both, _unchanged(app, data, code, status))
        assert text and app.ota.state == "FAILED" and app.ota.error == text and not app.ota.busy
        assert app.events[-1] == ("OTA_FAILED", {"code": code, "reason": text})


def test_room_is_looked_at_before_and_during():
    app = App(_ROOT)
    text = on_disk(_both, _refusal(app, parts.bundle(_NEW), "PAYLOAD_TOO_LARGE", 413, size=70_000))
    assert text.startswith("the flash has room for ")
    # more comes than was announced
    data = parts.bundle(dict(_NEW, **{"www/z.gz": bytes(70_000)}))
    assert on_disk(_both, _refusal(app, data, "PAYLOAD_TOO_LARGE", 413, size=10)) == "the flash is full"
    # the upload fits, its files beside it do not: each needs a block of flash
    many = {"www/a%d.gz" % i: b"x" for i in range(30)}
    assert "the files need more" in on_disk(_old, _refusal(app, parts.bundle(many), "PAYLOAD_TOO_LARGE", 413))


def test_one_at_a_time_and_not_on_trial():
    app = App(_ROOT)
    app.ota.busy = True
    assert "another update" in refused(lambda: update(app, b"x"), "OTA_BUSY", 503)
    assert app.ota.busy and not app.events

    def on_trial():
        Slots(_ROOT).select("slot_a")
        return refused(lambda: update(App(_ROOT), parts.bundle(_NEW)), "OTA_ON_TRIAL", 503)

    assert "proved itself" in on_disk(_both, on_trial)


def test_sender_stops():
    app = App(_ROOT)

    async def stall():
        async def read():
            if app.ota.state == "RECEIVING":
                await asyncio.sleep(60)
            return parts.bundle(_NEW)[:200]

        update = Update(app, lambda: None)
        update.begin()
        try:
            await update.receive(read, 5000)
        except BaseException as error:
            update.failed(error)
            raise
        finally:
            update.end()

    async def main():
        task = asyncio.create_task(stall())
        await asyncio.sleep_ms(50)
        assert app.ota.busy and "slot_b.new" in os.listdir(_ROOT)
        task.cancel()
        await asyncio.sleep_ms(10)
        assert not app.ota.busy and "slot_b.new" not in os.listdir(_ROOT)

    def job():
        _running("slot_a", lambda: asyncio.run(main()))
        asyncio.new_event_loop()

    on_disk(_both, job, blocks=256)
    assert app.ota.error == "the sender has stopped" and app.events[-1][0] == "OTA_FAILED"


def _image(size=9000, chip=0):
    head = bytearray(b"\xe9\x03\x02\x20" + bytes(size - 4))
    head[12:14] = chip.to_bytes(2, "little")
    head[32:36] = b"\x32\x54\xcd\xab"
    head[48:55] = b"v1.30.0"
    head[80:91] = b"micropython"
    return bytes(head)


def test_image_into_its_partition():
    app = App(_ROOT)
    app.board.partition = partition = Partition()
    data = _image()
    result = on_disk(_both, lambda: update(app, data, pieces=512))
    assert (result["partition"], result["version"], result["bytes"]) == ("ota_1", "v1.30.0", 9000)
    written = partition.data[0] + partition.data[1] + partition.data[2]
    assert written == data + b"\xff" * (12288 - 9000) and partition.finished
    assert app.events[0] == ("OTA_START", {"bytes": 9200, "partition": "ota_1"})
    for size in (289, 12288):
        app.board.partition = Partition()
        assert on_disk(_both, lambda size=size: update(app, _image(size), pieces=4096))["bytes"] == size


def test_images_that_are_none():
    for data, code, status, partition in (
        (_image(chip=9), "WRONG_CHIP", 400, Partition()),
        (_image()[:200], "INVALID_IMAGE", 400, Partition()),
        (b"\xe9" + bytes(5000), "INVALID_IMAGE", 400, Partition()),
        (_image(12289), "PAYLOAD_TOO_LARGE", 413, Partition()),
        (_image(40_000), "PAYLOAD_TOO_LARGE", 413, Partition()),
        (_image(), "INVALID_IMAGE", 400, Partition(bad=True)),
    ):
        app = App(_ROOT)
        app.board.partition = partition
        on_disk(_both, _refusal(app, data, code, status))
        assert not partition.finished and len(partition.data) <= 3


# -- power cut ------------------------------------------------------------------------------------------------------------


class Picker(boot.Picker):
    def rescue(self, faults, target):
        raise AssertionError("no slot is sound: %s" % faults)


def _start():
    """What boot.py starts after the power is back: its version, with the configuration."""
    path = list(sys.path)
    picker = Picker(_ROOT)
    try:
        slot = picker.pick()
    finally:
        sys.path[:] = path
    assert picker.fault(slot) == "", slot
    config = Config(_ROOT, b"\x01\x02\x03\x04\x05\x06")
    config.load()
    assert config.get("wifi.ssid") == "kept" and config.problem == ""
    return picker.version(slot)


def _configured():
    config = Config(_ROOT, b"\x01\x02\x03\x04\x05\x06")
    config.load()
    config.update({"wifi_ssid": "kept"})


def _cut_everywhere(prepare, step=1, blocks=128):
    """Cut the power in an update at every `step`-th write; gives (number of cuts, versions that started afterwards)."""
    device = Device(blocks=blocks)
    cut.VfsLfs2.mkfs(device, progsize=32, readsize=32)
    cut._mounted(device, lambda: (prepare(), _configured()))
    image = device.image
    data = parts.bundle(_NEW)

    def job():
        try:
            return update(App(_ROOT), data, pieces=512)
        except UpdateError as error:
            raise OSError(5, str(error))

    cuts = 0
    seen = {}
    for torn in (False, True):
        k = 1
        while True:
            device = Device(image, k, torn, blocks)
            result = cut._mounted(device, job)
            version = cut._mounted(Device(device.image, blocks=blocks), _start)
            seen[version] = seen.get(version, 0) + 1
            if result is not cut.PowerCut:
                assert version == "2.0.0"
                break
            cuts += 1
            k += step
    return cuts, seen


def test_power_cut_at_every_write_of_an_update():
    cuts, seen = _cut_everywhere(_both)
    assert cuts > 100 and set(seen) == {"1.0.0", "2.0.0"}, (cuts, seen)


def test_power_cut_at_every_write_of_the_first_update():
    cuts, seen = _cut_everywhere(_old)
    assert cuts > 80 and set(seen) == {"1.0.0", "2.0.0"}, (cuts, seen)


def test_power_cut_while_the_update_is_put_again():
    def prepare():
        _both()
        update(App(_ROOT), parts.bundle(_NEW, version="1.5.0"))  # ready, not started

    cuts, seen = _cut_everywhere(prepare, 2, 160)
    assert cuts > 40 and set(seen) == {"1.0.0", "1.5.0", "2.0.0"}, (cuts, seen)
