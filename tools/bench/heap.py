"""Runs under MicroPython in build/host (started by tools.heap): what each module and each part keeps of the heap.

Prints `bytes name` lines: every module as the gateway loads it (without what it imports itself), what the parts take when
they are made, then `total resident`. Bytes are of the 64-bit port, about 1.45 times a board's. The table of names grows in
large pieces: the module that happens to be loaded then shows them.
"""

import builtins
import gc
import sys

sys.path.insert(0, "slot_a")
sys.path.insert(1, "slot_a/lib")
_import = builtins.__import__
_inside = [0]  # bytes that modules took within the one that is being loaded
_modules = [0]  # bytes of all modules so far


def used():
    gc.collect()
    return gc.mem_alloc()


def weigh(name, *rest):
    if name in sys.modules or not name.startswith(("firmware", "microdot", "asyncio")):
        return _import(name, *rest)
    before, outer = used(), _inside[0]
    _inside[0] = 0
    try:
        return _import(name, *rest)
    finally:
        all_of_it = used() - before
        own = all_of_it - _inside[0]
        _inside[0] = outer + all_of_it
        _modules[0] += own
        print(own, name)


def part(name, before, modules):
    """Print what was taken since `before`, without the modules that were loaded meanwhile."""
    now = used()
    print(now - before - (_modules[0] - modules), name)


async def start(argv):
    import asyncio
    from firmware import app as application, start

    before, modules = used(), _modules[0]
    board = application.machine_board(argv)
    app = application.App(board)
    start.configuration(app)
    part("= App and configuration", before, modules)
    before, modules = used(), _modules[0]
    start.battery(app)
    await asyncio.sleep_ms(200)
    part("= battery parts", before, modules)
    before, modules = used(), _modules[0]
    await start.rest(app)
    del sys.modules["firmware.start"], sys.modules["firmware"].start, start
    app.forget()
    await asyncio.sleep_ms(500)
    part("= the other parts", before, modules)
    print(used(), "total resident")
    sys.exit(0)


builtins.__import__ = weigh
import asyncio  # noqa: E402

asyncio.run(start("--port 0 --data heap-data --uart socket://127.0.0.1:9 --can slcan+socket://127.0.0.1:9".split()))
