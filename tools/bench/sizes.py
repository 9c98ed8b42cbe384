"""Rows of what a build and the running gateway keep: heap on 64 and on 32 bits, .mpy that stay loaded, the page's first view."""

import subprocess
import sys

from tools import budgets, web
from tools.bench.table import Row
from tools.build import build
from tools.chips import CHIPS
from tools.processes import ROOT

HEAP = 85 * 1024  # of a 32-bit board (DESIGN 6)
DATA = 20 * 1024
HEAP_64 = int(HEAP * 1.45)  # the 64-bit port needs so much more
LARGEST = 8  # modules that get a line
BOARD = "esp32"


def output(module, *arguments):
    """Lines that `python -m tools.MODULE` prints."""
    done = subprocess.run(
        [sys.executable, "-m", f"tools.{module}", *arguments], cwd=ROOT, capture_output=True, text=True, timeout=600
    )
    if done.returncode:
        raise SystemExit(f"bench: tools.{module} failed\n{done.stdout[-2000:]}{done.stderr[-2000:]}")
    return done.stdout.splitlines()


def figure(lines, start):
    """The first number behind `start` in the line that begins with it."""
    line = next(line for line in lines if line.startswith(start))
    return next(int(word) for word in line[len(start) :].split() if word.lstrip("-").isdigit())


def number(name, value, limit, unit="bytes"):
    return Row(name, f"{value} {unit}", f"<= {limit}", value <= limit)


def heap_rows(quick):
    """Everything on, nobody connected, on the 64-bit port."""
    total = next(line for line in output("heap") if line.endswith("total resident")).split()[0]
    yield number("resident heap, 64-bit port", int(total), HEAP_64)


def heap32_rows(quick):
    """On the webassembly port, whose heap counts like a board's."""
    lines = output("wasm", "--heap") if quick else output("wasm", "--parts")
    yield number("resident heap, 32-bit port", figure(lines, "= resident"), HEAP)
    made = [line for line in lines if line.startswith(("= made", "= given back"))]
    yield number("  of which data: rings, buffers, snapshot", figure(lines, "of which rings, buffers, snapshot"), DATA)
    yield Row(
        "  of which all that the parts make, data included", f"{sum(int(line.split()[-1]) for line in made)} bytes"
    )
    marker = "with its modules: "
    for line in lines:
        if line.startswith(marker):
            name, _, size = line[len(marker) :].rpartition(" ")
            yield Row(f"  {name.strip()}, with its modules", f"{size} bytes")


def mpy_rows(quick):
    """What stays loaded of the .mpy files of an ESP32, and the largest of them."""
    build(BOARD)
    slot = ROOT / "build" / BOARD / "slot_a"
    sizes = {path.relative_to(slot).as_posix(): path.stat().st_size for path in slot.rglob("*") if path.is_file()}
    name, value, limit, unit = budgets.figures(sizes, CHIPS[BOARD])[0]
    yield number(f"{name}, {BOARD}", value, limit, unit)
    resident = {name: sizes[f"{name}.mpy"] for name in budgets.resident(CHIPS[BOARD])}
    for name in sorted(resident, key=resident.get, reverse=True)[:LARGEST]:
        yield Row(f"  {name}.mpy", f"{resident[name]} bytes")


def page_rows(quick):
    """What a browser loads before the first picture stands."""
    files, first = web.bundle()
    yield number("dashboard, first view, gzipped", sum(len(files[name]) for name in first), web.FIRST_VIEW_BYTES)
    yield number("  its requests, with the WebSocket", len(first) + 1, web.FIRST_VIEW_REQUESTS, "requests")
