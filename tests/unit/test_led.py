"""The status LED: which pattern for which state, how it is shown, and that it allocates nothing."""

import asyncio

import micropython
from firmware.alerts.alert import ACKNOWLEDGED, Alert
from firmware.live import Live
from firmware.system import led
from tests.unit.help import FakeClock, FakeConfig


class _Thing:
    pass


class _App:
    def __init__(self):
        self.clock = FakeClock()
        self.live = Live(self.clock)
        self.config = FakeConfig({"can.enabled": True})
        self.ota = _Thing()
        self.ota.busy = False
        self.portal = self.alerts = None
        self.safe_mode = ""
        self.can = _Thing()
        self.can.driver = _Thing()
        self.can.driver.state = "RUNNING"


def _healthy():
    app = _App()
    app.live.good_poll()
    return app


def _alerts(app, *kinds):
    app.alerts = _Thing()
    app.alerts.active = {kind: Alert(1, kind) for kind in kinds}


def test_which_pattern():
    app = _App()
    one = led.Led(app, None)
    assert one.pattern() == led.NO_BMS
    app.live.good_poll()
    assert one.pattern() == led.OK
    app.can.driver.state = "NO_ACK"
    assert one.pattern() == led.NO_CAN
    app.config.values["can.enabled"] = False
    assert one.pattern() == led.OK
    _alerts(app, 2, 10)  # a warning and an information
    assert one.pattern() == led.OK
    _alerts(app, 10, 1)
    assert one.pattern() == led.ALERT
    app.alerts.active[1].status = ACKNOWLEDGED
    assert one.pattern() == led.OK
    app.safe_mode = "why"
    app.can = None  # there is none then
    assert one.pattern() == led.SAFE_MODE
    app.portal = _Thing()
    assert one.pattern() == led.ACCESS_POINT
    app.ota.busy = True
    assert one.pattern() == led.UPDATE


def test_patterns_differ():
    values = (led.OK, led.NO_BMS, led.NO_CAN, led.ALERT, led.SAFE_MODE, led.ACCESS_POINT, led.UPDATE)
    assert len(set(values)) == 7 and max(values) < 256


def test_a_pattern_is_a_second_long():
    seen = []
    one = led.Led(_healthy(), lambda on: seen.append(1 if on else 0))
    for _ in range(16):
        one.step()
    assert seen == [1, 1, 1, 1, 0, 0, 0, 0] * 2


def test_a_new_state_shows_with_the_next_second():
    seen = []
    app = _healthy()
    one = led.Led(app, lambda on: seen.append(1 if on else 0))
    one.step()
    app.ota.busy = True
    for _ in range(11):
        one.step()
    assert seen == [1, 1, 1, 1, 0, 0, 0, 0, 1, 0, 1, 0]


def test_step_allocates_nothing():
    app = _healthy()
    _alerts(app, 2, 10)
    lit = bytearray(1)

    def light(on):
        lit[0] = 1 if on else 0

    one = led.Led(app, light)
    one.step()
    micropython.heap_lock()
    try:
        for _ in range(20):
            one.step()
    finally:
        micropython.heap_unlock()


async def test_the_task_steps():
    seen = []
    task = asyncio.create_task(led.Led(_healthy(), seen.append).run())
    await asyncio.sleep_ms(400)
    task.cancel()
    assert len(seen) >= 2
