"""The TWAI driver against the register model (tests/hardware_model/twai_model.py): start, transmit, memory."""

import asyncio
import gc

from firmware.can import twai_selftest
from firmware.can.twai import Twai
from tests.hardware_model.twai_model import TwaiModel
from tests.hardware_model.twai_up import FRAME, pass_time, up
from tests.unit.help import FakeClock, raises


# start and stop


def test_start_programs_filter_and_timing():
    driver, model, _ = up()
    assert driver.state == "RUNNING"
    assert model.enables == 1 and model.routes == 1
    assert model.mode == 8  # single filter, neither reset nor listen-only
    assert model.filter == [0x60, 0xA0, 0, 0, 0x00, 0x6F, 0xFF, 0xFF]
    assert model.btr == [0x83, 0x3E]
    assert model.cdr == 0x88 and model.ewl == 96
    assert (model.tec, model.rec) == (0, 0) and model.violations == []


def test_start_on_s3_and_c3():
    for chip in ("ESP32S3", "ESP32C3"):
        _, model, _ = up(chip)
        assert model.btr == [0x8003, 0x3E] and model.cdr == 0x100


def test_no_controller():
    for fault in ("gated", "no enable", "basic layout"):
        clock = FakeClock()
        model = TwaiModel(clock)
        if fault == "gated":
            model.gated = True
        elif fault == "no enable":
            model.enable = lambda: None  # clock off, held in reset: reads as zero
        else:
            model._layout = lambda: False
        driver = Twai(model, clock, 500_000)
        raises(OSError, asyncio.run, driver.start())
        assert driver.state == "STOPPED" and driver.last_error == "NO_CONTROLLER"
        assert not driver.send(0x351, FRAME) and driver.errors == 2
        driver.poll()


def test_second_start_without_controller_stops():
    driver, model, _ = up()
    model.gated = True
    raises(OSError, asyncio.run, driver.start())
    assert driver.state == "STOPPED" and not driver.send(0x351, FRAME)


def test_wrong_bitrate():
    clock = FakeClock()
    raises(ValueError, Twai, TwaiModel(clock), clock, 333_000)


def test_rec_that_changes_in_reset_mode_is_cleared():
    driver, model, clock = up()
    driver.stop()
    clock.advance(50)
    model.read(0)
    assert model.rec > 0  # erratum 3.13.1
    asyncio.run(driver.start())
    assert model.rec == 0


def test_stop_leaves_the_bus_and_drops_what_waits():
    driver, model, clock = up()
    driver.send(0x351, FRAME)
    driver.send(0x355, FRAME)
    driver.stop()
    assert model.mode & 1 and driver.state == "STOPPED"
    pass_time(driver, clock, 100)
    assert model.sent == [] and not driver.send(0x351, FRAME)
    asyncio.run(driver.start())
    pass_time(driver, clock, 100)
    assert model.sent == [] and driver.state == "RUNNING"


# transmit


def test_frames_of_all_lengths_in_order():
    driver, model, clock = up()
    for n in range(9):
        assert driver.send(0x370 + n, FRAME[:n])
    pass_time(driver, clock, 100)
    assert model.sent == [(0x370 + n, FRAME[:n]) for n in range(9)]
    assert driver.sent == 9 and driver.errors == 0 and model.violations == []


def test_data_types_and_refusals():
    driver, model, clock = up()
    assert driver.send(0x351, bytearray(FRAME))
    assert driver.send(0x355, memoryview(b"xx" + FRAME)[2:6])
    assert driver.send(0x7FF, b"")
    for can_id, data in ((0x800, b""), (-1, b""), (0x351, b"123456789")):
        assert not driver.send(can_id, data)
    pass_time(driver, clock, 50)
    assert model.sent == [(0x351, FRAME), (0x355, FRAME[:4]), (0x7FF, b"")] and driver.errors == 3


def test_data_is_copied_at_once():
    driver, model, clock = up()
    model.acknowledged = False
    driver.send(0x100, FRAME)
    data = bytearray(FRAME)
    driver.send(0x351, data)
    data[0] = 99
    model.acknowledged = True
    pass_time(driver, clock, 20)
    assert model.sent == [(0x100, FRAME), (0x351, FRAME)]


def test_waiting_frame_is_replaced_by_newer_one_of_its_id():
    driver, model, clock = up()
    driver.send(0x100, b"")
    driver.send(0x351, b"old")
    driver.send(0x355, b"x")
    driver.send(0x351, b"newer")
    pass_time(driver, clock, 50)
    assert model.sent == [(0x100, b""), (0x351, b"newer"), (0x355, b"x")] and driver.dropped == 1


def test_full_queue_refuses():
    driver, model, clock = up()
    model.stuck = True
    taken = [driver.send(0x100 + i, b"") for i in range(22)]
    assert taken == [True] * 21 + [False]  # one in the controller, 20 waiting
    assert driver.errors == 1
    assert driver.send(0x105, b"again")  # replaces
    model.stuck = False
    pass_time(driver, clock, 150)
    assert [frame[0] for frame in model.sent] == list(range(0x100, 0x115))


