"""The board room of an ESP32 against stand-ins of its modules (tests/stand_ins): every call with the arguments of the stubs."""

import asyncio
import sys
from array import array

sys.path.insert(0, "tests/stand_ins")

import esp32  # noqa: E402
import machine  # noqa: E402
import network  # noqa: E402
import uctypes  # noqa: E402
from firmware.board import esp32 as room  # noqa: E402
from firmware.board import esp32info  # noqa: E402
from firmware.can import twai_regs  # noqa: E402
from firmware.config.config import Config  # noqa: E402
from tests.unit.help import FakeLog, raises  # noqa: E402

_MODE = 0
_words = array("I", [0] * 32)


class _Regs(twai_regs.MemRegs):
    """Registers in memory of ours instead of at the controller's address."""

    def __init__(self, name, tx, rx):
        super().__init__(name, tx, rx, base=uctypes.addressof(_words))

    def write(self, index, value):
        machine.fake_log.append(("twai", index, value))
        super().write(index, value)


twai_regs.MemRegs = _Regs


class _Os:
    made = []

    def mkdir(self, path):
        self.made.append(path)


room.os = _Os()  # the tests make no /data


class _Esp32(room.Esp32):
    """With the chip that a test names."""

    name = "esp32"

    def chip(self):
        return self.name


class _Values(Config):
    """Not stored, but for what a test gives."""

    def __init__(self, board, **changes):
        super().__init__("build_no_such_directory", b"", None, board.check_pins)
        for name, value in changes.items():
            self.stored[name.replace("_", ".", 1)] = value


def _board(name="esp32", layout="factory"):
    machine.fake_reset()
    network.fake_reset()
    esp32.fake_layout(layout)
    for i in range(len(_words)):
        _words[i] = 0
    board = _Esp32()
    board.name = name
    return board


def test_made_with_the_directories_of_the_contract():
    board = _board()
    assert board.root_dir == "" and board.data_dir == "/data" and "/data" in _Os.made
    assert len(board.unique_id()) == 6 and board.may_restart


def test_prepare_switches_the_controller_on_before_the_radio():
    board = _board()
    board.prepare(_Values(board))
    assert network.fake_log == [("active", 0, True)]
    changed = [row for row in machine.fake_log if row[0] == "mem32"]
    assert changed[0] == ("mem32", 0x3FF000C0, 1 << 19)
    assert machine.mem32[0x3FF000C4] == 0  # out of reset
    assert not machine.fake_pins  # nothing is driven before the CAN task starts


def test_can_driver_and_its_pins():
    for name, out, select in (("esp32", 0x3FF44530, 123), ("esp32s3", 0x60004554, 116), ("esp32c3", 0x60004554, 74)):
        board = _board(name)
        config = _Values(board, uart_tx_pin=6, uart_rx_pin=7) if name == "esp32c3" else _Values(board)
        board.prepare(config)
        driver = board.can(config, FakeLog())
        driver.regs.route()
        assert machine.mem32[out + 4 * 5] == select
        assert machine.fake_pins[5].fake_value == 1 and machine.fake_pins[4].fake_pull == machine.Pin.PULL_UP


def test_reset_takes_the_controller_off_the_bus_first():
    board = _board()
    raises(machine.FakeReset, board.reset)
    assert machine.fake_log == [("reset",)]  # before `prepare` there is nothing to take off
    board = _board()
    board.prepare(_Values(board))
    raises(machine.FakeReset, board.reset)
    assert machine.fake_log[-2:] == [("twai", _MODE, 1), ("reset",)]


async def test_uart():
    board = _board()
    port = board.uart(_Values(board, uart_baudrate=57600))
    await port.open()
    uart = machine.fake_uarts[1]
    assert uart.fake_settings == {"baudrate": 57600, "tx": 17, "rx": 16, "timeout": 0, "timeout_char": 2}
    port.write(b"\xaa\x07")
    assert bytes(uart.fake_sent) == b"\xaa\x07"
    buf = bytearray(8)
    assert port.any_in(buf) == 0
    task = asyncio.create_task(port.readinto(buf))
    await asyncio.sleep_ms(20)
    uart.fake_put(b"abc")
    assert await asyncio.wait_for_ms(task, 2000) == 3 and buf[:3] == b"abc"
    uart.fake_put(b"de")
    assert port.any_in(buf) == 2
    port.close()
    await port.open()
    assert machine.fake_uarts[1] is uart


