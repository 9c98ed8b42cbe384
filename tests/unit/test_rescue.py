"""firmware/rescue/ and boot.py with what a board has (tests/stand_ins); the page runs in integration/test_slots.py."""

import binascii
import hashlib
import json
import os
import sys

sys.path.insert(0, "tests/stand_ins")

import boot  # noqa: E402
import machine  # noqa: E402
import network  # noqa: E402
from firmware import rescue  # noqa: E402
from firmware.board.rare import family  # noqa: E402
from tests.unit import test_config_powercut as cut  # noqa: E402
from tests.unit.help import raises  # noqa: E402


class _Sys:
    """`sys` of a board."""

    def __init__(self, name):
        self.platform = "esp32"
        self.path = []
        self.implementation = self
        self._machine = name

    def __getattr__(self, name):
        return getattr(sys, name)


def _as_board(module, name, job):
    module.sys = _Sys(name)
    machine.fake_reset()
    try:
        return job()
    finally:
        module.sys = sys


def test_access_point_with_a_password():
    board = _as_board(rescue, "Generic ESP32 module with ESP32", lambda: rescue.Esp32("/nowhere"))
    wlan = network.WLAN(network.AP_IF)
    assert wlan.active() and wlan.config("ssid") == "TinyBMS-GW-rescue" and wlan.config("security") == 3
    assert len(board.password) == 10 and wlan.ifconfig()[0] == "192.168.4.1"
    assert rescue.Esp32._password("/nowhere") != board.password
    raises(machine.FakeReset, board.reset)


def test_controller_is_put_off_the_bus_where_its_clock_runs():
    for name, clock, mode in (
        ("Generic ESP32 module with ESP32", 0x3FF000C0, 0x3FF6B000),
        ("Generic ESP32S3 module with ESP32S3", 0x600C0018, 0x6002B000),
        ("ESP32C3 module with ESP32C3", 0x600C0010, 0x6002B000),
        ("Generic ESP32S3 module with Octal-SPIRAM with ESP32-S3", 0x600C0018, 0x6002B000),
        ("ESP32C6 module with ESP32C6", None, None),
    ):

        def job(clock=clock):
            rescue.Esp32._silence_can()
            assert machine.fake_log == []  # no clock: no access
            if clock:
                machine.mem32.fake_words[clock] = 1 << 19 | 5
            rescue.Esp32._silence_can()
            return list(machine.fake_log)

        assert _as_board(rescue, name, job) == ([("mem32", mode, 1)] if mode else []), name


def test_a_trial_boot_has_a_watchdog_from_its_beginning():
    class Picker(boot.Picker):
        def save(self, state):
            self.saved = dict(state)

        def fault(self, slot, limit_ms=0):
            return ""

    def job(trial):
        state = {"active": "slot_b"}
        if trial is not None:
            state["trial"] = trial
        Picker.state = lambda self: state
        return Picker("").pick(), machine.fake_watchdog and machine.fake_watchdog.fake_timeout, list(boot.sys.path)

    path = ["/slot_b", "/slot_b/lib"]
    assert _as_board(boot, "ESP32", lambda: job(None)) == ("slot_b", None, path)
    assert _as_board(boot, "ESP32", lambda: job(1)) == ("slot_b", 30_000, path)
    assert _as_board(boot, "ESP32", lambda: job(3))[0] == "slot_a"


class _Client:
    def __init__(self, pieces):
        self.pieces = list(pieces)

    def recv(self, count):
        if not self.pieces:
            return b""
        piece = self.pieces.pop(0)
        if len(piece) > count:
            self.pieces.insert(0, piece[count:])
        return piece[:count]


_KIND = "multipart/form-data; boundary=XX"
_HEAD = b'--XX\r\nContent-Disposition: form-data; name="firmware"; filename="a"\r\n\r\n'


def _file(text, sizes, kind=_KIND):
    """The file in a form that comes in pieces of `sizes` bytes."""
    pieces = []
    at = 0
    while at < len(text):
        pieces.append(text[at : at + sizes])
        at += sizes
    got = []
    rescue.file_of_form(rescue.Body(_Client(pieces), b"", len(text)), kind, lambda piece: got.append(bytes(piece)))
    return b"".join(got)


def test_form_in_pieces_of_any_size():
    data = bytes(range(256)) * 9 + b"\r\n--X\r\n--XY\r\n-"
    for sizes in (1, 2, 3, 7, 64, 1000, 9999):
        assert _file(_HEAD + data + b"\r\n--XX--\r\n", sizes) == data, sizes
        assert _file(_HEAD + b"\r\n--XX--\r\n", sizes) == b""
    assert _file(_HEAD + data + b"\r\n--XX--\r\n", 50, 'multipart/form-data; boundary="XX"; charset=x') == data


