"""What keeps 0x351 going while Python is busy: the loop alone, and a timer whose callback the scheduler runs.

The board's `machine.Timer` calls back through the scheduler, between two bytecodes of whatever runs. Here a thread plays the
timer: `micropython.schedule` runs the tick in the main thread, in the same places. Where no bytecode runs (inside a C call such
as a DNS look-up or a TLS step, or a long viper loop) neither helps: such calls are kept out or short.
"""

import asyncio
import micropython
import sys
import time
from tests.unit.help import FakeLog

try:
    import _thread
except ImportError:  # a port without threads has a real timer instead
    _thread = None

from firmware.board.base import Board
from tests.unit.test_can_schedule import CONFIG, Charge, Driver
from firmware import bus as B
from firmware import live as L
from firmware.can.can import Can
from tests.unit.help import FakeConfig

_BLOCK_MS = 2600


class Clock(Board):
    def ticks_ms(self):
        return time.ticks_ms() & 0x3FFFFFFF


def start():
    """A Can with good data that is already speaking; gives (can, driver)."""
    clock = Clock()
    live, bus = L.Live(clock), B.Bus()
    data = live.data
    for field, value in (
        (L.SET_CELLS, 16), (L.SET_FULL, 3600), (L.SET_EMPTY, 2900), (L.SET_OV, 3750), (L.SET_UV, 2700),
        (L.SET_DISCHARGE_OC, 150_000), (L.SET_CHARGE_OC, 100_000), (L.SET_HOT, 600), (L.SET_COLD, 0), (L.SET_DISBALANCE, 15),
        (L.VOLTAGE, 52_800), (L.CURRENT, 0), (L.SOC, 8000), (L.CELL_MIN, 3300), (L.CELL_MAX, 3300), (L.CELL_COUNT, 16),
        (L.CELL_MIN_AT, 1), (L.CELL_MAX_AT, 1), (L.STATUS, L.IDLE), (L.TEMP_INT, 200), (L.SET_CAPACITY, 280_000),
    ):  # fmt: skip
        data[field] = value
    driver = Driver(clock)
    can = Can(driver, live, bus, clock, FakeConfig(CONFIG), Charge(live), FakeLog())
    live.qualified = True
    live.settings_read()
    live.good_poll()
    can.schedule.running = True
    bus.publish(B.POLL)
    return can, driver


def longest_gap(driver):
    times = [at for at, can_id, _ in driver.frames if can_id == 0x351]
    return max(after - before for before, after in zip(times, times[1:])), len(times)


def busy(ms):
    """Hold the loop in Python code, as a long calculation would."""
    end = time.ticks_add(time.ticks_ms(), ms)
    while time.ticks_diff(end, time.ticks_ms()) > 0:
        pass


async def _run(can, driver, timer):
    async def loop():
        while True:
            can.work()
            await asyncio.sleep_ms(5)

    can.schedule.timer_driven = timer
    task = asyncio.create_task(loop())
    going = [True]
    if timer:

        def tick(_):
            can.schedule.tick()

        def play_timer():
            while going[0]:
                time.sleep_ms(10)
                try:
                    micropython.schedule(tick, None)
                except RuntimeError:
                    pass  # the queue is full: the board drops that tick as well

        _thread.start_new_thread(play_timer, ())
    await asyncio.sleep_ms(1200)
    busy(_BLOCK_MS)
    await asyncio.sleep_ms(1300)
    going[0] = False
    task.cancel()
    await asyncio.sleep_ms(30)
    return longest_gap(driver)


def test_loop_alone_leaves_a_gap_as_long_as_it_is_held():
    gap, count = asyncio.run(_run(*start(), timer=False))
    assert count >= 3 and gap > _BLOCK_MS - 1000, (gap, count)


def test_timer_keeps_the_second_while_the_loop_is_held():
    if _thread is None or sys.platform == "esp32":
        return  # on a board the timer is real, see the device tests
    gap, count = asyncio.run(_run(*start(), timer=True))
    assert gap < 1300 and count >= 5, (gap, count)
