"""`make soak`: the whole gateway for a simulated month, with faults drawn at random. ARGS="--days 1 --seed 7".

Everything runs in one MicroPython process, driver.py, on a simulated clock (clock.py) with a simulated network (net.py): all
parts of the gateway, a battery (plant.py), its BMS behind a fake UART and a CAN controller (ends.py), a broker and people at
browsers (clients.py), a disk that can fail (files.py), faults (faults.py). checks.py looks at each frame, each line of the log,
and more each minute and hour. Exit code 1 when something did not hold.

A month is two halves side by side, as two cores are what there is; the ticks wrap twice in each. `--lanes 1` is one piece.
Only in the first lane is the gateway killed and restarted; what it held is given up then, as a reset does (board.py: empty).

So that a month ends in half an hour, some is thinned out: the broker is there one hour of eight; the CAN timer and the loop
behind it wake a few times a second instead of 200 and 20 (what is due each second still goes out in its millisecond); the
free heap is counted each minute, not each second.
"""

import argparse
import json
import os
import random
import statistics
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from tools.bench.micro import compile_plain
from tools.build import ROOT
from tools.processes import micropython

SLOPE = 1024  # bytes a simulated day
SLOPE_DAYS = 7  # shorter runs are not judged by it
ENERGY = 0.005  # of the truth
_HEAP = "1200K"


def soak(days, seed, directory, words=(), say=print):
    """The result of driver.py, a dict. Raises RuntimeError when it ended without one."""
    compile_plain(Path(directory) / "mpy")
    environment = dict(os.environ, MICROPYPATH=f"{directory}/mpy:{ROOT}/lib:.frozen:{ROOT}")
    command = [
        micropython(),
        "-X",
        "heapsize=" + _HEAP,
        "tools/soak/driver.py",
        str(days),
        str(seed),
        str(directory),
        *words,
    ]
    process = subprocess.Popen(
        command, cwd=ROOT, env=environment, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, bufsize=1
    )
    result, rest = None, []
    try:
        for line in process.stdout:
            try:
                message = json.loads(line)
            except ValueError:
                rest.append(line)
                say(line.rstrip())
                continue
            if "text" in message:
                say(message["text"])
            else:
                result = message
    finally:
        process.kill()
        process.wait()
    if result is None:
        raise RuntimeError("the simulation ended early:\n" + "".join(rest[-20:]))
    result["stray"] = rest  # what nobody should have printed: a task of the gateway that died unseen
    return result


