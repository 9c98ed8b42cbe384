"""Runs under MicroPython (started by tools.bench): one poll -> snapshot -> charge control -> CAN cycle, real parts, fake ends.

Prints one JSON object a line: heap bytes a cycle with and without asyncio, and the time from the last byte of the poll that
qualifies the battery to the CAN frames handed to the driver.
"""

import asyncio
import gc
import json
import sys
import time
from firmware import bus as topics
from firmware.alerts.alerts import Alerts
from firmware.bms.bms import Bms
from firmware.bms.crc import crc16
from firmware.board.base import Board
from firmware.bus import Bus
from firmware.can.can import Can
from firmware.can import frames
from firmware.can.charge import ChargeControl
from firmware.can.slcan import Slcan
from firmware.config.config import Config
from firmware.history.energy import Energy
from firmware.history.history import History
from firmware.live import Live

DATA = sys.argv[1]  # a directory for the files of the parts

_STARTS = int(sys.argv[2])
_CYCLES = 40


class Clock(Board):
    skew = 0

    def ticks_ms(self):
        return (time.ticks_ms() + self.skew) & 0x3FFFFFFF


class Silent:
    def error(self, source, text):
        pass

    warning = info = debug = error


def registers():
    """The words of a resting 16-cell LFP pack, by address."""
    words = dict.fromkeys(range(16), 33000)
    words.update(
        {
            36: 0x3333,
            37: 0x4253,
            40: 3300,
            41: 3300,
            42: 200,
            43: 200,
            46: 0xF208,
            47: 0x04FA,
            48: 210,
            50: 0x97,
            53: 16,
        }
    )
    words.update({300: 3600, 301: 2900, 303: 3400, 304: 2000, 305: 200, 306: 28000, 307: 16, 308: 15})
    words.update({315: 3750, 316: 2700, 317: 150, 318: 100, 319: 60, 320: 0, 500: 0x0102, 501: 0x0301, 502: 254})
    return words


class Port:
    """A BMS that answers at once."""

    def __init__(self):
        self.words = registers()
        self.reply = b""
        self.last_byte_us = 0
        self._answers = {}
        self._flag = asyncio.ThreadSafeFlag()

    async def open(self):
        pass

    def close(self):
        pass

    def write(self, request):
        key = bytes(request[:6])
        if key not in self._answers:
            self._answers[key] = self._answer(request)
        self.reply = self._answers[key]
        self._flag.set()

    def _answer(self, request):
        if request[1] == 0x03:
            first, count = request[2] << 8 | request[3], request[5]
            body = bytearray((0xAA, 3, 2 * count))
            for address in range(first, first + count):
                word = self.words.get(address, 0)
                body += bytes((word >> 8, word & 0xFF))
        else:
            body = bytearray((0xAA, 0x12, 4, 1, 0, 0, 0))
        crc = crc16(body, 0, len(body))
        return bytes(body) + bytes((crc & 0xFF, crc >> 8))

    async def readinto(self, buf):
        await self._flag.wait()
        reply = self.reply
        buf[: len(reply)] = reply
        self.last_byte_us = time.ticks_us()
        return len(reply)


class Driver:
    """A CAN controller that takes everything; notes when the first four frames came."""

    def __init__(self, port):
        self.port = port
        self.state = "RUNNING"
        self.sent = self.received = self.errors = 0
        self.last_error = ""
        self.on_receive = None
        self.first = self.fourth = None

    async def start(self):
        pass

    def stop(self):
        pass

    def poll(self):
        pass

    def send(self, can_id, data):
        self.sent += 1
        if self.sent == 1:
            self.first = time.ticks_diff(time.ticks_us(), self.port.last_byte_us)
        elif self.sent == 4:
            self.fourth = time.ticks_diff(time.ticks_us(), self.port.last_byte_us)
        return True


