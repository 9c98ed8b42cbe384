"""WiFi's name and password over Bluetooth, while there is no network.

Service 51b7xxxx-6c1d-4f7e-9a55-7a1b5e9d20c4, xxxx = 0100:

    0101 key       write   the access point's password, as the serial console shows it: who stands before the device may
    0102 ssid      write   1-32 bytes UTF-8
    0103 password  write   empty (open network) or 8-63 bytes; writing it starts the try with the key and the ssid written before
    0104 result    read, notify: one byte, then text (UTF-8)
                   0 idle, 1 connecting, 2 connected (address), 3 wrong password, 4 network not found, 5 another failure (its
                   name), 6 bad value (which), 7 wrong key, 8 too many wrong keys: restart the gateway

Writes need an encrypted connection (LE Secure Connections, "just works", no bond kept): telephones pair by themselves. That keeps
listeners out, the key keeps strangers out; somebody who sits in between while you provision is not kept out.
"""

import asyncio
import bluetooth
from micropython import const

_INTERVAL_US = const(250_000)
_UUID = "51b7%04x-6c1d-4f7e-9a55-7a1b5e9d20c4"
_WRITE_ENCRYPTED = const(0x1000)  # flag of the stack that aioble has no name for (aioble/server.py)
_NO_INPUT_OUTPUT = const(3)
_SSID_MAX = const(32)
_PASSWORD_MIN = const(8)
_PASSWORD_MAX = const(63)
_KEYS_MAX = const(5)  # wrong ones, until restart
_TRY_S = const(70)  # of the station: three tries
_STEP_MS = const(500)

IDLE = const(0)
CONNECTING = const(1)
CONNECTED = const(2)
WRONG_PASSWORD = const(3)
NOT_FOUND = const(4)
FAILED = const(5)
BAD_VALUE = const(6)
WRONG_KEY = const(7)
LOCKED = const(8)

_wrong_keys = [0]


def _text(value, low, high):
    """`value` as text, or None when it is no UTF-8 or too long or short."""
    try:
        return str(value, "utf-8") if low <= len(value) <= high and b"\0" not in value else None
    except (UnicodeError, ValueError):
        return None


def _equal(one, two):
    """Compare without telling by the time where they differ."""
    difference = len(one) ^ len(two)
    for i in range(len(one)):
        difference |= one[i] ^ two[i % len(two)]
    return difference == 0


async def try_network(app, ssid, password):
    """Store the network and wait for what comes of it: (state, text)."""
    wifi = app.wifi
    try:
        app.config.set({"wifi.ssid": ssid, "wifi.password": password})
    except ValueError as error:
        return BAD_VALUE, str(error)
    except OSError as error:
        return FAILED, "NOT_SAVED %s" % error
    wifi.connect()  # also when it is the same as before
    app.config.release()
    for step in range(_TRY_S * 1000 // _STEP_MS):
        await asyncio.sleep_ms(_STEP_MS)
        if step < 6:  # 3 s: what is shown until then is of the network before
            continue
        if wifi.state == "connected":
            if wifi.fallback:
                return FAILED, wifi.failure
            return CONNECTED, wifi.about()["ip"]
        if wifi.failure == "WRONG_PASSWORD":
            return WRONG_PASSWORD, ""
        if wifi.failure == "NOT_FOUND":
            return NOT_FOUND, ""
    return FAILED, wifi.failure


class Mode:
    """`run()` advertises and serves one telephone at a time, until it is cancelled."""

    def __init__(self, app, aioble):
        self.connected = False
        self._app = app
        self._aioble = aioble
        service = aioble.Service(bluetooth.UUID(_UUID % 0x100))
        # One byte more than allowed: the stack cuts off what does not fit, and that must show
        self._key, self._ssid, self._password = (
            aioble.BufferedCharacteristic(service, bluetooth.UUID(_UUID % number), write=True, max_len=size + 1)
            for number, size in ((0x101, _PASSWORD_MAX), (0x102, _SSID_MAX), (0x103, _PASSWORD_MAX))
        )
        for characteristic in (self._key, self._ssid, self._password):
            characteristic.flags |= _WRITE_ENCRYPTED
        self._result = aioble.Characteristic(service, bluetooth.UUID(_UUID % 0x104), read=True, notify=True)
        aioble.register_services(service)
        try:
            import aioble.security  # noqa: F401  it answers the stack's questions about keys
        except ImportError:
            pass
        aioble.config(bond=False, le_secure=True, mitm=False, io=_NO_INPUT_OUTPUT)
        self._show(LOCKED if _wrong_keys[0] >= _KEYS_MAX else IDLE)

    def _show(self, state, text=""):
        self._result.write(bytes((state,)) + text.encode(), send_update=True)

    async def run(self):
        app = self._app
        mac = app.board.unique_id()
        name = "TinyBMS-%02X%02X" % (mac[-2], mac[-1])
        writes = asyncio.create_task(self._serve())
        try:
            while not writes.done():
                connection = await self._aioble.advertise(
                    _INTERVAL_US, name=name, services=[bluetooth.UUID(_UUID % 0x100)]
                )
                if connection is None:
                    return
                self.connected = True
                try:
                    await connection.disconnected()
                finally:
                    self.connected = False
                    self._clear()
            await writes
        finally:
            writes.cancel()

    def _clear(self):
        """Nothing of a telephone's secrets is kept for the next one."""
        for characteristic in (self._key, self._ssid, self._password):
            characteristic.write(b"")

    async def _serve(self):
        while True:
            await self._password.written()
            self._show(*await self._handle())

    async def _handle(self):
        """What comes of the three values as they were written: (state, text)."""
        if _wrong_keys[0] >= _KEYS_MAX:
            return LOCKED, ""
        key, ssid, password = (item.read() for item in (self._key, self._ssid, self._password))
        self._clear()
        if not _equal(bytes(key), self._app.wifi.ap_password().encode()):
            _wrong_keys[0] += 1
            self._app.log.warning("ble", "wrong key")
            await asyncio.sleep(1)
            return WRONG_KEY, ""
        ssid = _text(ssid, 1, _SSID_MAX)
        if ssid is None:
            return BAD_VALUE, "ssid"
        password = _text(password, 0, _PASSWORD_MAX)
        if password is None or 0 < len(password.encode()) < _PASSWORD_MIN:
            return BAD_VALUE, "password"
        self._app.log.info("ble", "told to join %s" % ssid)
        self._show(CONNECTING)
        return await try_network(self._app, ssid, password)
