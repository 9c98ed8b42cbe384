"""The board half of the rescue page against stand-ins: access point, CAN controller off the bus, reset."""

import os
import sys

sys.path.insert(0, "tests/stand_ins")

import machine  # noqa: E402
import network  # noqa: E402
from firmware import rescue  # noqa: E402
from firmware.can import twai_chips  # noqa: E402
from tests.unit.help import raises  # noqa: E402

_ROOT = "build_test_rescue"
_CLOCK = 1 << 19


class _Sys:
    """`sys` of a board with the chip that a test names."""

    class implementation:
        _machine = ""

    class stdout:
        text = ""

        @classmethod
        def write(cls, text):
            cls.text += text


def _board(chip="Generic ESP32 module with ESP32", clocks=True):
    machine.fake_reset()
    network.fake_reset()
    if clocks:
        for row in twai_chips.CHIPS.values():
            machine.mem32.fake_words[row[twai_chips.CLOCK_ENABLE]] = _CLOCK
    _Sys.implementation._machine = chip
    _Sys.stdout.text = ""
    real, rescue.sys = rescue.sys, _Sys
    try:
        return rescue.Esp32(_ROOT)
    finally:
        rescue.sys = real


def _written():
    return [row[1:] for row in machine.fake_log if row[0] == "mem32"]


def test_the_controller_of_every_chip_is_put_into_reset_mode():
    for name, chip in (
        ("ESP32", "Generic ESP32 module with ESP32"),
        ("ESP32S3", "ESP32S3 module with ESP32S3"),
        ("ESP32C3", "ESP32C3 module with ESP32C3"),
    ):
        _board(chip)
        assert _written() == [(twai_chips.CHIPS[name][twai_chips.BASE], 1)], name
    _board("ESP32C6 module with ESP32C6")
    assert _written() == []
    _board(clocks=False)  # without its clock it cannot be on the bus, and must not be touched
    assert _written() == []


def test_access_point_with_a_password():
    board = _board()
    wlan = network.WLAN(network.AP_IF)
    assert wlan.active() and wlan.config("ssid") == board.ssid and wlan.config("security") == network.AUTH_WPA2_PSK
    assert len(board.password) >= 8 and wlan._config["password"] == board.password
    assert board.password != _board().password
    real, rescue.sys = rescue.sys, _Sys
    try:
        board.say(80)
    finally:
        rescue.sys = real
    assert "192.168.4.1" in _Sys.stdout.text and board.password in _Sys.stdout.text


def test_the_password_of_the_access_point_is_that_of_the_application():
    for path in (_ROOT, _ROOT + "/data"):
        try:
            os.mkdir(path)
        except OSError:
            pass
    path = _ROOT + "/data/ap_password"
    try:
        for text, taken in (("kept-password", True), ("short", False), ("x" * 64, False)):
            with open(path, "w") as file:
                file.write(text)
            assert (_board().password == text) is taken
        with open(path, "wb") as file:
            file.write(b"\xff\xfe\xfd\xfc\xfb\xfa\xf9\xf8\xf7")
        assert len(_board().password) == 10
    finally:
        os.remove(path)
        os.rmdir(_ROOT + "/data")
        os.rmdir(_ROOT)


def test_reset():
    board = _board()
    raises(machine.FakeReset, board.reset)
    assert machine.fake_log[-1] == ("reset",)
