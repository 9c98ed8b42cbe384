"""A new board: `python -m tools.flash PORT FIRMWARE` puts an official MicroPython image and the application on it.

FIRMWARE is a file of https://micropython.org/download/: ESP32_GENERIC, ESP32_GENERIC_S3, ESP32_GENERIC_C3 or a board like those.
It is looked at before anything is touched: an ESP image, for which chip, MicroPython, and its partition table, which says where
the files go. Everything on the board is erased, settings too. `--dry-run` only prints the commands.
"""

import argparse
import re
import struct
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from tools.build import ROOT, build, put, report
from tools.chips import BLOCK, CHIPS, MB
from tools.package import image, target

_MAGIC = 0xE9  # of an ESP image; the chip's number stands at 12
_TABLE = 0x8000  # where the partition table lies in flash
_TABLE_SIZE = 0xC00
_ENTRY = struct.Struct("<2sBBII16sI")
_ENTRY_MAGIC = b"\xaa\x50"
_APPLICATION, _DATA = 0, 1
_BAUD = 460800


class Refused(SystemExit):
    def __init__(self, text):
        super().__init__(f"flash: {text}")


@dataclass(frozen=True)
class Firmware:
    """An official image: `chip` of tools/chips.py, `version` as it names itself, `partitions` [(label, type, offset, size)]."""

    chip: str
    version: str
    partitions: list

    @property
    def layout(self):
        return "ota" if sum(kind == _APPLICATION for _, kind, _, _ in self.partitions) > 1 else "4mb"

    def vfs(self, flash_size):
        """(offset, size) of the file system: the partition "vfs", or what follows the last one (esp32_micropython facts 5)."""
        for label, _, offset, size in self.partitions:
            if label == "vfs":
                return offset, size
        offset = max(offset + size for _, _, offset, size in self.partitions)
        return offset, flash_size - offset


def read_partitions(table):
    found = []
    for start in range(0, len(table) - _ENTRY.size + 1, _ENTRY.size):
        magic, kind, _, offset, size, label, _ = _ENTRY.unpack_from(table, start)
        if magic != _ENTRY_MAGIC:
            break
        found.append((label.rstrip(b"\0").decode("ascii", "replace"), kind, offset, size))
    return found


def inspect(data):
    """The `Firmware` that the bytes of an image are; Refused with the reason when they are none that can be used."""
    if len(data) < 0x10000 or data[0] != _MAGIC:
        raise Refused("this is no ESP image (it does not begin with 0xE9)")
    number = struct.unpack_from("<H", data, 12)[0]
    chip = next((name for name, chip in CHIPS.items() if chip.image_id == number), None)
    if chip is None:
        names = ", ".join(name for name, chip in CHIPS.items() if chip.image_id is not None)
        raise Refused(f"the image is for a chip (id {number}) that is not supported; supported are {names}")
    start = _TABLE - CHIPS[chip].boot_offset
    partitions = read_partitions(data[start : start + _TABLE_SIZE])
    if not partitions:
        raise Refused("the image has no partition table: take the .bin for a new installation, not the .app-bin")
    found = re.search(
        rb"MicroPython (v[\w.+-]+ on [\d-]+; [\w /().+-]+)|(v\d+\.\d+\.\d+[\w.-]*) on \d{4}-\d\d-\d\d", data
    )
    if b"MicroPython" not in data:
        raise Refused("the image is not MicroPython")
    version = (found.group(1) or found.group(2)).decode() if found else "of unknown version"
    return Firmware(chip, version, partitions)


def esptool(chip, port, *arguments, baud=None):
    speed = ["--baud", str(baud)] if baud else []
    return [sys.executable, "-m", "esptool", "--chip", chip, "--port", port, *speed, *map(str, arguments)]


def shown(command):
    """A command as a person would type it."""
    return " ".join(["esptool", *command[3:]])


