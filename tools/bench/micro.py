"""Rows measured inside one MicroPython process: viper, heap of a cycle and of a message, UART to CAN."""

import json
import os
import shutil
import subprocess
import tempfile
from pathlib import Path

from tools.bench.table import Row
from tools.build import DATA_SUFFIXES, ROOT, find_mpy_cross
from tools.processes import micropython

VIPER = {
    "CRC of a poll reply": 20,
    "decode of registers 0-55": 10,
    "encode of all frames": 3,
}  # times faster than bytecode
POLL_HEAP = 1536  # bytes a poll with asyncio (DESIGN 6)
QUEUED_US = 5000  # UART reply complete -> CAN frames queued (DESIGN 6)


def run(script, path, *arguments):
    """The JSON lines that a MicroPython script prints, as dicts; it imports from `path`."""
    environment = dict(os.environ, MICROPYPATH=f"{path}:{ROOT}/lib:{ROOT}:.frozen")
    with tempfile.TemporaryDirectory() as directory:
        command = [micropython(), "-X", "heapsize=8M", f"tools/bench/{script}.py", directory, *arguments]
        done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True)
    if done.returncode:
        raise SystemExit(f"bench: {script}.py failed\n{done.stdout}{done.stderr}")
    return [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]


def compile_plain(target):
    """firmware/ and lib/ as .mpy with all their names: modules that are loaded on the way must not be compiled then."""
    sources = [(path, path.relative_to(ROOT)) for path in (ROOT / "firmware").rglob("*.py")]
    sources += [(path, path.relative_to(ROOT / "lib")) for path in (ROOT / "lib").rglob("*/*.py")]
    for source, place in sources:
        out = (Path(target) / place).with_suffix(".mpy")
        out.parent.mkdir(parents=True, exist_ok=True)
        command = [find_mpy_cross(), "-O3", "-march=x64", "-o", str(out), str(source)]
        subprocess.run(command, check=True, capture_output=True)
    for data in (p for p in (ROOT / "firmware").rglob("*") if p.suffix in DATA_SUFFIXES):
        shutil.copy(data, Path(target) / data.relative_to(ROOT))


def viper_rows(quick):
    for row in run("viper", ROOT):
        least = VIPER[row["name"]]
        figures = f"{row['ratio']:5.1f} x ({row['viper_us']:.2f} us against {row['bytecode_us']:.2f} us)"
        yield Row(f"viper: {row['name']}", figures, f">= {least} x", row["ratio"] >= least)


def cycle_rows(quick):
    with tempfile.TemporaryDirectory() as target:
        compile_plain(target)
        rows = run("cycle", target, "5" if quick else "300")
    for row in rows:
        name = row["name"]
        if "p50_us" in row:
            text = f"p50 {row['p50_us']} us, p99 {row['p99_us']} us, max {row['max_us']} us ({row['count']})"
            yield Row(name, text, f"< {QUEUED_US} us", row["p99_us"] < QUEUED_US)
        elif name.startswith("heap of"):
            yield Row(name, f"{row['bytes']:.0f} bytes", "0 bytes", row["bytes"] == 0)
        else:
            yield Row(name, f"{row['bytes']:.0f} bytes", f"<= {POLL_HEAP} bytes", row["bytes"] <= POLL_HEAP)


def messages_rows(quick):
    with tempfile.TemporaryDirectory() as target:
        compile_plain(target)
        rows = run("messages", target)
    for row in rows:
        text = f"{row['stays']:.0f} bytes stay, {row['garbage']:.0f} of garbage"
        yield Row(f"heap of {row['name']}", text, "0 stay", row["stays"] <= 0)
