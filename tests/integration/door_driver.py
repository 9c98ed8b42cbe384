"""Runs under MicroPython in build/host: the gateway, whose HTTP server goes after a second without a connection.

Prints `came` when it is loaded, and `left ALLOCATED BLOCK` (bytes of heap, largest free block) when it has gone.
"""

import asyncio
import gc
import sys

gc.threshold(8192)  # as main.py does
sys.path[0] = "slot_a"
sys.path.insert(1, "slot_a/lib")

from firmware import app as application  # noqa: E402

run = application.run_all


async def watched(app):
    asyncio.create_task(tell(app))
    await run(app)


async def tell(app):
    there = False
    while app.http is None:
        await asyncio.sleep_ms(1)
    app.http.idle_s = 1  # before the first connection
    while True:
        await asyncio.sleep_ms(50)
        if there == ("firmware.http" in sys.modules):
            continue
        there = not there
        if there:
            sys.stdout.write("came\n")
        else:
            assert not [name for name in sys.modules if "http" in name or "microdot" in name]
            app.forget()
            sys.stdout.write("left %d %d\n" % (gc.mem_alloc(), app.board.largest_block()))


application.run_all = watched
application.main(sys.argv[1:])