def flash_size(chip, port):
    """Bytes of flash on the board. Refused when it does not answer, or is another chip."""
    command = esptool(chip, port, "flash-id")
    done = subprocess.run(command, capture_output=True, text=True)
    found = re.search(r"Detected flash size: (\d+)MB", done.stdout)
    if done.returncode or not found:
        said = (done.stdout + done.stderr).strip().splitlines()[-6:]
        hint = "Hold BOOT while you press RESET, and try again. A cable for charging only has no data lines."
        raise Refused("no answer from the board:\n  " + "\n  ".join(said) + f"\n{hint}")
    return int(found.group(1)) * MB


def commands(firmware, path, our_image, offset, port):
    """The esptool commands: erase, write both, compare."""
    chip = firmware.chip
    pieces = [f"{CHIPS[chip].boot_offset:#x}", path, f"{offset:#x}", our_image]
    return [
        esptool(chip, port, "--after", "no-reset", "erase-flash"),
        esptool(chip, port, "--after", "no-reset", "write-flash", *pieces, baud=_BAUD),
        esptool(chip, port, "--after", "hard-reset", "verify-flash", f"{offset:#x}", our_image, baud=_BAUD),
    ]


def make_image(firmware, offset, size):
    """The application for the file system at `offset`, `size` bytes: a path below build/."""
    chip = firmware.chip
    report(chip, build(chip))
    data, used = image(ROOT / "build" / chip, size // BLOCK * BLOCK)
    path = target(chip, ".img" if (offset, size) == (2 * MB, 2 * MB) else f"-{offset:x}-{size // 1024}k.img")
    put(path, data)
    print(f"{path.relative_to(ROOT)}: {used} of {size // BLOCK} blocks of 4 KB used")
    return path


def next_steps(port):
    print(f"""
Done. The board starts now. What next:
  1. Its console shows the password of its access point:  .venv/bin/mpremote connect {port} repl   (Ctrl-] leaves it)
  2. Join the network "TinyBMS-GW-..." and open http://192.168.4.1: WiFi, admin password, pins, chemistry.
  3. Wire the TinyBMS and the GX as the README says, and open the dashboard.""")


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("port", help="serial port of the board, for example /dev/ttyUSB0")
    parser.add_argument("firmware", type=Path, help="official MicroPython image (.bin)")
    parser.add_argument("--chip", choices=[name for name, chip in CHIPS.items() if chip.image_id is not None],
                        help="refuse an image for another chip")  # fmt: skip
    parser.add_argument("--dry-run", action="store_true", help="print the commands and touch no board")
    parser.add_argument("--flash-mb", type=int, help="size of the flash, instead of asking the board")
    options = parser.parse_args()
    if not options.firmware.is_file():
        raise Refused(f"{options.firmware} is not there; https://micropython.org/download/ has the images")
    firmware = inspect(options.firmware.read_bytes())
    if options.chip and options.chip != firmware.chip:
        raise Refused(f"the image is for {firmware.chip}, not for {options.chip}")
    print(f"{options.firmware.name}: MicroPython {firmware.version}, for {firmware.chip}", flush=True)
    if firmware.layout == "ota":
        print("This image keeps two copies of MicroPython, which leaves room for one slot of the application only:")
        print("it cannot update itself over the air. ESP32_GENERIC without OTA can.")
    if options.flash_mb:
        size = options.flash_mb * MB
    else:
        size = 4 * MB if options.dry_run else flash_size(firmware.chip, options.port)
    offset, room = firmware.vfs(size)
    path = make_image(firmware, offset, room)
    for command in commands(firmware, options.firmware, path, offset, options.port):
        print("$ " + shown(command), flush=True)
        if not options.dry_run and subprocess.run(command).returncode:
            raise Refused(
                "esptool has failed; the board is as far as the lines above tell. Try again, or a lower baud rate"
            )
    if not options.dry_run:
        next_steps(options.port)


if __name__ == "__main__":
    main()
