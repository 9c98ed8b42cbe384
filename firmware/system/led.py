"""The status LED on `system.led_pin`; loaded only where one is configured. `step` allocates nothing."""

import asyncio
from micropython import const

_STEP_MS = const(125)  # of the eight of a pattern

# On and off, a second long, the highest bit first (README, "Boards and pins")
OK = const(0b11110000)  # slow blinking
NO_BMS = const(0b10100000)  # two flashes
NO_CAN = const(0b10101000)  # three flashes
ALERT = const(0b11001100)  # fast blinking
SAFE_MODE = const(0b10000000)  # one flash
ACCESS_POINT = const(0b11111111)  # on
UPDATE = const(0b10101010)  # flickers

_CRITICAL = const(2)  # severity of an alert
_ACTIVE = const(0)  # its status: nobody has acknowledged it


class Led:
    """`light(on)` switches it. `app` has the parts whose state it shows; the first of these that is true wins."""

    def __init__(self, app, light):
        self._app = app
        self._light = light
        self._bit = 0
        self._shown = 0

    def pattern(self):
        app = self._app
        if app.ota.busy:
            return UPDATE
        if app.portal:
            return ACCESS_POINT
        if app.safe_mode:
            return SAFE_MODE
        if not app.live.connected():
            return NO_BMS
        if self._alarm():
            return ALERT
        if app.config.get("can.enabled") and app.can.driver.state != "RUNNING":
            return NO_CAN
        return OK

    def _alarm(self):
        alerts = self._app.alerts
        if alerts:
            for kind in alerts.active:
                alert = alerts.active[kind]
                if alert.severity == _CRITICAL and alert.status == _ACTIVE:
                    return True
        return False

    def step(self):
        if not self._bit:
            self._bit = 128
            self._shown = self.pattern()
        self._light(self._shown & self._bit)
        self._bit >>= 1

    async def run(self):
        """The task: for ever."""
        while True:
            self.step()
            await asyncio.sleep_ms(_STEP_MS)
