"""Runs firmware/can/charge.py under MicroPython for a parent process (tools/charge_loop.py): one request, one reply.

Request: 4 ints (command, a, b, length of the payload), then the payload; all little-endian 32 bits. Commands:
1 update: a = ms since the last one, b = 1 good poll | 2 settings read, payload = live.data; reply 7 ints: CVL, CCL, DCL (wire
steps), state, alerts, ready, cells x float. 2 start anew: payload = JSON of the configuration; replies 0 ints.
3 reasons: reply = length, then JSON. 4 heap: a updates of `b` ms; reply 1 int, bytes allocated.
"""

import gc
import json
import struct
import sys

import uctypes

sys.path.insert(0, ".")

from firmware.can.charge import ChargeControl  # noqa: E402
from firmware.can.reasons import reason  # noqa: E402
from firmware.live import Live  # noqa: E402
from tests.unit.help import FakeClock, FakeConfig  # noqa: E402


def read(buffer):
    view = memoryview(buffer)
    at = 0
    while at < len(buffer):
        n = sys.stdin.buffer.readinto(view[at:])
        if not n:
            sys.exit()
        at += n


def main():
    out = sys.stdout.buffer
    head, reply = bytearray(16), bytearray(28)
    clock = FakeClock()
    live = charge = data = None
    while True:
        read(head)
        command, a, b, length = struct.unpack("<4i", head)
        if command == 1:
            read(data)
            clock.advance(a)
            if b & 1:
                live.good_poll()
            if b & 2:
                live.settings_read()
            charge.update()
            struct.pack_into(
                "<7i", reply, 0, charge.cvl_mv, charge.ccl_ma, charge.dcl_ma, charge.state, charge.alerts, charge.ready,
                charge.float_cvl_mv,
            )  # fmt: skip
            out.write(reply)
        elif command == 2:
            payload = bytearray(length)
            read(payload)
            live = Live(clock)
            live.qualified = True
            data = uctypes.bytearray_at(uctypes.addressof(live.data), 4 * len(live.data))
            charge = ChargeControl(live, FakeConfig(json.loads(payload)), clock)
        elif command == 3:
            text = json.dumps([reason(charge, which) for which in ("cvl", "ccl", "dcl")]).encode()
            out.write(struct.pack("<i", len(text)) + text)
        elif command == 4:
            out.write(struct.pack("<i", heap(live, charge, clock, a, b)))


def heap(live, charge, clock, count, ms):
    live.good_poll()
    charge.update()
    gc.collect()
    gc.disable()
    before = gc.mem_alloc()
    for _ in range(count):
        clock.advance(ms)
        live.good_poll()  # or all but the first seconds would only measure stale data
        charge.update()
    used = gc.mem_alloc() - before
    gc.enable()
    return used


main()