async def _open(port):
    try:
        await port.open()
    except OSError as error:
        return str(error)
    return ""


async def test_a_uart_that_cannot_be_made_stops_nothing_else():
    board = _board()
    real = machine.UART

    def no_room(*args, **settings):
        raise OSError("ESP_ERR_NO_MEM")

    machine.UART = no_room
    try:
        port = board.uart(_Values(board))
    finally:
        machine.UART = real
    assert await _open(port) == "ESP_ERR_NO_MEM"


async def test_pins_that_cannot_work_are_never_touched():
    board = _board()
    config = _Values(board, uart_rx_pin=7, can_tx_pin=34)
    board.prepare(config)
    assert "flash" in await _open(board.uart(config)) and not machine.fake_uarts
    error = raises(ValueError, board.can, config, FakeLog())
    assert str(error) == "can_tx_pin must not be 34: it is an input only"
    assert network.fake_log  # the radio is on: the dashboard is where it can be repaired


async def test_a_chip_without_controller_driver_starts_without_can():
    board = _board("esp32c6")
    config = _Values(board)
    board.prepare(config)
    assert "no TWAI driver" in str(raises(ValueError, board.can, config, FakeLog()))
    assert await _open(board.uart(config)) == ""


def test_first_start_of_a_c3_takes_pins_that_work():
    import os

    try:
        os.mkdir("build_test_esp32")
    except OSError:
        pass
    board = _board("esp32c3")
    config = Config("build_test_esp32", b"", None, board.check_pins)
    board.prepare(config)
    assert config.stored == {"system.board": "esp32-c3", "uart.tx_pin": 6, "uart.rx_pin": 7}
    assert config.problem == "" and board._refused == {}
    os.remove("build_test_esp32/config.json")
    os.rmdir("build_test_esp32")
    config = _Values(board, uart_tx_pin=12)  # somebody's choice stays, refused
    board.prepare(config)
    assert "uart" in board._refused and config.stored == {"uart.tx_pin": 12}


def test_a_board_gets_the_levels_it_needs():
    board = _board()
    board.prepare(_Values(board, system_board="t-can485", uart_tx_pin=33, uart_rx_pin=32, can_tx_pin=27, can_rx_pin=26))
    assert [row for row in machine.fake_log if row[0] == "pin"] == [("pin", 16, 1), ("pin", 23, 0)]
    assert machine.fake_pins[16].fake_mode == machine.Pin.OUT
    board = _board("esp32s3")  # stored by hand for another chip: nothing is driven
    board.prepare(_Values(board, system_board="t-can485"))
    assert not machine.fake_pins


def test_chip_of_the_build():
    class Implementation:
        pass

    class Sys:
        implementation = Implementation()

    board = _board()
    real = esp32info.sys
    esp32info.sys = Sys
    try:
        for text, chip in (
            ("Generic ESP32 module with ESP32", "esp32"),
            ("Generic ESP32S3 module with Octal-SPIRAM with ESP32S3", "esp32s3"),
            ("ESP32C3 module with ESP32C3", "esp32c3"),
            ("TinyPICO with ESP32-PICO-D4", "esp32"),
            ("Something with ESP32-S3-WROOM-1", "esp32s3"),
            ("ESP32C6 module with ESP32C6", "esp32c6"),
        ):
            Implementation._machine = text
            assert esp32info.chip(board) == chip
    finally:
        esp32info.sys = real


def test_kept_survives_a_reset_but_not_power_loss_nor_damage():
    board = _board()
    assert board.kept() == b""
    board.keep(b"\x01\x02text")
    assert board.kept() == b"\x01\x02text"
    assert _Esp32().kept() == b"\x01\x02text"
    board.keep(bytes(512))
    assert len(board.kept()) == 512
    for damage in (b"", b"x", machine.fake_memory[:-1], b"other program's", machine.fake_memory[:20] + b"\x55" * 500):
        machine.fake_memory = damage
        assert board.kept() == b"", damage
    machine.fake_reset()
    assert board.kept() == b""
    board.keep(b"")
    assert board.kept() == b""


