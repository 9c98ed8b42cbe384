"""A TWAI driver on the register model, for the unit tests."""

import asyncio

from firmware.can.twai import Twai
from tests.hardware_model.twai_model import TwaiModel
from tests.unit.help import FakeClock, FakeLog

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