def test_ring_goes_round():
    driver, model, clock = up()
    for i in range(100):
        driver.send(0x300 + i % 7, bytes([i]))
        driver.send(0x400 + i % 7, bytes([i]))
        pass_time(driver, clock, 15)
    assert driver.sent == 200 and [frame[1][0] for frame in model.sent[::2]] == list(range(100))


# called inside itself


def test_callbacks_inside_every_access():
    driver, model, clock = up()
    read, write = driver._read, driver._write
    state = [False, 0, 1]

    def callback():  # what a soft timer does: runs between two bytecodes of whatever runs
        state[2] = (state[2] * 75 + 74) % 65537  # not at each access, else it would do all the work itself
        if not state[0] and state[2] % 5 == 0:
            state[0] = True
            state[1] += 1
            driver.send(0x100 + state[1] % 5, bytes([state[1] & 255]))
            driver.poll()
            state[0] = False

    def inner_read(index):
        callback()
        return read(index)

    def inner_write(index, value):
        callback()
        write(index, value)

    driver._read, driver._write = inner_read, inner_write
    for i in range(60):
        driver.send(0x351, bytes([i]))
        model.inject(0x305, bytes([i]))
        pass_time(driver, clock, 100)
    assert model.violations == [] and driver.state == "RUNNING" and driver.resets == 0
    assert [data[0] for can_id, data in model.sent if can_id == 0x351] == list(range(60))
    assert len(driver.heard) == 60 and state[1] > 1000


def test_real_callbacks_between_any_two_bytecodes():
    import _thread
    import micropython
    import time

    driver, model, clock = up()
    count = [0, False]
    data = bytearray(8)

    def tick(_):
        count[0] += 1
        for i in range(8):
            data[i] = count[0] & 255
        driver.send(0x351, data)
        driver.poll()

    def interrupt():
        for _ in range(3000):
            try:
                micropython.schedule(tick, None)
            except RuntimeError:
                pass  # the last one is still waiting
            time.sleep_us(50)
        count[1] = True

    _thread.start_new_thread(interrupt, ())
    mine = bytearray(8)
    n = 0
    while not count[1]:
        n += 1
        for i in range(8):
            mine[i] = n & 255
        driver.send(0x351, mine)
        driver.send(0x355, mine)
        clock.advance(1)  # only here: so frames are loaded here too, and the callback may come in the middle
        driver.poll()
    assert count[0] > 100
    pass_time(driver, clock, 50)
    assert model.violations == [] and driver.state == "RUNNING" and driver.resets == 0
    assert driver.sent == len(model.sent) and {can_id for can_id, _ in model.sent} == {0x351, 0x355}
    for _, sent in model.sent:
        assert sent == bytes([sent[0]] * 8)  # no frame is a mix of two


# memory


class QuietRegs:
    """Registers in an array: what `send` and `poll` allocate themselves."""

    def __init__(self):
        self.values = bytearray(32)

    def enable(self):
        pass

    def route(self, inside=False):
        pass

    def reset(self):
        pass

    def read(self, index):
        return self.values[index]

    def write(self, index, value):
        self.values[index] = value & 255


def test_nothing_is_allocated():
    regs = QuietRegs()
    clock = FakeClock()
    driver = Twai(regs, clock, 500_000)
    count = [0]

    def heard(can_id, data):
        count[0] += 1

    driver.on_receive = heard
    asyncio.run(driver.start())
    data = bytearray(8)

    def cycle(n):
        for _ in range(n):
            regs.values[2] = 0x0C  # free, done
            driver.send(0x351, data)
            driver.send(0x355, data)
            driver.poll()
            regs.values[2] = 0x0D  # and a frame: the array never runs empty, so a burst of eight
            regs.values[16], regs.values[17], regs.values[18] = 8, 0x60, 0xA0
            driver.poll()

    cycle(3)
    gc.collect()
    gc.disable()
    before = gc.mem_alloc()
    cycle(100)
    after = gc.mem_alloc()
    gc.enable()
    assert driver.sent >= 200 and count[0] >= 800
    assert after == before, after - before


# self-test


def test_self_test():
    driver, model, clock = up()
    assert twai_selftest.run(driver, True) == "no frame came back: status 00, TEC 0, REC 0"  # the clock stands still
    read = model.read

    def ticking(index):
        clock.advance(1)
        return read(index)

    model.read = ticking
    model.acknowledged = False  # nobody else is there
    assert twai_selftest.run(driver, True) == "" and twai_selftest.run(driver, False) == ""
    assert driver.state == "STOPPED" and model.mode & 1 and model.filter[4:] == [255] * 4
    model.bit_errors = True
    assert twai_selftest.run(driver, True).startswith("no frame came back")
    model.gated = True
    assert twai_selftest.run(driver, True) == "controller does not answer"
