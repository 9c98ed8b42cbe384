"""Bluetooth: which of its two modes runs, and why none does. Loaded only where one of them is configured.

Modes: `battery` (ble_battery.py, `ble.enabled`) and `provision` (ble_provision.py, `ble.provisioning`): the latter only while no
WiFi is configured or the access point is up, until the station is connected. Everything goes through aioble, which official
images do not have: without it the part is reported as not startable (esp32_micropython facts 6 and 8).
"""

import asyncio
import sys
from micropython import const
from firmware import lazy

_LOOK_MS = const(1000)
_STAY_S = const(15)  # in the provisioning mode once connected: the telephone reads the result
_HEAP_NEEDED = const(48 * 1024)  # aioble and ours take 22 KB (1.6 bytes a byte of .mpy); the rest is for requests
_IDF_NEEDED = const(40 * 1024)  # controller and NimBLE 28 KB, lwIP the rest; an estimate, not measured on a board
# With WiFi the radio's memory does not suffice there (facts 4, micropython #18859)
_TOO_SMALL = ("esp32c3", "esp32c6")


class Ble:
    """`app`: board, config, live, log, wifi, portal; `not_startable`: the exception of a part that cannot start.

    `state`: "off", "waiting" (for its reason to run), "battery" or "provision"; `reason`: why not, or "". `connected`: bool.
    """

    def __init__(self, app, not_startable):
        self.app = app
        self.state = "off"
        self.reason = ""
        self.mode = None  # the object of the mode that runs
        self._not_startable = not_startable
        self._connected_s = None  # uptime at which the station got its connection, in the provisioning mode

    @property
    def connected(self):
        return self.mode is not None and self.mode.connected

    async def run(self):
        """The task: for ever. Raises the exception given when Bluetooth cannot run here."""
        try:
            self._check()
        except ValueError as error:
            self.reason = str(error)
            raise self._not_startable(self.reason)
        self.state = "waiting"
        while True:
            mode = self.wanted()
            if mode is None:
                await asyncio.sleep_ms(_LOOK_MS)
                continue
            await self._run_mode(mode)

    def _check(self):
        """Raises ValueError with the reason when Bluetooth cannot run."""
        board = self.app.board
        try:
            import bluetooth  # noqa: F401
        except ImportError:
            raise ValueError("this machine has no Bluetooth")
        chip = board.info()["chip"].replace("-", "")
        for name in _TOO_SMALL:
            if chip.startswith(name):
                raise ValueError("an %s has no memory for WiFi and Bluetooth together" % name.upper())
        self.app.forget()
        free = board.heap_free()
        if free < _HEAP_NEEDED:
            raise ValueError("not enough memory: %d KB free, %d KB needed" % (free // 1024, _HEAP_NEEDED // 1024))
        free = board.idf_free()
        if free is not None and free < _IDF_NEEDED:
            raise ValueError(
                "not enough memory for the radio: %d KB free, %d KB needed" % (free // 1024, _IDF_NEEDED // 1024)
            )
        try:
            import aioble  # noqa: F401
        except ImportError:
            raise ValueError("aioble is not installed (README, Bluetooth)")

    def wanted(self):
        """Name of the mode that should run now, or None."""
        app = self.app
        wifi = app.wifi
        if wifi is not None and app.config.get("ble.provisioning"):
            if wifi.state == "connected":
                if self.state == "provision":
                    now = app.board.uptime_s()
                    if self._connected_s is None:
                        self._connected_s = now
                    if now - self._connected_s < _STAY_S:
                        return "provision"
            else:
                self._connected_s = None
                if self.state == "provision" or app.portal is not None or not app.config.get("wifi.ssid"):
                    return "provision"
        return "battery" if app.config.get("ble.enabled") else None

    async def _run_mode(self, mode):
        """Until another mode is wanted, or the task dies (the supervisor starts it again)."""
        import aioble

        module = lazy.load("net.ble_" + mode)
        self.mode = module.Mode(self.app, aioble)
        self.state = mode
        self.app.log.info("ble", mode)
        task = asyncio.create_task(self.mode.run())
        try:
            while self.wanted() == mode and not task.done():
                await asyncio.sleep_ms(_LOOK_MS)
            if task.done():
                await task  # raises what it died of
        finally:
            task.cancel()
            self.mode = None
            self.state = "waiting"
            aioble.stop()
            lazy.drop("net.ble_" + mode)
            _forget_aioble()


def _forget_aioble():
    """Its code takes 15 KB; the stack must not call it any more."""
    import bluetooth

    bluetooth.BLE().irq(None)
    for name in list(sys.modules):
        if name.split(".")[0] == "aioble":
            del sys.modules[name]
