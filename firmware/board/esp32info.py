"""What is asked of an ESP32 once or rarely: methods of `Esp32` beside those in esp32.py, forgotten after each use."""

import sys

import esp32
import machine
import network
from micropython import const
from firmware import lazy
from firmware.board.esp32 import UartPort

_UART_ID = const(1)
_RX_BUFFER = const(1024)  # the default of 256 is small for a burst of 250 bytes while the loop is busy
_TX_BUFFER = const(512)
_WATCHDOG_MS = const(8000)
_RESET_CAUSES = {1: "POWER_ON", 2: "HARD", 3: "WATCHDOG", 4: "DEEP_SLEEP", 5: "SOFT"}  # facts 6
_USES = (("uart.tx_pin", "uart"), ("uart.rx_pin", "uart"), ("can.tx_pin", "can"), ("can.rx_pin", "can"))


# -- start -------------------------------------------------------------------------------------------------------------------


def prepare(board, config):
    """Pins and CAN controller, then WiFi on: in this order, as the controller's clock lies in a word that WiFi changes too
    (facts 1.3, 1.7). `board._refused`: {"uart", "can" or "led": why its pins must not be touched}.
    """
    pins = lazy.once("board.pins")
    board._refused = problems = {}
    _adopt(board, config, pins)
    _levels(board, config)
    name = board.chip()
    for key, part in _USES:
        text = pins.refused(config[key], name, not key.endswith("rx_pin"))
        if text:
            problems[part] = key.replace(".", "_") + " " + text
    found = pins.check(config, name)
    if found and found[0] == "system.led_pin":  # on a pin of the CAN controller it would take that from it
        problems["led"] = found[1]
    try:
        board._regs = _controller(board, config)
    except (ValueError, OSError) as error:
        problems["can"] = str(error)
    network.WLAN(network.STA_IF).active(True)


def _adopt(board, config, pins):
    """The first start of a chip on which the default pins cannot work: take the pins that fit any board with this chip."""
    from firmware.config import presets

    if pins.check(config, board.chip()) is None:
        return
    for key in presets.KEYS + ("system.board",):
        if key in config.stored:  # somebody has chosen: `config.problem` tells what is wrong
            return
    try:
        config.update({"system": {"board": presets.of_chip(board.chip())}})
    except (OSError, ValueError):
        pass  # not stored: the pins stay refused, and untouched


def _levels(board, config):
    """The levels that the chosen board needs before its CAN transceiver works."""
    from firmware.config import presets

    row = presets.row(config["system.board"])
    if row[presets.CHIP] in ("", board.chip()):
        for pin, level in row[presets.LEVELS]:
            machine.Pin(pin, machine.Pin.OUT, value=level)


def _controller(board, config):
    from firmware.can import twai_chips
    from firmware.can.twai_regs import MemRegs

    name = twai_chips.find(board.chip())
    registers = MemRegs(name, config["can.tx_pin"], config["can.rx_pin"])
    registers.name = name
    registers.enable()
    return registers


def uart(board, config):
    """The port of the BMS; nothing fails before it is opened."""
    tx, rx = config["uart.tx_pin"], config["uart.rx_pin"]
    problem = board._refused.get("uart", "")
    uart = None
    if not problem:
        try:
            uart = machine.UART(
                _UART_ID, config["uart.baudrate"], tx=tx, rx=rx, rxbuf=_RX_BUFFER, txbuf=_TX_BUFFER,
                timeout=0, timeout_char=2,
            )  # fmt: skip
        except (ValueError, OSError) as error:  # a pin that this chip does not have, no room for its buffers
            problem = str(error)
    return UartPort(uart, problem)


def can(board, config, log):
    if board._refused.get("can"):
        raise ValueError(board._refused["can"])
    from firmware.can.twai import Twai

    return Twai(board._regs, board, config["can.speed"], log, board._regs.name)


def radio(board):
    return network, 53


def announce(board, line):
    """There is no program that started us."""


def start_watchdog(board):
    """From now on `feed` must be called every few seconds, for ever: it cannot be stopped."""
    board._watchdog = machine.WDT(timeout=_WATCHDOG_MS)


def start_timer(board, period_ms, callback):
    """Call `callback(timer)` each `period_ms` from the scheduler, whatever the loop does."""
    machine.Timer(0, period=period_ms, mode=machine.Timer.PERIODIC, callback=callback)
    return True


# -- figures -----------------------------------------------------------------------------------------------------------------


def unique_id(board):
    return machine.unique_id()


def chip(board):
    """Of "Generic ESP32S3 module with ESP32S3"; a module's name (ESP32-PICO-D4) is an ESP32."""
    name = sys.implementation._machine.rsplit(" with ", 1)[-1].replace("-", "").lower()
    return name[:7] if name[6:7].isdigit() else "esp32"


def dns_server(board):
    wlan = network.WLAN(network.STA_IF)
    address = wlan.ifconfig()[3] if wlan.active() and wlan.isconnected() else "0.0.0.0"
    return None if address == "0.0.0.0" else (address, 53)


def reset_cause(board):
    return _RESET_CAUSES.get(machine.reset_cause(), "UNKNOWN")


def info(board):
    rows = [part.info() for part in esp32.Partition.find(esp32.Partition.TYPE_APP)]
    rows.extend(part.info() for part in esp32.Partition.find(esp32.Partition.TYPE_DATA))
    return {
        "chip": board.chip(),
        "firmware": sys.version,
        "reset_cause": reset_cause(board),
        "partitions": [{"label": row[4], "address": row[2], "size": row[3]} for row in rows],
        "mac": board.unique_id().hex(),
    }


# -- pins and partitions -----------------------------------------------------------------------------------------------------


def led(board, pin):
    """A pin is callable: `pin(1)`."""
    if pin < 0 or "led" in board._refused:
        return None
    try:
        return machine.Pin(pin, machine.Pin.OUT, value=0)
    except ValueError:
        return None


class OtaPartition:
    """Where the next image of MicroPython goes. `size` in bytes; `write` a block of 4096 bytes, it is erased first."""

    def __init__(self, partition):
        self._partition = partition
        _, _, _, self.size, self.label, _ = partition.info()

    def write(self, number, buf):
        self._partition.writeblocks(number, buf)

    def finish(self):
        """Boot from it next time; OSError when what lies there is no image (the IDF checks it)."""
        self._partition.set_boot()


def ota_partition(board):
    """None where the flash has no second application partition (facts 5: all but the OTA builds)."""
    try:
        return OtaPartition(esp32.Partition(esp32.Partition.RUNNING).get_next_update())
    except OSError:
        return None


def mark_app_valid(board):
    """Against the bootloader's rollback; a build without it raises OSError, which is fine."""
    try:
        esp32.Partition.mark_app_valid_cancel_rollback()
    except OSError:
        pass
