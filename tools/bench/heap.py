"""Runs under MicroPython in build/host (started by tools.heap): what each module and each part keeps of the heap.

Prints `bytes name` lines: first every module in the order in which the gateway loads it, then the parts as they are started,
then `total resident`. Bytes are of the 64-bit port, about 1.45 times a board's.
"""

import gc
import sys

sys.path.insert(0, "slot_a")
sys.path.insert(1, "slot_a/lib")
MODULES = (
    "asyncio firmware.bus firmware.live firmware.system.log firmware.system.tasks firmware.config.config firmware.board.base "
    "firmware.board.hostport firmware.board.host firmware.app firmware.bms.crc firmware.bms.errors firmware.bms.frames "
    "firmware.bms.decode firmware.bms.registers firmware.bms.plausible firmware.bms.events firmware.bms.link "
    "firmware.bms.poller firmware.bms.bms firmware.can.frames firmware.can.alarms firmware.can.identity "
    "firmware.can.presence firmware.can.schedule firmware.can.can firmware.can.curves firmware.can.sensors "
    "firmware.can.targets firmware.can.currents firmware.can.phase firmware.can.charge firmware.can.slcan_line "
    "firmware.can.slcan microdot.microdot firmware.http.api firmware.http.connection firmware.http.request "
    "firmware.http.auth firmware.http.web firmware.http.server"
).split()


def used():
    gc.collect()
    return gc.mem_alloc()


def step(name, before):
    now = used()
    print(now - before, name)
    return now


def import_all():
    mark = used()
    for name in MODULES:
        try:
            __import__(name)
        except ImportError:
            continue
        mark = step(name, mark)


async def start(argv):
    import asyncio
    from firmware import app as application

    mark = used()
    board = application.machine_board(argv)
    app = application.App(board)
    app.load_config()
    mark = step("App, configuration", mark)
    app.start_battery()
    mark = step("battery parts", mark)
    await asyncio.sleep_ms(200)
    await app.start_rest()
    await asyncio.sleep_ms(500)
    mark = step("the rest", mark)
    print(mark, "total resident")
    print(len(sys.modules), "modules")
    sys.exit(0)


import_all()
import asyncio  # noqa: E402

asyncio.run(start("--port 0 --data heap-data --uart socket://127.0.0.1:9 --can slcan+socket://127.0.0.1:9".split()))
