"""Run unit test files under MicroPython: `micropython tests/unit/run.py FILE...`; a line `ok`/`FAIL name` for each test.

Also what the board runs (through mpremote) and what pytest reads, so the output is stable: `ok NAME`, `FAIL NAME` followed by
the traceback indented by two blanks, and `done N failed M` at the end.
"""

import asyncio
import gc
import io
import sys


def _run_one(module, name):
    function = getattr(module, name)
    result = function()
    if hasattr(result, "send"):  # a coroutine
        asyncio.run(result)
        asyncio.new_event_loop()


def run(path):
    """Run every `test_*` of the file; gives (tests, failures)."""
    name = path.rsplit("/", 1)[-1][:-3]
    module = __import__("tests.unit." + name, None, None, (name,))
    tests = failures = 0
    for test in sorted(dir(module)):
        if not test.startswith("test_"):
            continue
        tests += 1
        gc.collect()
        try:
            _run_one(module, test)
            print("ok", test)
        except Exception as error:
            failures += 1
            print("FAIL", test)
            text = io.StringIO()
            sys.print_exception(error, text)
            for line in text.getvalue().split("\n"):
                print(" ", line)
    return tests, failures


def main(paths):
    tests = failures = 0
    for path in paths:
        more, failed = run(path)
        tests += more
        failures += failed
    print("done", tests, "failed", failures)
    sys.exit(1 if failures else 0)


if __name__ == "__main__":
    sys.path.insert(0, ".")
    main(sys.argv[1:])