def test_forms_that_are_none():
    for text, kind in (
        (_HEAD + b"abc", _KIND),
        (_HEAD + b"abc\r\n--X", _KIND),
        (b"", _KIND),
        (b"nonsense" * 1000, _KIND),
        (b"nonsense\r\n\r\nmore", _KIND),
        (_HEAD.replace(b"firmware", b"other") + b"abc\r\n--XX--\r\n", _KIND),
        (_HEAD + b"abc\r\n--XX--\r\n", "multipart/form-data"),
        (_HEAD + b"abc\r\n--XX--\r\n", "application/json"),
    ):
        raises(rescue.Refused, _file, text, 64, kind)


# -- power cut at every write of an update by the rescue page ------------------------------------------------------------


class _Device(cut.RamDevice):
    """Larger: a spooled bundle and both slots."""

    blocks = 48

    def __init__(self, image=None, left=None, torn=False):
        super().__init__(image, left, torn)
        if not image:
            self.image = bytearray(b"\xff" * (cut._BLOCK * self.blocks))

    def ioctl(self, op, arg):
        return self.blocks if op == 4 else super().ioctl(op, arg)


def _member(name, data):
    header = bytearray(512)
    for at, text in ((0, name), (100, "0000644"), (124, "%011o" % len(data)), (257, "ustar"), (263, "00")):
        header[at : at + len(text)] = text.encode()
    header[156] = ord("0")
    header[148:156] = b" " * 8
    header[148:156] = b"%06o\0 " % sum(header)
    return bytes(header) + data + bytes(-len(data) % 512)


def _form(version, code):
    """A form with a bundle, gzipped without compression."""
    entry = [hashlib.sha256(code).digest().hex(), len(code)]
    head = {"name": "tinybms-gw", "version": version, "family": family(None), "micropython": "1.0.0"}
    manifest = json.dumps(head)[:-1] + ', "files": ' + json.dumps({"firmware/app.mpy": entry}) + "}"
    tar = _member("manifest.json", manifest.encode()) + _member("firmware/app.mpy", code) + bytes(1024)
    stored = b"\x01" + len(tar).to_bytes(2, "little") + (len(tar) ^ 0xFFFF).to_bytes(2, "little") + tar
    tail = binascii.crc32(tar).to_bytes(4, "little") + len(tar).to_bytes(4, "little")
    return _HEAD + b"\x1f\x8b\x08\0\0\0\0\0\0\xff" + stored + tail + b"\r\n--XX--\r\n"


def _update():
    form = _form("3", b"new code")
    page = rescue.Rescue(cut._ROOT, {"slot_a": "", "slot_b": ""}, "slot_b", None)
    return page._update(rescue.Body(_Client([form]), b"", len(form)), _KIND)["version"]


def _start():
    """What boot.py starts: the slot, or "rescue"."""

    class Picker(boot.Picker):
        def rescue(self, faults, target):
            assert target == "slot_b", target
            return "rescue"

    path = list(sys.path)
    try:
        return Picker(cut._ROOT).pick()
    finally:
        sys.path[:] = path


def _two_bad_slots():
    for slot in ("/slot_a", "/slot_b"):
        os.mkdir(cut._ROOT + slot)
        for name in ("/manifest.json", "/old.mpy"):
            with open(cut._ROOT + slot + name, "w") as file:
                file.write('{"files": {"old.mpy": ["00", 7]}, "version": "1"}')


def test_cut_at_every_write_of_a_rescue():
    device = _Device()
    cut.VfsLfs2.mkfs(device, progsize=32, readsize=32)
    cut._mounted(device, _two_bad_slots)
    assert cut._mounted(device, _start) == "rescue"
    image = device.image
    seen = set()
    cuts = 0
    for torn in (False, True):
        result = cut.PowerCut
        k = 0
        while result is cut.PowerCut:
            k += 1
            device = _Device(image, k, torn)
            result = cut._mounted(device, _update)
            again = _Device(device.image)
            found = cut._mounted(again, _start)
            seen.add(found)
            if found == "rescue":
                assert cut._mounted(again, _update) == "3", k
                assert cut._mounted(again, _start) == "slot_b", k
        assert result == "3" and found == "slot_b"
        cuts += k - 1
    assert seen == {"rescue", "slot_b"} and cuts > 20, (seen, cuts)
