"""The board of the simulated gateway, and its end. Under MicroPython."""

import asyncio
import sys

from firmware.board.host import Host
from tools.soak.clock import Stream, Waits
from tools.soak.ends import CanDriver
from tools.soak.net import Net

_MASK = (1 << 30) - 1
# Thinned out, as nothing happens at most wakes: on a board the timer ticks each 5 ms, the loop of CAN each 50 ms, and the
# free heap is counted each second, which walks through the whole of it
_TIMER_MS = 400  # longest time until the timer sees that a frame is wanted between two seconds
_FLUSH_MS = 250  # until the loop publishes what the timer has sent
_COUNT_MS = 60_000  # until the free heap is counted again


class SoakBoard(Host):
    """A host whose clock is the simulated one, which begins 20 s before its wrap and goes on over restarts."""

    sim = None

    def __init__(self, argv):
        super().__init__(argv)
        self.time_valid = False  # as on a board: NTP sets it later
        self.time_source = "none"
        self._epoch_offset = 0
        self._counted, self._free = self.sim.waits.now - _COUNT_MS, 0

    def ticks_ms(self):
        return (self.sim.waits.now - self.sim.began - 20_000) & _MASK

    def heap_free(self):
        if self.sim.waits.now - self._counted >= _COUNT_MS:
            self._counted = self.sim.waits.now
            self._free = super().heap_free()
        return self._free

    def largest_block(self):
        return self.heap_free()

    def uart(self, config):
        return self.sim.port

    def can(self, config, log):
        driver = CanDriver(self.sim.waits, self.sim.checks.frame)
        driver.gx, driver.fault = self.sim.gx, self.sim.driver.fault if self.sim.driver else ""
        self.sim.driver = driver
        return driver

    def unique_id(self):
        return b"\x02soak\x01"

    def dns_server(self):
        return None

    def reset_cause(self):
        return self.sim.cause

    def start_timer(self, period_ms, callback):
        """The hardware timer of a board, without the ticks at which nothing is due."""
        schedule = self.sim.app.can.schedule
        schedule.wait_ms = lambda: _FLUSH_MS
        asyncio.create_task(self._timer(schedule, period_ms))
        return True

    async def _timer(self, schedule, period_ms):
        while True:
            schedule.tick()
            if schedule._pending or schedule._extra or not schedule.speaking:
                await asyncio.sleep_ms(period_ms)
            else:
                left = self.ticks_diff(schedule._due, self.ticks_ms())
                await asyncio.sleep_ms(min(max(left, 1), _TIMER_MS))

    def kept(self):
        return self.sim.kept

    def keep(self, data):
        self.sim.kept = bytes(data)

    def feed(self):
        self.sim.fed = self.sim.waits.now

    def console(self, line):
        self.sim.checks.line(line)

    def announce(self, line):
        pass

    def reset(self):
        self.sim.asked = True
        raise asyncio.CancelledError


_OURS = (SoakBoard, Stream, CanDriver, Waits, Net, type, type(sys))


def empty(part, depth=4):
    """An ended gateway lets go of its parts, and they of theirs.

    One of its tasks may live on for hours: MicroPython takes for a reference what stands in stacks, and in tasks that were next
    to it in asyncio's queue. With all that hangs on it the heap would rise and fall by 100 KB a gateway.
    """
    kept = list(part.__dict__.items())
    for name, _ in kept:
        setattr(part, name, None)
    for _, value in kept:
        if depth and type(type(value)) is type and hasattr(value, "__dict__") and not isinstance(value, _OURS):
            empty(value, depth - 1)