def slope(heap):
    """Bytes a day, from [(hours, bytes)] read each hour after `gc.collect()`; None where that is too short to tell.

    The first day is warming up; of each other the median, and of these the Theil-Sen line (the median of the slopes of all
    pairs), which one odd day cannot turn. A single day says nothing: its readings go up and down by 15 KB.
    """
    days = {}
    for hour, size in heap:
        days.setdefault(int((hour - 0.5) // 24), []).append(size)
    medians = [(day, statistics.median(sizes)) for day, sizes in days.items() if day and len(sizes) >= 12]
    if len(medians) < SLOPE_DAYS - 1:
        return None
    return statistics.median((b - a) / (n - m) for i, (m, a) in enumerate(medians) for n, b in medians[i + 1 :])


def rows(result, days):
    """(what, measured, asked for, kept) of a result."""
    gaps, least, most, off = result["gaps"]
    counts, truth, lost = result["counts"], result["energy"], result["loss"]
    counted = [wh + gone for wh, gone in zip(result["counted"], lost, strict=True)]
    errors = [abs(a - b) / max(b, 1000) for a, b in zip(counted, truth, strict=True)]
    yield "simulated days", f"{result['days']:.2f}", f">= {days:.4g}", result["days"] >= days - 0.01
    sent, missed = result["good_sent"], result["good_lost"]
    yield (
        "good replies, counted by the gateway",
        f"{sent}, {counts['good']} ({', '.join(f'{n} {why}' for why, n in missed.items())})",
        "each, but those",
        sent - sum(missed.values()) == counts["good"],
    )
    yield "fast requests, all requests", f"{result['polls']}, {result['requests']}", "", True
    yield "registers of the BMS written", str(result["written"]), "", True
    yield (
        "faults drawn, kills, restarts",
        f"{sum(result['faults'].values())}, {result['kills']}, {result['restarts']}",
        "",
        True,
    )
    rises, sizes = slope(result["heap"]), [size for _, size in result["heap"]] or [0]
    figures = f"{min(sizes) // 1024}-{max(sizes) // 1024} KB" + ("" if rises is None else f", {rises:+.0f} bytes a day")
    if rises is None:
        yield f"heap, hourly: under {SLOPE_DAYS} days are too short to tell", figures, "", True
    else:
        yield "heap, hourly, its slope without the first day", figures, f"< {SLOPE}", rises < SLOPE
    yield (
        "ticks wrapped",
        str(result["wraps"]),
        f">= {int(days * 86400e3) + 0 >> 30}",
        result["wraps"] >= int(days * 86400e3) >> 30,
    )
    yield (
        "period of 0x351, nothing wrong",
        f"{least}...{most} ms of {gaps}, {off} off by > 50",
        "max <= 1200 ms",
        most <= 1200,
    )
    yield "0x351 with CCL 0, DCL 0 as data was old", "{}, {}".format(*result["stale_frames"]), "none open", True
    yield (
        "energy in, out (lost by kills added)",
        "{:.0f}, {:.0f} Wh".format(*counted),
        f"<= {ENERGY:.1%} off",
        max(errors) <= ENERGY,
    )
    yield "most that one kill took of it", f"{result['worst_loss']:.1f} Wh", "<= 40 Wh", result["worst_loss"] <= 40
    yield "files, bytes", ", ".join(f"{k} {v}" for k, v in sorted(result["files"].items())), "in bounds", True
    yield "opened for writing, failed on purpose", "{}, {}".format(*result["disk"]), "", True
    yield (
        "MQTT messages, connections, malformed",
        "{}, {}, {}".format(*result["mqtt"]),
        "0 malformed",
        not result["mqtt"][2],
    )
    answers = ", ".join(f"{count} x {status}" for status, count in sorted(result["answers"].items()))
    answers += f", {result['unanswered']} none"
    yield "HTTP answers", answers, "no 500 but those", not result["answers_wrong"]
    yield "500 STORAGE_ERROR while the disk failed", str(result["unstored"]), "", True
    yield "WebSocket messages", str(result["ws"]), "", True
    yield "printed by asyncio: tasks that died unseen", str(len(result["stray"])), "0 lines", not result["stray"]
    yield "what did not hold (tasks, log, limits, counters)", str(result["wrong"]), "0", not result["wrong"]


def report(result, days, seed):
    """Print a result; the number of rows that are broken."""
    broken = 0
    print(f"\n--days {days:.4g} --seed {seed}")
    for what, measured, asked, kept in rows(result, days):
        broken += not kept
        print(f"{what:50} {measured:60} {asked:18} {'kept' if kept else 'broken'}")
    print("faults: " + ", ".join(f"{name} {count}" for name, count in sorted(result["faults"].items())))
    print("errors in the log that were to be expected: " + json.dumps(result["log_errors"]))
    for text in result["errors"] + result["answers_wrong"] + result["stray"]:
        print("  " + text.rstrip())
    return broken


def main():
    parser = argparse.ArgumentParser(prog="make soak", description=__doc__.partition("\n")[0])
    parser.add_argument("--days", type=float, default=30, help="in all (default 30)")
    parser.add_argument("--lanes", type=int, default=2, help="processes side by side that share the days (default 2)")
    parser.add_argument(
        "--seed", type=int, default=random.randrange(1 << 30), help="of the first lane; then one more each"
    )
    parser.add_argument(
        "--mqtt", action="store_true", help="the broker is there all the time, not one hour of eight (slower)"
    )
    parser.add_argument("--quiet", action="store_true", help="no faults")
    parser.add_argument(
        "--nokills", action="store_true", help="one lane: nothing ends the gateway, so that heap shows its slope"
    )
    parser.add_argument("--minutes", type=float, help="end after so many, with the days that there are by then")
    parser.add_argument("--verbose", action="store_true", help="a line each simulated hour")
    options = parser.parse_args()
    words = [
        word for word, on in (("mqtt", options.mqtt), ("nofaults", options.quiet), ("verbose", options.verbose)) if on
    ]
    if options.minutes:
        words.append(f"minutes={options.minutes}")
    days = options.days / options.lanes
    print(f"soak: {options.lanes} x {days:g} days, --seed {options.seed}", flush=True)
    begun = time.monotonic()

    def lane(seed):
        mine = words + ["nokills"] * (seed > options.seed or options.lanes == 1 and options.nokills)
        with tempfile.TemporaryDirectory() as directory:
            return soak(days, seed, directory, mine, lambda text: print(f"[{seed}] {text}", flush=True))

    seeds = range(options.seed, options.seed + options.lanes)
    with ThreadPoolExecutor(options.lanes) as pool:
        results = list(pool.map(lane, seeds))
    spent = time.monotonic() - begun
    used = os.times()
    done = [result["days"] if options.minutes else days for result in results]
    broken = sum(report(*one) for one in zip(results, done, seeds, strict=True))
    rate = sum(result["polls"] for result in results) / spent
    minutes = f"{spent / 60:.1f} min ({(used.children_user + used.children_system) / 60:.1f} of CPU)"
    print(f"\n{sum(done):.4g} days in {minutes}, {rate:.0f} polls a second; {broken or 'nothing'} broken")
    sys.exit(1 if broken else 0)


if __name__ == "__main__":
    main()
