"""`make bench`: what the gateway costs, measured now on this machine. Times are compared side by side in one run.

Each line: what, measured, what is asked for (DESIGN section 6), `kept` or `broken`; `-` where nothing is asked for. Exit code 1
when one is broken without a reason in tools/bench/table.py. `make bench ARGS="--quick viper page"` picks groups of lines.
"""

import argparse
import platform
import sys
import time

from tools.bench import loaded, micro, rates, running, sizes, table
from tools.build import build

GROUPS = {
    "viper": micro.viper_rows,
    "cycle": micro.cycle_rows,
    "messages": micro.messages_rows,
    "http": rates.rows,
    "start": running.start_rows,
    "period": running.period_rows,
    "load": loaded.load_rows,
    "latency": running.latency_rows,
    "loss": running.loss_rows,
    "heap": sizes.heap_rows,
    "heap32": sizes.heap32_rows,
    "mpy": sizes.mpy_rows,
    "page": sizes.page_rows,
}
MEASURED_ON_BUILD = {"http", "start", "period", "load", "latency", "loss", "mpy"}


def arguments(argv):
    parser = argparse.ArgumentParser("bench", description=__doc__.split("\n")[0])
    parser.add_argument("groups", nargs="*", metavar="GROUP", help=f"of {', '.join(GROUPS)} (default: all)")
    parser.add_argument("--quick", action="store_true", help="seconds instead of minutes; figures are coarse")
    parser.add_argument("--readme", action="store_true", help="also write the table into README.md")
    options = parser.parse_args(argv)
    if unknown := set(options.groups) - set(GROUPS):
        parser.error(f"no such group: {', '.join(sorted(unknown))}")
    if options.readme and options.groups:
        parser.error("--readme wants the whole table")
    return options


def measure(groups, quick):
    """Print and yield the rows of these groups."""
    for name in groups:
        for row in GROUPS[name](quick):
            row = table.explained(row)
            print(row, flush=True)
            yield row


def main(argv=None):
    options = arguments(argv)
    groups = options.groups or list(GROUPS)
    if MEASURED_ON_BUILD & set(groups):
        build("host")
    rows = list(measure(groups, options.quick))
    if options.readme:
        command = "make bench ARGS=" + ('"--quick --readme"' if options.quick else "--readme")
        head = f"{command}: {time.strftime('%Y-%m-%d')}, {platform.machine()}, Python {platform.python_version()}"
        table.write_readme([head, "", *map(str, rows)])
    sys.exit(1 if any(row.unexplained for row in rows) else 0)


if __name__ == "__main__":
    main()
