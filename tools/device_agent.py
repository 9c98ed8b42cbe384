"""Runs on the board for `make test-device`: figures for the report. Every function gives what can be written as JSON."""

import gc
import os
import sys
import time
from array import array


def machine():
    """What this board is."""
    import machine

    figures = {
        "machine": getattr(sys.implementation, "_machine", "?"),
        "version": sys.version,
        "mhz": machine.freq() // 1_000_000,
    }
    gc.collect()
    figures["heap_free"], figures["heap_used"] = gc.mem_free(), gc.mem_alloc()
    try:
        import esp32

        regions = esp32.idf_heap_info(esp32.HEAP_DATA)
        figures["idf_free"] = sum(region[1] for region in regions)
        figures["largest_block"] = max(region[2] for region in regions)
    except (ImportError, AttributeError):
        pass
    stat = os.statvfs("/")
    figures["flash_blocks"], figures["flash_free"] = stat[2], stat[3]
    return figures


def _time(name, calls, function, *arguments):
    gc.collect()
    start = time.ticks_us()
    for _ in range(calls):
        function(*arguments)
    return [name, time.ticks_diff(time.ticks_us(), start) // calls]


def timings():
    """[[what, microseconds of a call]] of the hot parts."""
    from firmware import live
    from firmware.bms import crc, decode
    from firmware.can import frames

    reply = bytearray(117)
    reply[0:3] = b"\xaa\x03\x70"
    value = crc.crc16(reply, 0, 115)
    reply[115], reply[116] = value & 0xFF, value >> 8
    out = array("i", (0 for _ in range(decode.SIZE)))
    data = array("i", (live.ABSENT for _ in range(live.FIELDS)))
    work = array("i", (56000, 14000, 20000, 0, 0, 1))
    buffer = bytearray(8 * frames.COUNT)
    return [
        _time("CRC of a poll reply (117 bytes)", 500, crc.crc16, reply, 0, 117),
        _time("decode of registers 0-55", 500, decode.fast, reply, out, 16, 1),
        _time("encode of the frames of each second", 500, frames.core, data, work, buffer),
        _time("encode of the frames of each 10 s", 500, frames.slow, data, work, buffer),
    ]


class _Clock:
    ticks_ms = staticmethod(time.ticks_ms)
    ticks_diff = staticmethod(time.ticks_diff)
    ticks_add = staticmethod(time.ticks_add)


def twai(tx, rx, inside):
    """Self-test of the CAN controller with self-reception; "" or what is wrong. `inside` needs no wiring, else a transceiver."""
    from firmware.can import twai_chips, twai_selftest
    from firmware.can.twai import Twai
    from firmware.can.twai_regs import MemRegs

    chip = twai_chips.find(sys.implementation._machine)
    return twai_selftest.run(Twai(MemRegs(chip, tx, rx), _Clock, 500_000, chip=chip), inside)
