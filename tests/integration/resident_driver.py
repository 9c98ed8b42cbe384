"""Runs under MicroPython in build/host: the gateway, which after SECONDS prints the modules that are loaded, and ends.

resident_driver.py SECONDS OPTION...
"""

import asyncio
import sys

sys.path[0] = "slot_a"
sys.path.insert(1, "slot_a/lib")

from firmware import app as application  # noqa: E402


run = application.run_all


async def watched(*arguments):
    asyncio.create_task(tell(int(sys.argv[1])))
    await run(*arguments)


async def tell(seconds):
    await asyncio.sleep(seconds)
    for name in sorted(sys.modules):
        sys.stdout.write("module %s\n" % name)
    sys.stdout.write("end\n")


application.run_all = watched
application.main(sys.argv[2:])
