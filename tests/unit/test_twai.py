"""The TWAI driver against the register model (tests/hardware_model/twai_model.py), with faults injected."""

import asyncio
import gc

from firmware.can.twai import Twai
from tests.hardware_model.twai_model import TwaiModel
from tests.unit.help import FakeClock, FakeLog, raises

FRAME = b"\x01\x02\x03\x04\x05\x06\x07\x08"
KEEP_ALIVE = b"\x12\x34\x56\x78VIC\x00"


def up(chip="ESP32", bitrate=500_000):
    """(driver, model, clock), on the bus."""
    clock = FakeClock()
    model = TwaiModel(clock, bitrate, esp32=chip == "ESP32")
    driver = Twai(model, clock, bitrate, FakeLog(), chip)
    driver.heard = []
    driver.on_receive = lambda can_id, data: driver.heard.append((can_id, bytes(data)))
    asyncio.run(driver.start())
    return driver, model, clock


def pass_time(driver, clock, ms, step=5):
    for _ in range(ms // step):
        clock.advance(step)
        driver.poll()


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


# no acknowledge


def test_no_ack():
    driver, model, clock = up()
    model.acknowledged = False
    driver.send(0x351, b"1")
    pass_time(driver, clock, 200)
    assert driver.state == "NO_ACK" and driver.last_error == "NO_ACK"
    assert model.tec == 128 and model.pending and not model.off  # repeats the frame for ever
    assert driver.bus_offs == 0 and driver.errors == 1
    for i in range(10):  # each second's frame pushes out the last one
        driver.send(0x351, bytes([i]))
        pass_time(driver, clock, 1000)
        assert driver.state == "NO_ACK"
    assert driver.sent == 0 and model.violations == []
    driver.send(0x351, b"now")
    model.acknowledged = True
    pass_time(driver, clock, 20)
    assert model.sent == [(0x351, b"now")]  # not a word of the last ten seconds
    assert driver.state == "RUNNING" and model.tec == 127


def test_pending_frame_is_aborted_before_its_next_period():
    driver, model, clock = up()
    model.acknowledged = False
    driver.send(0x351, b"1")
    pass_time(driver, clock, 890)
    assert model.pending
    pass_time(driver, clock, 50)
    assert not model.pending and driver.dropped == 1
    model.acknowledged = True
    pass_time(driver, clock, 5000)
    assert model.sent == [] and driver.state == "NO_ACK"  # nothing was sent since: nothing better is known


def test_frame_that_was_sent_while_it_was_aborted_counts_as_sent():
    driver, model, clock = up()
    model.acknowledged = False
    driver.send(0x351, b"1")
    pass_time(driver, clock, 905)
    assert model.aborting
    model.acknowledged = True
    clock.advance(1)
    driver.poll()
    assert driver.sent == 1 and driver.state == "RUNNING"


def test_bus_stuck_dominant():
    driver, model, clock = up()
    model.stuck = True
    driver.send(0x351, b"1")
    pass_time(driver, clock, 1000)
    assert driver.state == "NO_ACK" and driver.last_error == "TX_TIMEOUT"  # TEC did not move: never a free bus
    model.stuck = False
    driver.send(0x351, b"2")
    pass_time(driver, clock, 20)
    assert driver.state == "RUNNING" and model.sent == [(0x351, b"2")]


def test_controller_that_does_not_abort_is_reset():
    driver, model, clock = up()
    model.acknowledged = False
    model.hang_aborts = True
    driver.send(0x351, b"1")
    pass_time(driver, clock, 1200)
    assert model.resets == 2 and driver.last_error == "ABORT_TIMEOUT" and driver.resets == 1
    model.acknowledged = True
    driver.send(0x351, b"2")
    pass_time(driver, clock, 20)
    assert model.sent == [(0x351, b"2")] and driver.state == "RUNNING"


def test_sending_with_errors_is_error_passive():
    driver, model, clock = up()
    model.tec = 200
    driver.poll()
    assert driver.state == "ERROR_PASSIVE" and driver.tec == 200
    model.tec, model.rec = 0, 128
    driver.poll()
    assert driver.state == "ERROR_PASSIVE" and driver.rec == 128
    model.rec = 127
    driver.poll()
    assert driver.state == "RUNNING"


# bus-off


def test_bus_off_recovers_at_once_and_sends_the_frame_that_waited():
    for chip in ("ESP32", "ESP32S3"):
        for retrigger in (True, False):
            driver, model, clock = up(chip)
            model.retrigger = retrigger
            model.bit_errors = True
            driver.send(0x351, b"1")
            clock.advance(20)
            driver.poll()
            assert driver.state == "BUS_OFF" and driver.last_error == "BUS_OFF" and driver.bus_offs == 1
            model.bit_errors = False
            pass_time(driver, clock, 20)
            assert driver.state == "RUNNING", (chip, retrigger)
            assert model.sent == [(0x351, b"1")] and model.rubbish == []  # set up anew before the first frame
            assert driver.bus_offs == 1 and model.violations == [] and model.resets == 1


def test_bus_off_in_the_middle_of_recovery_time():
    driver, model, clock = up(bitrate=125_000)
    model.bit_errors = True
    driver.send(0x351, b"1")
    clock.advance(20)
    driver.poll()
    model.bit_errors = False
    clock.advance(1)
    driver.poll()
    pass_time(driver, clock, 8, 1)
    assert driver.state == "BUS_OFF"  # 128 x 11 bits at 125 kbit/s are 12 ms
    pass_time(driver, clock, 10, 1)
    assert driver.state == "RUNNING"


def test_recovery_backs_off_to_30_s():
    driver, model, clock = up()
    model.bit_errors = True
    seen, at = [], 0
    count = 0
    for t in range(0, 130_000, 50):
        driver.send(0x351, b"1")
        clock.advance(50)
        driver.poll()
        if driver.bus_offs != count:
            count = driver.bus_offs
            seen.append(t - at)
            at = t
    waits = [(wait + 200) // 1000 for wait in seen]
    assert waits[:8] == [0, 0, 1, 2, 4, 8, 16, 30], seen
    assert waits[8] == 30
    model.bit_errors = False
    for _ in range(800):
        driver.send(0x351, b"1")
        clock.advance(50)
        driver.poll()
    assert driver.state == "RUNNING"
    pass_time(driver, clock, 31_000, 50)
    model.bit_errors = True  # after half a minute of quiet the next one is a first one
    driver.send(0x351, b"1")
    pass_time(driver, clock, 20)
    model.bit_errors = False
    pass_time(driver, clock, 30)
    assert driver.state == "RUNNING" and driver.bus_offs == count + 1


def test_old_frames_are_not_sent_after_bus_off():
    driver, model, clock = up()
    model.bit_errors = True
    driver.send(0x351, b"1")
    pass_time(driver, clock, 30)
    driver.send(0x351, b"2")
    driver.send(0x355, b"3")
    pass_time(driver, clock, 900)
    model.bit_errors = False
    driver.send(0x356, b"4")
    pass_time(driver, clock, 2_500)
    assert driver.state == "RUNNING"
    assert b"1" not in [data for _, data in model.sent] and b"2" not in [data for _, data in model.sent]


def test_recovery_that_never_ends_resets_the_controller():
    driver, model, clock = up()
    model.block_recovery = True
    model.bit_errors = True
    driver.send(0x351, b"1")
    pass_time(driver, clock, 30)
    model.bit_errors = False
    pass_time(driver, clock, 2_800)
    assert driver.state == "BUS_OFF" and model.resets == 1
    pass_time(driver, clock, 400)
    assert driver.state == "RUNNING" and model.resets == 2 and driver.last_error == "RECOVERY_TIMEOUT"


# receive


def test_receive_all_lengths():
    driver, model, _ = up()
    for n in range(9):
        model.inject(0x305, KEEP_ALIVE[:n])
        driver.poll()
    assert driver.heard == [(0x305, KEEP_ALIVE[:n]) for n in range(9)]
    assert driver.received == 9


def test_only_the_ids_asked_for():
    driver, model, clock = up()
    for can_id in (0x304, 0x305, 0x306, 0x307, 0x308, 0x351, 0x105, 0x705, 0x000, 0x7FF):
        model.inject(can_id, KEEP_ALIVE)
        driver.poll()
    assert [can_id for can_id, _ in driver.heard] == [0x305, 0x306, 0x307]
    model.inject(0x305, b"", remote=True)
    model.inject(0x305 << 18, KEEP_ALIVE, extended=True)
    driver.poll()
    assert driver.received == 3 and model.fifo == []


def test_other_range_of_ids():
    clock = FakeClock()
    for first, last in ((0x305, 0x305), (0x351, 0x382), (0, 0x7FF)):
        model = TwaiModel(clock)
        driver = Twai(model, clock, 500_000, None, "ESP32", (first, last))
        heard = []
        driver.on_receive = lambda can_id, data: heard.append(can_id)
        asyncio.run(driver.start())
        for can_id in range(0, 0x800, 1):
            model.inject(can_id, b"\xff\xff")
            driver.poll()
        assert heard == list(range(first, last + 1))


def test_length_above_eight_is_eight():
    driver, model, _ = up()
    model.inject(0x305, KEEP_ALIVE)
    model.fifo[0] = bytes([15]) + model.fifo[0][1:]
    driver.poll()
    assert driver.heard == [(0x305, KEEP_ALIVE)]


def test_overrun_is_released_and_counted():
    for chip in ("ESP32", "ESP32S3"):
        driver, model, clock = up(chip)
        for _ in range(20):
            model.inject(0x305, KEEP_ALIVE)
        assert model.dos and len(model.fifo) == 20
        pass_time(driver, clock, 20)
        assert not model.dos and model.fifo == []
        assert driver.overruns == 1 and driver.last_error == "RX_OVERRUN" and driver.heard == []
        model.inject(0x307, KEEP_ALIVE)
        driver.poll()
        assert driver.heard == [(0x307, KEEP_ALIVE)]
        assert model.resets == 1 and driver.state == "RUNNING"


def test_fifo_counter_at_64_needs_a_reset():
    for count in (62, 63, 64, 200):
        driver, model, clock = up()
        driver.send(0x351, b"1")
        for _ in range(count):
            model.inject(0x305, KEEP_ALIVE)
        driver.poll()
        assert model.resets == 2 and model.fifo == [] and not model.corrupt
        pass_time(driver, clock, 10)
        model.inject(0x305, KEEP_ALIVE)
        driver.poll()
        assert driver.heard == [(0x305, KEEP_ALIVE)]
        assert model.sent[-1] == (0x351, b"1")  # the frame that the reset took away went again


def test_missed_frame_is_not_delivered():
    driver, model, _ = up("ESP32S3")
    model.inject(0x305, KEEP_ALIVE)
    model.fifo.append(None)
    driver.poll()
    assert driver.heard == [(0x305, KEEP_ALIVE)] and model.fifo == []


def test_broken_receiver_does_not_stop_the_driver():
    driver, model, clock = up()

    def broken(can_id, data):
        raise ValueError("x")

    driver.on_receive = broken
    model.inject(0x305, KEEP_ALIVE)
    driver.send(0x351, b"1")
    pass_time(driver, clock, 10)
    assert driver.sent == 1 and driver.errors == 1 and model.fifo == []


# the controller itself


def test_controller_loses_its_clock_and_gets_it_back():
    driver, model, clock = up()
    model.gated = True
    pass_time(driver, clock, 100)
    assert driver.state == "STOPPED" and driver.last_error == "NO_CONTROLLER"
    pass_time(driver, clock, 5_000, 50)
    model.gated = False
    pass_time(driver, clock, 10_000, 50)
    driver.send(0x351, b"1")
    pass_time(driver, clock, 20)
    assert driver.state == "RUNNING" and model.sent == [(0x351, b"1")]


def test_controller_was_reset_by_others():
    driver, model, clock = up()
    driver.send(0x351, b"0")
    pass_time(driver, clock, 10)
    model._power_on()
    driver.send(0x351, b"1")
    pass_time(driver, clock, 20)
    assert driver.last_error == "CONTROLLER_RESET" and model.btr == [0x83, 0x3E]
    assert model.sent == [(0x351, b"0"), (0x351, b"1")]


# called inside itself


def test_callbacks_inside_every_access():
    driver, model, clock = up()
    read, write = driver._read, driver._write
    state = [False, 0]

    def callback():  # what a soft timer does: runs between two bytecodes of whatever runs
        if not state[0]:
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
    assert after - before <= 32, after - before  # what measuring itself takes


# self-test


def test_self_test():
    driver, model, clock = up()
    assert driver.self_test() == "no frame came back: status 00, TEC 0, REC 0"  # the clock stands still
    read = model.read

    def ticking(index):
        clock.advance(1)
        return read(index)

    model.read = ticking
    model.acknowledged = False  # nobody else is there
    assert driver.self_test() == "" and driver.self_test(False) == ""
    assert driver.state == "STOPPED" and model.mode & 1 and model.filter[4:] == [255] * 4
    model.bit_errors = True
    assert driver.self_test().startswith("no frame came back")
    model.gated = True
    assert driver.self_test() == "controller does not answer"
