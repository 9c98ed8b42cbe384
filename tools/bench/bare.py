"""Runs under MicroPython (started by tools.bench.rates): Microdot as it comes, with two routes that give bytes from memory.

Arguments: port, file of the body of /api/status, file of the body of /api/history. Prints `ready`.
"""

import asyncio
import gc
import sys

sys.path.append("lib")

from microdot import Microdot  # noqa: E402

_JSON = {"Content-Type": "application/json", "Cache-Control": "no-store", "X-Content-Type-Options": "nosniff"}

gc.threshold(8192)  # as the gateway, whose collections have more to look at
app = Microdot()
bodies = []
for name in sys.argv[2:4]:
    with open(name, "rb") as file:
        bodies.append(file.read())


@app.get("/api/status")
async def status(request):
    return bodies[0], 200, _JSON


@app.get("/api/history")
async def history(request):
    return bodies[1], 200, _JSON


async def main():
    serving = asyncio.create_task(app.start_server("127.0.0.1", int(sys.argv[1])))
    await asyncio.sleep_ms(0)
    sys.stdout.write("ready\n")
    await serving


asyncio.run(main())
