"""firmware/rescue.py and boot.py with what a board has (tests/stand_ins); the page runs in integration/test_slots.py."""

import sys

sys.path.insert(0, "tests/stand_ins")

import boot  # noqa: E402
import machine  # noqa: E402
import network  # noqa: E402
from firmware import rescue  # noqa: E402
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
        raises(rescue._Refused, _file, text, 64, kind)
