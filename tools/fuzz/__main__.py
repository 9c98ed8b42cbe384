"""`python -m tools.fuzz`: all targets, 100,000 cases each. Ends with 1 when there is a finding; the input is shown."""

from __future__ import annotations

import argparse
import time
import traceback

from tools.fuzz.host import CASES
from tools.fuzz.process import Finding
from tools.fuzz.run import fuzz


def main(arguments=None):
    parser = argparse.ArgumentParser(prog="make chaos ARGS=--fuzz", description=__doc__)
    parser.add_argument("--only", help="targets, with commas: " + ",".join(CASES))
    parser.add_argument("--cases", type=int, default=100_000)
    parser.add_argument("--seed", type=int, default=time.time_ns() % 1_000_000)
    options = parser.parse_args(arguments)
    print("seed", options.seed)
    failed = 0
    for target in options.only.split(",") if options.only else CASES:
        try:
            done = fuzz(target, options.cases, options.seed)
        except Finding as finding:
            failed += 1
            print(f"{target:10} FAIL\n{finding}", flush=True)
            continue
        except Exception:  # of a check, or an answer that was late once only: the other targets go on
            failed += 1
            print(f"{target:10} FAIL\n{traceback.format_exc()}", flush=True)
            continue
        heap = f"{min(done.memory)}-{max(done.memory)}" if done.memory else "-"
        print(f"{target:10} ok {done.cases:7} cases {done.seconds:6.0f} s  heap in use {heap} bytes", flush=True)
    return 1 if failed else 0


if __name__ == "__main__":
    raise SystemExit(main())
