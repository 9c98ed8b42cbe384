"""Runs under MicroPython: a Link on a port that answers what stdin says. See test_bms_noise.py.

Line in: `KIND CHUNK CHUNK ...` (hex; KIND 3: reply to "read 2 registers", 18: an event list). Line out: the reply in hex, or
`-` when the request failed. `mem`: bytes of heap in use after a collection.
"""

import asyncio
import binascii
import gc
import sys

from firmware.bms import frames, requests
from firmware.bms.link import Link
from firmware.bus import Bus
from tests.unit.bms_fakes import FakeBms, RealClock
from tests.unit.help import FakeLog


async def main():
    port = FakeBms()
    link = Link(port, Bus(), RealClock(), FakeLog(), frames.Counters())
    link.timeout_ms = 60
    asyncio.create_task(link.run())
    await asyncio.sleep_ms(5)
    read, events = requests.read_words(0, 2), requests.request(frames.EVENTS)
    chunks = []

    def hook(tx):
        given = list(chunks)
        chunks.clear()  # a resend is not answered: the frame that was there has to be found
        return given

    port.hook = hook
    while True:
        line = sys.stdin.readline()
        if not line:
            return
        if line == "mem\n":
            gc.collect()
            print("mem", gc.mem_alloc())
            continue
        parts = line.split()
        chunks.extend(binascii.unhexlify(part) for part in parts[1:])
        if parts[0] == "3":
            length = await link.request(read, 3, 4)
        else:
            length = await link.request(events, 0x12, -1)
        print(binascii.hexlify(link.frame[:length]).decode() if length > 0 else "-")
        port.sent.clear()


asyncio.run(main())
