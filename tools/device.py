"""Prove the gateway on a board: `python -m tools.device PORT` runs tests/unit there and prints a report to paste into an issue.

The board is put into maintenance (tools/board.py). The sources of firmware/ and of the tests, compiled for its chip but neither
merged nor shortened, are copied to /test, each test file runs in a fresh Python, and /test is removed at the end. Application,
settings and history stay. A test that needs more memory than a board has, or what only a computer has, is told apart.
"""

import argparse
import hashlib
import re
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from tools.board import Board, BoardError
from tools.build import DATA_SUFFIXES, ROOT, VIPER, find_mpy_cross
from tools.chips import BLOCK, CHIPS
from tools.deploy import find_chip
from tools.deps import device_packages
from tools.manifest import application_version

_HOME = "/test"
_PATH = f"import sys\nsys.path[:0] = [{_HOME!r}, {_HOME + '/lib'!r}]\n"
_SECONDS = 180  # for one test file to say something
_AGENT = ROOT / "tools" / "device_agent.py"


def sources(chip):
    """{path below /test: source} of what the tests need on `chip`; data files as they are."""
    wanted = [path for path in sorted((ROOT / "firmware").rglob("*")) if path.suffix in {".py", *DATA_SUFFIXES}]
    wanted += sorted((ROOT / "tests" / "unit").glob("*.py")) + [ROOT / "tests" / "__init__.py"]
    found = {path.relative_to(ROOT).as_posix(): path for path in wanted}
    for package in device_packages():
        for module in package["modules"]:
            name = f"lib/{package['package']}/{module}.py"
            if not name.startswith(chip.left_out):
                found[name] = ROOT / name
    found["device_agent.py"] = _AGENT
    return found


def compiled(chip):
    """{path on the board: bytes}, modules as .mpy for the chip."""
    files = {}
    cross = find_mpy_cross()
    with tempfile.TemporaryDirectory() as directory:
        out = Path(directory) / "out.mpy"
        for name, path in sources(chip).items():
            if path.suffix != ".py":
                files[f"{_HOME}/{name}"] = path.read_bytes()
                continue
            native = [f"-march={chip.family}"] if VIPER.search(path.read_text()) else []
            command = [cross, "-O0", "-s", name, *native, "-o", str(out), str(path)]
            done = subprocess.run(command, capture_output=True, text=True)
            if done.returncode:
                raise SystemExit(f"device: {name}\n{done.stderr}")
            files[f"{_HOME}/{name[:-3]}.mpy"] = out.read_bytes()
    return files


def copy(board, files, say=print):
    """Bring `files` to /test. BoardError when there is no room."""
    board.helpers()
    there = board.hashes(_HOME)
    missing = {path: data for path, data in files.items() if there.get(path) != hashlib.sha256(data).hexdigest()}
    needed = sum(-(-len(data) // BLOCK) for data in missing.values()) + 24
    free = board.ask("_say(os.statvfs('/')[3])")[0][0]
    if free < needed:
        raise BoardError(
            f"the flash has {free} blocks free, the tests need {needed}. A board that has had an update over the air holds two "
            "slots: `make deploy` and then remove the other one (mpremote rm -r :slot_b), or take an empty board"
        )
    for directory in sorted({path.rsplit("/", 1)[0] for path in missing}):
        board.make_directory(directory)
    say(f"Copying {len(missing)} files ...")
    for path, data in missing.items():
        board.put(path, data)


def clean(board):
    """Remove /test."""
    for path in board.hashes(_HOME):
        board.remove(path)
    for path in [*board.directories(_HOME), _HOME]:
        board.remove(path, directory=True)


def run_file(board, name):
    """Run one file of tests/unit: (verdict, tests, text). Verdicts: "pass", "FAIL", "no memory", "not for a board"."""
    board.soft_reset()
    code = f"{_PATH}from tests.unit import run\n_n, _f = run.run('tests/unit/{name}.py')\nprint('done', _n, 'failed', _f)\n"
    try:
        out = board.run(code, _SECONDS)
    except BoardError as error:
        text = str(error)
        if "MemoryError" in text:
            return "no memory", 0, text
        if "ImportError" in text:
            return "not for a board", 0, text.splitlines()[-1]
        return "FAIL", 0, text
    count, failed = map(int, re.search(r"^done (\d+) failed (\d+)", out, re.MULTILINE).groups())
    if not failed:
        return "pass", count, ""
    failures = "\n".join(line for line in out.splitlines() if line.startswith(("FAIL", "  ")))
    kinds = re.findall(r"^  (\w+Error|\w+Exception|NotImplementedError)\b", failures, re.MULTILINE)
    return ("no memory" if kinds and set(kinds) == {"MemoryError"} else "FAIL"), count, failures


def report(board, chip, names, pins, say=print):
    """Run everything and print the report; gives the number of failed files."""
    board.soft_reset()
    board.run(_PATH + "import device_agent")
    figures = board.ask("_say(device_agent.machine())")[0][0]
    times = board.ask("_say(device_agent.timings())")[0][0]
    say(f"## TinyBMS-GW {application_version()} on a board\n")
    say(f"- board: {figures['machine']}, {figures['mhz']} MHz ({chip})")
    say(f"- MicroPython: {figures['version']}")
    idf = ""
    if "idf_free" in figures:
        idf = f"; outside Python {figures['idf_free']} free, largest block {figures['largest_block']}"
    say(f"- heap: {figures['heap_free']} free, {figures['heap_used']} used{idf}")
    say(f"- flash: {figures['flash_free']} of {figures['flash_blocks']} blocks free (the tests lie there too)\n")
    say("| hot part | us |\n| --- | --- |")
    for name, micros in times:
        say(f"| {name} | {micros} |")
    say("\n| test | result |\n| --- | --- |")
    for text, inside in (("inside the chip", True), ("through the transceiver", False)):
        try:
            wrong = board.ask(f"_say(device_agent.twai({pins[0]}, {pins[1]}, {inside}))")[0][0]
        except BoardError as error:
            wrong = str(error).splitlines()[-1]
        say(f"| TWAI self-test {text} | {wrong or 'pass'} |")
    bad, details = 0, []
    for name in names:
        start = time.monotonic()
        verdict, count, text = run_file(board, name)
        bad += verdict == "FAIL"
        say(f"| {name} ({count} tests, {time.monotonic() - start:.0f} s) | {verdict} |")
        if text:
            details.append(f"### {name}: {verdict}\n\n```\n{text}\n```")
    say("\n" + "\n\n".join(details))
    return bad


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("port", help="serial port of the board, for example /dev/ttyUSB0")
    parser.add_argument("names", nargs="*", help="test files, without .py (all)")
    parser.add_argument("--tx", type=int, default=5, help="CAN TX pin (5)")
    parser.add_argument("--rx", type=int, default=4, help="CAN RX pin (4)")
    parser.add_argument("--keep", action="store_true", help="leave the copies on the board: the next time is faster")
    options = parser.parse_args()
    names = options.names or [path.stem for path in sorted((ROOT / "tests" / "unit").glob("test_*.py"))]
    try:
        with Board(options.port) as board:
            board.maintenance()
            chip = find_chip(board)
            copy(board, compiled(CHIPS[chip]))
            try:
                bad = report(board, chip, names, (options.tx, options.rx))
            finally:
                if not options.keep:
                    board.soft_reset()
                    clean(board)
            board.reset()
    except BoardError as error:
        sys.exit(f"test-device: {error}")
    sys.exit(1 if bad else 0)


if __name__ == "__main__":
    main()