class Rig:
    def __init__(self):
        clock, log = Clock(), Silent()
        self.live, self.bus = Live(clock), Bus()
        self.clock, self.log = clock, log
        self.config = config = Config(DATA, b"\x02\0\0\0\0\x01", self.bus)
        config.load()
        config.set({"uart.poll_interval_ms": 100})
        self.port = Port()
        self.driver = Driver(self.port)
        self.bms = Bms(self.port, self.live, self.bus, clock, config, log)
        charge = ChargeControl(self.live, config, clock)
        self.can = Can(self.driver, self.live, self.bus, clock, config, charge, log)
        self.tasks = [asyncio.create_task(self.bms.run()), asyncio.create_task(self.can.run())]

    async def until(self, condition):
        for _ in range(2000):
            if condition():
                return
            await asyncio.sleep_ms(2)
        raise RuntimeError("the parts do not run")

    def stop(self):
        for task in self.tasks:
            task.cancel()


async def latency():
    first, fourth = [], []
    for _ in range(_STARTS):
        rig = Rig()
        await rig.until(lambda rig=rig: rig.driver.fourth is not None)
        first.append(rig.driver.first)
        fourth.append(rig.driver.fourth)
        rig.stop()
        await asyncio.sleep_ms(10)
        gc.collect()
    for name, times in (
        ("last UART byte -> 0x351 at the driver", first),
        ("last UART byte -> four CAN frames", fourth),
    ):
        times.sort()
        count = len(times)
        figures = {"p50_us": times[count // 2], "p99_us": times[count * 99 // 100], "max_us": times[-1]}
        print(json.dumps(dict(figures, name=name, count=count)))


async def heap():
    rig = Rig()
    await rig.until(lambda: rig.driver.sent > 20)
    await asyncio.sleep_ms(300)
    gc.collect()
    gc.disable()
    polls, frames, before = rig.live.polls, rig.driver.sent, gc.mem_alloc()
    while rig.live.polls < polls + _CYCLES:
        await asyncio.sleep_ms(100)
    used, polls, frames = gc.mem_alloc() - before, rig.live.polls - polls, rig.driver.sent - frames
    gc.enable()
    print(
        json.dumps(
            {"name": "heap a poll cycle, asyncio and the port included", "bytes": used / polls, "frames": frames}
        )
    )
    charge, schedule = rig.can.charge, rig.can.schedule
    rig.stop()
    charge.update()
    gc.collect()
    gc.disable()
    before = gc.mem_alloc()
    for _ in range(100):
        charge.update()
        schedule.tick()
    used = gc.mem_alloc() - before
    gc.enable()
    print(json.dumps({"name": "heap of charge control and CAN schedule", "bytes": used / 100}))


class Line:
    """A serial adapter that takes everything."""

    def write(self, data):
        pass


def report_heap(name, function, calls=100):
    """Bytes of heap that a call of `function` takes, on the average."""
    function()
    gc.collect()
    gc.disable()
    before = gc.mem_alloc()
    for _ in range(calls):
        function()
    used = gc.mem_alloc() - before
    gc.enable()
    print(json.dumps({"name": name, "bytes": used / calls}))


def send_all(rig):
    """Encode all frames and hand them to the SLCAN driver."""
    schedule, data = rig.can.schedule, rig.live.data
    driver = Slcan(Line(), rig.clock, 500000, rig.log)
    driver.state = "RUNNING"

    def send():
        frames.core(data, schedule.frames.work, schedule.frames.buffer)
        frames.slow(data, schedule.frames.work, schedule.frames.buffer)
        for i in range(frames.COUNT):
            driver.send(frames.IDS[i], schedule.frames.frame(i))

    return send


async def parts_heap():
    """What looks at a poll besides: history, energy, alerts."""
    rig = Rig()
    await rig.until(lambda: rig.driver.sent > 20)
    rig.stop()
    report_heap("heap of encoding and sending all frames", send_all(rig))
    bare = (rig.live, Bus(), rig.clock, rig.config, rig.log, DATA)
    history, energy = History(*bare), Energy(*bare)
    alerts = Alerts(rig.live, bare[1], rig.clock, rig.config, rig.bms.events, rig.can, rig.log, DATA)
    assert history and energy and alerts
    clock = rig.clock

    def poll():
        clock.skew += 1000  # a second passes, so that each poll is a sample
        rig.live.good_poll()
        bare[1].publish(topics.POLL)

    report_heap("heap of a sample, energy and all alert rules", poll)


async def main():
    await latency()
    await heap()
    await parts_heap()


asyncio.run(main())
