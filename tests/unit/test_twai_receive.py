"""The TWAI driver against the register model: receive, filter, overrun and the errata of the receive FIFO."""

import asyncio

from firmware.can.twai import Twai
from tests.hardware_model.twai_model import TwaiModel
from tests.hardware_model.twai_up import KEEP_ALIVE, pass_time, up
from tests.unit.help import FakeClock


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
        asyncio.run(driver.start())
        for can_id in range(0x800):
            count = driver.received
            model.inject(can_id, b"\xff\xff")
            driver.poll()
            assert driver.received - count == (first <= can_id <= last), hex(can_id)


def test_length_above_eight_is_eight():
    driver, model, _ = up()
    model.inject(0x305, KEEP_ALIVE)
    model.fifo[0] = bytes([15]) + model.fifo[0][1:]
    driver.poll()
    assert driver.heard == [(0x305, KEEP_ALIVE)]


def test_remote_frame_that_the_filter_lets_through():
    driver, model, _ = up()
    model.inject(0x305, KEEP_ALIVE)
    model.fifo[0] = bytes([0x48]) + model.fifo[0][1:]
    driver.poll()
    assert driver.heard == [] and model.fifo == []


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
