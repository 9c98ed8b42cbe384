"""`make chaos`: each fault alone, N random pairs, random kills; a line for each, and 1 at the end when one failed.

`--fuzz` runs tools/fuzz instead (its options follow).
"""

from __future__ import annotations

import argparse
import itertools
import random
import sys
import threading
import time

from tests.integration.test_update import application, complete, upload
from tools.chaos.rows import GATEWAY, ROWS
from tools.chaos.world import World


def run_rows(world, rows):
    """One fault, or several at once; gives the seconds of recovery. AssertionError with what was not kept."""
    since = time.monotonic()
    begun = []
    try:
        for row in rows:
            row.begin(world)
            begun.append(row)
        time.sleep(max(row.hold for row in rows))
        if not any(row.takes for row in rows):
            world.steady(since)
        elif len(rows) == 1 and rows[0].check:
            rows[0].check(world, since)
    finally:
        for row in reversed(begun):
            row.end(world)
    return world.whole(40)


def _save(gateway, sent, draw):
    while True:
        value = draw.randrange(60, 95)
        sent.append(value)
        try:
            gateway.http("/api/config", "POST", {"charge_rebulk_soc": value}, timeout=5)
        except OSError:
            return


def _upload(gateway, data):
    try:
        upload(gateway, data)
    except OSError:
        pass


def kills(world, count, draw):
    """SIGKILL at random moments: while settings are saved, while an update comes, at rest. Always back, complete."""
    offered = [application("2.0.0"), application("2.0.1")]
    stored = 70
    assert world.gateway.http("/api/config", "POST", {"charge_rebulk_soc": stored}).status == 200
    for turn in range(count):
        gateway, sent = world.gateway, [stored]
        kind = draw.choice(("settings", "update", "rest"))
        work = {"settings": (_save, (gateway, sent, draw)), "update": (_upload, (gateway, draw.choice(offered)))}.get(
            kind
        )
        thread = threading.Thread(target=work[0], args=work[1], daemon=True) if work else None
        if thread:
            thread.start()
        time.sleep(draw.uniform(0.02, 0.5 if kind == "settings" else 1.5))
        world.kill()
        if thread:
            thread.join(20)
        began = time.monotonic()
        gateway = world.start_gateway()
        state = gateway.http("/api/ota").json
        assert complete(world.parts.root / state["running"]), (turn, kind, state)
        stored = gateway.http("/api/config").json["charge"]["rebulk_soc"]
        assert stored in sent[-2:], (turn, kind, stored, sent[-3:])
        assert gateway.http("/api/system/info").json["config_problem"] == "", (turn, kind)
        while not world.limits(began):
            assert time.monotonic() - began < 15, (turn, kind, "no 0x351")
            time.sleep(0.05)
    world.whole()


def chaos(only=None, pairs=10, kill=200, seed=0, say=print):
    """Gives the number of failures. `only`: names of rows; `pairs`: random pairs of them; `kill`: kills."""
    draw = random.Random(seed)
    names = list(only or ROWS)
    jobs = [(name,) for name in names]
    alone = [name for name in ROWS if ROWS[name].takes != GATEWAY and "silence" not in name]
    possible = [pair for pair in itertools.combinations(alone, 2) if not all(ROWS[name].files for name in pair)]
    jobs += [tuple(draw.sample(pair, 2)) for pair in draw.choices(possible, k=pairs)]
    failed, world = 0, None
    try:
        for job in [*jobs, *([("kills",)] if kill else [])]:
            began = time.monotonic()
            try:
                world = world or World()
                if not world.frames:
                    world.start()
                if job == ("kills",):
                    kills(world, kill, draw)
                    told = f"{kill} kills"
                else:
                    told = f"whole again after {run_rows(world, [ROWS[name] for name in job]):.1f} s"
                say(f"ok    {' + '.join(job):40} {time.monotonic() - began:6.1f} s  {told}")
            except Exception as error:
                failed += 1
                say(f"FAIL  {' + '.join(job):40} {time.monotonic() - began:6.1f} s  {error!r}\n{world.parts.logs()}")
                world.stop()  # the next begins with a new one
                world = None
    finally:
        if world:
            world.stop()
    return failed


def main(arguments):
    if "--fuzz" in arguments:
        from tools.fuzz.__main__ import main as fuzz

        return fuzz([word for word in arguments if word != "--fuzz"])
    parser = argparse.ArgumentParser(prog="make chaos", description=__doc__)
    parser.add_argument("--only", help="rows, with commas: " + ",".join(ROWS))
    parser.add_argument("--pairs", type=int, default=10)
    parser.add_argument("--kills", type=int, default=200)
    parser.add_argument("--seed", type=int, default=time.time_ns() % 1_000_000)
    options = parser.parse_args(arguments)
    print("seed", options.seed, flush=True)
    only = options.only.split(",") if options.only else None
    failed = chaos(only, options.pairs, options.kills, options.seed, lambda text: print(text, flush=True))
    print("failed", failed)
    return 1 if failed else 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
