"""Bring the changed files of the application onto a board that runs MicroPython: `python -m tools.deploy PORT [--chip CHIP]`.

The board is put into maintenance (tools/board.py), its files are compared by their SHA-256, and what differs is copied into
slot_a: the slot has no manifest meanwhile, so that a half copied one is never started (the other slot is, or the rescue page).
The manifest comes last; then slot_a is the one that starts. An interrupted deploy is finished by the next one. Settings and
history (/data) stay.
"""

import argparse
import hashlib
import re
import sys
import time

from tools.board import Board, BoardError
from tools.build import ROOT, build, report
from tools.chips import CHIPS
from tools.manifest import FILE as MANIFEST
from tools.manifest import files_of

_SLOT = "/slot_a"
_LAST = f"{_SLOT}/{MANIFEST}"
_STATE = "/slots.json"
_LEFTOVERS = ("/slot_a.new", "/slots.json.new")


def chip_of(machine):
    """The chip of tools/chips.py for `sys.implementation._machine` of a board ("Generic ESP32 module with ESP32")."""
    name = machine.rsplit(" with ", 1)[-1].lower().replace("-", "")
    found = re.match(r"esp32(?:[schp]\d+)?", name)  # ESP32-C3FH4 is a C3, ESP32-PICO-D4 an ESP32
    return found.group() if found and found.group() in CHIPS else None


def find_chip(board):
    """The chip of a board in maintenance; BoardError for one that is not supported."""
    platform, machine = board.ask("_say(sys.platform, getattr(sys.implementation, '_machine', ''))")[0]
    chip = chip_of(machine)
    if chip is None:
        raise BoardError(f"this board says {machine!r} ({platform}), which is none of {', '.join(list(CHIPS)[2:])}")
    return chip


def local_files(directory):
    """{path on the board: bytes} of a build directory."""
    return {"/" + name: (directory / name).read_bytes() for name in files_of(directory, every=True)}


def deploy(board, files, say=print):
    """Make the files of `board` (in maintenance) those of `files`; gives the number that was copied.

    A power cut at any point leaves the old manifest with the old files, or no manifest.
    """
    roots = [_SLOT, *(path for path in files if path.count("/") == 1)]
    there = board.hashes(*roots)
    wanted = {path: hashlib.sha256(data).hexdigest() for path, data in files.items()}
    changed = sorted(
        (path for path in files if there.get(path) != wanted[path]), key=lambda path: (path == _LAST, path)
    )
    strays = sorted(path for path in there if path not in files)
    if changed or strays:
        board.remove(_LAST)
        changed = [path for path in changed if path != _LAST] + [_LAST]
    for path in strays:
        board.remove(path)
    for path in _LEFTOVERS:
        board.remove(path)
    have = {directory for path in there for directory in parents(path)}
    for directory in sorted({directory for path in changed for directory in parents(path)} - have):
        board.make_directory(directory)
    for path in changed[:-1]:
        say(f"  {len(files[path]):7d} {path}")
        board.put(path, files[path])
    for directory in set(board.directories(_SLOT)) - {directory for path in files for directory in parents(path)}:
        board.remove(directory, directory=True)
    if changed:
        there = board.hashes(*roots)
        wrong = [path for path in files if path != _LAST and there.get(path) != wanted[path]]
        if wrong:
            raise BoardError(f"written but not read back alike: {', '.join(wrong)}. Is the flash full or worn?")
        board.put(_LAST, files[_LAST])
    board.remove(_STATE)  # no state: slot_a, for good
    return len(changed)


def parents(path):
    """The directories that `path` lies in: "/a/b/c" -> ["/a/b", "/a"]."""
    return [path.rsplit("/", depth)[0] for depth in range(1, path.count("/"))]


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("port", help="serial port of the board, for example /dev/ttyUSB0")
    parser.add_argument("--chip", choices=[name for name, chip in CHIPS.items() if chip.image_id is not None],
                        help="instead of what the board says")  # fmt: skip
    options = parser.parse_args()
    start = time.monotonic()
    try:
        with Board(options.port) as board:
            print("Resetting the board into maintenance ...", flush=True)
            board.maintenance()
            chip = options.chip or find_chip(board)
            report(chip, build(chip))
            copied = deploy(board, local_files(ROOT / "build" / chip))
            board.reset()
    except BoardError as error:
        sys.exit(f"deploy: {error}")
    print(
        f"{copied} files copied in {time.monotonic() - start:.0f} s; the gateway starts. Its log: mpremote connect {options.port}"
    )


if __name__ == "__main__":
    main()
