"""Power cut at every write of a configuration save, on a real littlefs over a RAM block device."""

import os

from firmware.config.config import Config

try:
    from vfs import VfsLfs2, mount, umount
except ImportError:
    from os import VfsLfs2, mount, umount

_BLOCK = 512
_BLOCKS = 24
_ROOT = "/cutconfig"
_BLANK = b"\xff" * _BLOCK
_EIO = -5


class PowerCut(OSError):
    pass


class RamDevice:
    """A block device whose power fails at write or erase number `left` and stays off; that one is done by half when `torn`.

    It answers with an error number instead of an exception: files that nobody could close are closed by the garbage collector,
    which must not allocate.
    """

    def __init__(self, image=None, left=None, torn=False):
        self.image = bytearray(image) if image else bytearray(b"\xff" * (_BLOCK * _BLOCKS))
        self.left = left
        self.torn = torn
        self.dead = False

    def _fails(self, at, data):
        """True when the power is off, or fails now: then half of the write is done first."""
        if self.left is not None and not self.dead:
            self.left -= 1
            if self.left == 0:
                self.dead = True
                if self.torn:
                    half = len(data) // 2
                    self.image[at : at + half] = data[:half]
        return self.dead

    def readblocks(self, block, buf, offset=0):
        if self.dead:
            return _EIO
        at = block * _BLOCK + offset
        buf[:] = self.image[at : at + len(buf)]
        return 0

    def writeblocks(self, block, buf, offset=0):
        at = block * _BLOCK + offset
        if self.dead or self._fails(at, buf):
            return _EIO
        self.image[at : at + len(buf)] = buf
        return 0

    def ioctl(self, op, arg):
        if op == 4:
            return _BLOCKS
        if op == 5:
            return _BLOCK
        if op == 6:
            if self.dead or self._fails(arg * _BLOCK, _BLANK):
                return _EIO
            self.image[arg * _BLOCK : (arg + 1) * _BLOCK] = _BLANK
        return 0


def _mounted(device, job):
    """Run `job` with the device mounted; gives its result, or PowerCut when the power failed."""
    try:
        mount(VfsLfs2(device, progsize=32, readsize=32), _ROOT)
    except OSError:
        if device.left is None:
            raise
        return PowerCut  # littlefs may write while mounting
    try:
        result = job()
    except OSError:
        if not device.dead:
            raise
        result = None
    umount(_ROOT)
    return PowerCut if device.dead else result


def _image(job):
    device = RamDevice()
    VfsLfs2.mkfs(device, progsize=32, readsize=32)
    _mounted(device, job)
    return device.image


def _load():
    config = Config(_ROOT, b"\x01\x02\x03\x04\x05\x06")
    config.load()
    return config


_OLD = {"wifi_ssid": "old", "mqtt_broker": "mqtt://old.example.org", "wifi_password": "old-password"}
_NEW = {"wifi_ssid": "new", "mqtt_broker": "mqtt://new.example.org", "wifi_password": "new-password"}


def _seen():
    """The three values after a restart; the gateway must also be able to save again."""
    config = _load()
    found = (config.get("wifi.ssid"), config.get("mqtt.broker_uri"), config.get("wifi.password"), config.problem)
    config.update({"mqtt_port": 4321})
    assert _load().get("mqtt.port") == 4321
    assert "config.tmp" not in os.listdir(_ROOT)
    return found


def _cut_everywhere(image, job, allowed):
    """Cut the power in `job` at every write, clean and torn; `allowed`: what may be found afterwards. Gives the cuts."""
    cuts = 0
    seen = set()
    for torn in (False, True):
        cut = PowerCut
        k = 0
        while cut is PowerCut:
            k += 1
            device = RamDevice(image, k, torn)
            cut = _mounted(device, job)
            found = _mounted(RamDevice(device.image), _seen)
            assert found in allowed, (k, torn, found)
            seen.add(found)
        assert found == allowed[-1]
        cuts += k - 1
    assert len(seen) == len(allowed), seen
    return cuts


def _found(values, problem=""):
    return (values.get("wifi_ssid", ""), values.get("mqtt_broker", ""), values.get("wifi_password", ""), problem)


def test_cut_at_every_write_of_a_save():
    image = _image(lambda: _load().update(_OLD))
    assert _cut_everywhere(image, lambda: _load().update(_NEW), (_found(_OLD), _found(_NEW))) >= 10


def test_cut_at_every_write_of_the_first_save():
    assert _cut_everywhere(_image(lambda: None), lambda: _load().update(_NEW), (_found({}), _found(_NEW))) >= 10


def test_cut_at_every_write_of_a_large_save():
    long = {
        "mqtt_topics_" + name: "x" * 90 for name in ("status", "metrics", "config", "can_raw", "can_decoded", "alerts")
    }
    image = _image(lambda: _load().update(_OLD))

    def job():
        changed = dict(_NEW)
        changed.update(long)
        _load().update(changed)

    assert _cut_everywhere(image, job, (_found(_OLD), _found(_NEW))) > 15


def test_cut_while_a_damaged_file_is_set_aside():
    def damage():
        _load().update(_OLD)
        with open(_ROOT + "/config.json", "wb") as file:
            file.write(b'{"crc":"00000000",\xff\xfe')

    def problem(config):
        return "config.bad" in config.problem and config.get("wifi.ssid") == ""

    image = _image(damage)
    cut = PowerCut
    k = 0
    while cut is PowerCut:
        k += 1
        device = RamDevice(image, k)
        cut = _mounted(device, lambda: _load() and None)
        device = RamDevice(device.image)
        assert _mounted(device, lambda: problem(_load()))
        assert _mounted(device, lambda: "config.bad" in os.listdir(_ROOT))
    assert k > 1


def _fill():
    failed = number = 0
    while failed < 3:
        number += 1
        try:
            with open(_ROOT + "/filler%d" % number, "wb") as file:
                file.write(bytes(_BLOCK if failed < 2 else 40))
        except OSError:
            failed += 1


def test_full_disk_keeps_the_old_configuration():
    def job():
        config = _load()
        config.update(_OLD)
        _fill()
        try:
            config.update({"mqtt_topics_status": "x" * 90, "mqtt_topics_alerts": "x" * 90, "wifi_ssid": "new"})
            full = False
        except OSError:
            full = True
        after = _load()
        return full, config.get("wifi.ssid"), after.get("wifi.ssid"), after.problem

    result = []
    _image(lambda: result.append(job()))
    full, now, later, problem = result[0]
    assert full and now == "old" and later == "old" and problem == ""
