"""`make bench`: what the gateway costs, measured now on this machine. Times are compared side by side in one process.

Each line: what, measured, what is asked for, `kept` or `broken`. Exit code 1 when one is broken.
"""

import json
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from tools.build import DATA_SUFFIXES, ROOT, find_mpy_cross
from tools.processes import micropython

VIPER = {
    "CRC of a poll reply": 20,
    "decode of registers 0-55": 10,
    "encode of all frames": 3,
}  # times faster than bytecode
POLL_HEAP = 1536  # bytes a poll with asyncio (DESIGN 6)
QUEUED_US = 5000  # UART reply complete -> CAN frames queued (DESIGN 6)


def run(script, path):
    """The JSON lines that a MicroPython script prints, as dicts; it imports from `path`."""
    environment = dict(os.environ, MICROPYPATH=f"{path}:{ROOT}/lib:.frozen")
    with tempfile.TemporaryDirectory() as directory:
        command = [micropython(), "-X", "heapsize=8M", f"tools/bench/{script}.py", directory]
        done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True)
    if done.returncode:
        raise SystemExit(f"bench: {script}.py failed\n{done.stdout}{done.stderr}")
    return [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]


def compile_plain(target):
    """firmware/ as .mpy with all its names: modules that are loaded on the way must not be compiled then."""
    for source in (ROOT / "firmware").rglob("*.py"):
        out = (Path(target) / source.relative_to(ROOT)).with_suffix(".mpy")
        out.parent.mkdir(parents=True, exist_ok=True)
        command = [find_mpy_cross(), "-O3", "-march=x64", "-o", str(out), str(source)]
        subprocess.run(command, check=True, capture_output=True)
    for data in (p for p in (ROOT / "firmware").rglob("*") if p.suffix in DATA_SUFFIXES):
        shutil.copy(data, Path(target) / data.relative_to(ROOT))


def viper_rows():
    """(what, measured, asked for, kept)"""
    for row in run("viper", ROOT):
        least = VIPER[row["name"]]
        figures = f"{row['ratio']:5.1f} x ({row['viper_us']:.2f} us against {row['bytecode_us']:.2f} us)"
        yield f"viper: {row['name']}", figures, f">= {least} x", row["ratio"] >= least


def cycle_rows():
    with tempfile.TemporaryDirectory() as target:
        compile_plain(target)
        rows = run("cycle", target)
    for row in rows:
        name = row["name"]
        if "p50_us" in row:
            yield (
                name,
                f"p50 {row['p50_us']} us, max {row['max_us']} us",
                f"< {QUEUED_US} us",
                row["max_us"] < QUEUED_US,
            )
        elif name.startswith("heap of"):
            yield name, f"{row['bytes']:.0f} bytes", "0 bytes", row["bytes"] == 0
        else:
            yield name, f"{row['bytes']:.0f} bytes", f"<= {POLL_HEAP} bytes", row["bytes"] <= POLL_HEAP


def main():
    broken = 0
    for rows in (viper_rows, cycle_rows):
        for what, measured, asked, kept in rows():
            broken += not kept
            print(f"{what:52} {measured:42} {asked:16} {'kept' if kept else 'broken'}", flush=True)
    sys.exit(1 if broken else 0)


if __name__ == "__main__":
    main()
