"""What is asked of an ESP32 once or rarely: methods of `Esp32` beside those in esp32.py, forgotten after each use."""

import sys

import esp32
import machine
import network
from firmware import lazy

_RESET_CAUSES = {1: "POWER_ON", 2: "HARD", 3: "WATCHDOG", 4: "DEEP_SLEEP", 5: "SOFT"}  # facts 6
_USES = (("uart.tx_pin", "uart"), ("uart.rx_pin", "uart"), ("can.tx_pin", "can"), ("can.rx_pin", "can"))


# -- start -------------------------------------------------------------------------------------------------------------------


def prepare(board, config):
    """(registers of the CAN controller or None, {"uart", "can" or "led": why its pins must not be touched}).

    Before WiFi is switched on: the controller's clock lies in a word that WiFi changes too (facts 1.3, 1.7).
    """
    pins = lazy.once("board.pins")
    problems = {}
    _adopt(board, config, pins)
    _levels(board, config)
    chip = board.chip()
    for key, name in _USES:
        text = pins.refused(config[key], chip, not key.endswith("rx_pin"))
        if text:
            problems[name] = key.replace(".", "_") + " " + text
    found = pins.check(config, chip)
    if found and found[0] == "system.led_pin":  # on a pin of the CAN controller it would take that from it
        problems["led"] = found[1]
    registers = None
    try:
        registers = _controller(board, config)
    except (ValueError, OSError) as error:
        problems["can"] = str(error)
    return registers, problems


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
    registers = MemRegs(name, config.get("can.tx_pin"), config.get("can.rx_pin"))
    registers.name = name
    registers.enable()
    return registers


# -- figures -----------------------------------------------------------------------------------------------------------------


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


def led(pin):
    """A pin is callable: `pin(1)`."""
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


def ota_partition():
    """None where the flash has no second application partition (facts 5: all but the OTA builds)."""
    try:
        return OtaPartition(esp32.Partition(esp32.Partition.RUNNING).get_next_update())
    except OSError:
        return None


def mark_app_valid():
    """Against the bootloader's rollback; a build without it raises OSError, which is fine."""
    try:
        esp32.Partition.mark_app_valid_cancel_rollback()
    except OSError:
        pass