def test_reset_causes():
    board = _board()
    for cause, name in (
        (machine.PWRON_RESET, "POWER_ON"),
        (machine.HARD_RESET, "HARD"),
        (machine.WDT_RESET, "WATCHDOG"),
        (machine.DEEPSLEEP_RESET, "DEEP_SLEEP"),
        (machine.SOFT_RESET, "SOFT"),
        (17, "UNKNOWN"),
    ):
        machine.fake_cause = cause
        assert board.reset_cause() == name and board.info()["reset_cause"] == name


def test_watchdog_and_timer():
    board = _board()
    board.feed()  # before it runs: nothing
    board.start_watchdog()
    board.feed()
    board.feed()
    assert machine.fake_watchdog.fake_fed == 2 and 5000 <= machine.fake_watchdog.fake_timeout <= 15000
    calls = []
    assert board.start_timer(10, calls.append)
    timer = machine.fake_timers[0]
    assert timer.fake_period == 10 and timer.fake_mode == machine.Timer.PERIODIC
    timer.fake_fire()
    assert calls == [timer]


def test_heap_of_the_idf():
    board = _board()
    assert board.idf_free() == 35712 + 12000 and board.largest_block() == 35512


def test_info_names_the_partitions():
    info = _board().info()
    assert info["chip"] == "esp32" and info["mac"] == "246f28010203"
    labels = [row["label"] for row in info["partitions"]]
    assert labels == ["factory", "nvs", "phy_init", "vfs"]
    assert info["partitions"][0] == {"label": "factory", "address": 0x10000, "size": 0x1F0000}


def test_stock_build_has_no_partition_for_an_image():
    board = _board()
    assert board.ota_partition() is None
    board.mark_app_valid()  # a build without rollback: nothing, and no error


def test_image_into_the_idle_partition():
    board = _board(layout="ota")
    target = board.ota_partition()
    assert (target.label, target.size) == ("ota_1", 0x180000)
    raises(OSError, target.finish)  # no image there yet
    target.write(0, b"\xe9" + bytes(4095))
    target.write(1, b"\x55" * 4096)
    assert esp32.fake_flash["ota_1"][1] == b"\x55" * 4096 and "ota_0" not in esp32.fake_flash
    raises(OSError, target.write, 0x180, bytes(4096))
    target.finish()
    board.mark_app_valid()
    assert esp32.fake_log == [("set_boot", "ota_1"), ("mark_app_valid",)]


def test_led():
    board = _board()
    light = board.led(2)
    light(1)
    light(False)
    assert machine.fake_log == [("pin", 2, 0), ("pin", 2, 1), ("pin", 2, 0)]
    assert board.led(24) is None and board.led(-1) is None
    for pin in (7, 34, 5):  # flash, input only, the CAN controller's: from a file made by hand
        board = _board()
        board.prepare(_Values(board, system_led_pin=pin))
        assert board.led(pin) is None and not machine.fake_pins, pin


def test_network_and_name_server():
    board = _board()
    assert board.dns_server() is None
    module, port = board.radio()
    assert module is network and port == 53
    station = network.WLAN(network.STA_IF)
    station.active(True)
    network.fake_networks["Net"] = network.FakeNetwork("password")
    station.connect("Net", "password")
    while not station.isconnected():
        pass
    assert board.dns_server() == ("192.168.1.1", 53)
    assert board.network()["connected"] is False  # the WiFi task is not there: see test_wifi


def test_what_is_not_there_is_an_attribute_error():
    raises(AttributeError, getattr, _board(), "nonsense")


def test_pin_warnings_of_the_default_pins():
    board = _board()
    assert len(board.pin_warnings(_Values(board))) == 3
    board.name = "esp32s3"
    assert board.pin_warnings(_Values(board)) == []
