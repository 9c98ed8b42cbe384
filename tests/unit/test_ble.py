"""firmware/net/ble*.py on the stand-in of aioble: what a telephone reads, and what it may write."""

import asyncio
import sys

sys.path.insert(0, "tests/stand_ins")

import aioble
import bluetooth
from firmware import live as fields
from firmware.live import Live
from firmware.net import ble, ble_battery, ble_provision
from tests.unit.help import FakeClock, FakeLog, raises

_UUID = "51b7%04x-6c1d-4f7e-9a55-7a1b5e9d20c4"
_KEY = "kfm3w8aaqz"
_LEVEL = 0x2A19
_GONE = b"\xff\xff\xff\xff"


class NotStartable(Exception):
    pass


class Board(FakeClock):
    chip = "esp32"
    heap = 100_000
    idf = 90_000

    def info(self):
        return {"chip": self.chip}

    def heap_free(self):
        return self.heap

    def idf_free(self):
        return self.idf

    def unique_id(self):
        return b"\x24\x6f\x28\x01\xab\xcd"


class Config:
    def __init__(self, **values):
        self.values = {
            "ble.enabled": False,
            "ble.provisioning": False,
            "wifi.ssid": "",
            "system.hostname": "tinybms-gw-0203",
        }
        self.values.update((name.replace("_", ".", 1), value) for name, value in values.items())
        self.error = None

    def get(self, key):
        return self.values[key]

    def set(self, values):
        if self.error:
            raise self.error
        self.values.update(values)

    def release(self):
        pass


class Wifi:
    """`plan`: (state, failure) for the next try."""

    def __init__(self):
        self.state, self.failure, self.fallback = "off", "", False
        self.plan = ("connected", "")
        self.tries = 0

    def ap_password(self):
        return _KEY

    def connect(self):
        self.tries += 1
        self.state, self.failure = self.plan

    def about(self):
        return {"ip": "192.168.1.50"}


class App:
    def __init__(self, **values):
        self.board, self.log, self.config = Board(), FakeLog(), Config(**values)
        self.live = Live(self.board)
        self.wifi, self.portal = Wifi(), None

    def forget(self):
        pass

    def poll(self, **values):
        for name, value in values.items():
            self.live.data[getattr(fields, name)] = value
        self.live.good_poll()


def fresh():
    bluetooth.fake_ble = None
    aioble.fake_services.clear()
    aioble.fake_stops = 0
    ble_provision._wrong_keys[0] = 0


def quick(function):
    """Run with sleeps that only give the turn to others."""
    real = asyncio.sleep_ms, asyncio.sleep

    def sleep(_):
        return real[0](0)

    asyncio.sleep_ms = asyncio.sleep = sleep
    try:
        asyncio.run(function())
    finally:
        asyncio.sleep_ms, asyncio.sleep = real
        asyncio.new_event_loop()


async def turns(count=40):
    for _ in range(count):
        await asyncio.sleep_ms(0)


def ours(number):
    return aioble.fake_read(_UUID % number)


# -- battery -------------------------------------------------------------------------------------------------------------


def battery(app):
    fresh()
    return ble_battery.Mode(app, aioble)


def test_values():
    app = App()
    mode = battery(app)
    app.poll(SOC=7249, VOLTAGE=52_345, CURRENT=-12_500, STATUS=0x93, FAULTS=1 << 2, WARNINGS=0)
    for field, value in ((fields.CVL, 55_200), (fields.CCL, 50_000), (fields.DCL, 0)):
        app.live.data[field] = value
    app.board.advance(300)
    mode.update()
    assert aioble.fake_read(_LEVEL) == b"\x48"
    assert ours(1) == (52_345).to_bytes(4, "little")
    assert ours(2) == b"\x2c\xcf\xff\xff"
    assert ours(3) == b"\x93"
    assert ours(4) == b"\x04\0\0\0\0\0\0\0"
    assert ours(5) == b"".join(n.to_bytes(4, "little") for n in (55_200, 50_000, 0))
    assert ours(6) == b"\x2c\x01\0\0"
    for uuid in [_LEVEL] + [_UUID % number for number in range(1, 7)]:
        raises(aioble.GattError, aioble.fake_write, uuid, b"\0")


def test_before_the_first_poll_nothing_is_known():
    mode = battery(App())
    mode.update()
    assert aioble.fake_read(_LEVEL) == b""
    assert (ours(1), ours(2), ours(3), ours(4)) == (_GONE, b"\xff\xff\xff\x7f", b"\0", _GONE * 2)
    assert ours(5) == _GONE * 3
    assert ours(6) == (fields.AGE_MAX_MS).to_bytes(4, "little")
    assert aioble.fake_notified(_LEVEL) == []


def test_values_that_the_bms_does_not_know():
    app = App()
    mode = battery(app)
    app.poll(STATUS=0x97)
    mode.update()
    assert aioble.fake_read(_LEVEL) == b""
    assert (ours(1), ours(2), ours(3)) == (_GONE, b"\xff\xff\xff\x7f", b"\x97")


def test_only_changes_are_notified_and_an_old_level_is_withdrawn():
    app = App()
    mode = battery(app)
    app.poll(SOC=5000, VOLTAGE=50_000, CURRENT=0, STATUS=0x97)
    mode.update()
    app.poll()
    mode.update()
    app.poll(SOC=4940, VOLTAGE=49_900)
    mode.update()
    assert aioble.fake_notified(_LEVEL) == [b"\x32", b"\x31"]
    assert len(aioble.fake_notified(_UUID % 1)) == 2
    app.board.advance(fields.STALE_MS)
    mode.update()
    assert aioble.fake_read(_LEVEL) == b""
    assert aioble.fake_notified(_LEVEL) == [b"\x32", b"\x31"]
    assert aioble.fake_notified(_UUID % 3)[-1] == b"\0"
    assert aioble.fake_notified(_UUID % 6) == []
    app.poll()
    mode.update()
    assert aioble.fake_notified(_LEVEL)[-1] == b"\x31"


def test_level_is_rounded_and_held_within_the_standard():
    for soc, level in ((0, 0), (49, 0), (50, 1), (9950, 100), (10_000, 100)):
        app = App()
        app.poll(SOC=soc)
        assert ble_battery.values(app.live)[0] == bytes((level,))


def test_advertises_again_after_a_telephone_has_gone():
    async def go():
        app = App()
        mode = battery(app)
        task = asyncio.create_task(mode.run())
        await turns()
        assert aioble.fake_advertisement["name"] == "tinybms-gw-0203"
        connection = aioble.fake_connect()
        await turns()
        assert mode.connected and aioble.fake_advertisement is None
        connection.fake_disconnect()
        await turns()
        assert not mode.connected and aioble.fake_advertisement
        task.cancel()
        await turns()
        assert aioble.fake_advertisement is None

    quick(go)


# -- which mode, and why none --------------------------------------------------------------------------------------------


def refused(app):
    fresh()
    part = ble.Ble(app, NotStartable)
    error = raises(NotStartable, asyncio.run, part.run())
    asyncio.new_event_loop()
    assert part.reason == str(error) and part.state == "off"
    return part.reason


def test_reasons_not_to_start():
    app = App(ble_enabled=True)
    app.board.heap = 30_000
    assert "not enough memory: 29 KB free" in refused(app)
    app.board.heap, app.board.idf = 100_000, 20_000
    assert "radio" in refused(app)
    app.board.idf, app.board.chip = 90_000, "esp32-c3"
    assert "ESP32C3" in refused(app)


def hidden(name, function):
    """Run `function` while a module cannot be imported."""
    kept = {key: module for key, module in sys.modules.items() if key.split(".")[0] == name}
    path = sys.path[:]
    for key in kept:
        del sys.modules[key]
    sys.path.remove("tests/stand_ins")
    try:
        return function()
    finally:
        sys.path[:] = path
        sys.modules.update(kept)


def test_without_aioble():
    assert hidden("aioble", lambda: refused(App(ble_enabled=True))) == "aioble is not installed (README, Bluetooth)"


def test_without_bluetooth():
    def go():
        part = ble.Ble(App(ble_enabled=True), NotStartable)
        raises(NotStartable, asyncio.run, part.run())
        asyncio.new_event_loop()
        return part.reason

    assert hidden("bluetooth", go) == "this machine has no Bluetooth"


def test_wanted_mode():
    app = App(ble_enabled=True, ble_provisioning=True)
    part = ble.Ble(app, NotStartable)
    assert part.wanted() == "provision"
    app.config.values["wifi.ssid"] = "House"
    assert part.wanted() == "battery"
    app.portal = object()
    assert part.wanted() == "provision"
    part.state = "provision"
    app.portal = None
    assert part.wanted() == "provision"  # between the tries
    app.wifi.state = "connected"
    assert part.wanted() == "provision"
    app.board.advance(16_000)
    assert part.wanted() == "battery"
    app.config.values["ble.enabled"] = False
    assert part.wanted() is None
    app.wifi = None
    assert part.wanted() is None


def test_modes_follow_each_other_and_the_radio_stops_between():
    async def go():
        fresh()
        app = App(ble_enabled=True, ble_provisioning=True)
        part = ble.Ble(app, NotStartable)
        task = asyncio.create_task(part.run())
        await turns()
        assert part.state == "provision" and not part.connected
        app.wifi.state = "connected"
        await turns()
        app.board.advance(16_000)
        await turns()
        assert part.state == "battery"
        app.config.values["ble.enabled"] = False
        await turns()
        assert part.state == "waiting" and part.mode is None
        assert "firmware.net.ble_battery" not in sys.modules and "aioble" not in sys.modules
        assert not bluetooth.BLE().active()
        task.cancel()
        await turns()

    kept = {key: module for key, module in sys.modules.items() if "aioble" in key or "ble_" in key}
    try:
        quick(go)
    finally:
        sys.modules.update(kept)


# -- provisioning --------------------------------------------------------------------------------------------------------


def provision(app, *writes, connect=True):
    """What the telephone reads at last after `writes` ((number, bytes)...), and the results on the way."""
    seen = []

    async def go():
        fresh()
        mode = ble_provision.Mode(app, aioble)
        task = asyncio.create_task(mode.run())
        await turns()
        aioble.fake_connect()
        await turns()
        for number, value in writes:
            aioble.fake_write(_UUID % number, value)
            await turns(200)
        seen.append(ours(0x104))
        seen.append(aioble.fake_notified(_UUID % 0x104))
        seen.append([characteristic.read() for characteristic in (mode._key, mode._password)])
        task.cancel()
        await turns()

    quick(go)
    return seen


def joined(ssid, password, key=None, app=None):
    key = _KEY.encode() if key is None else key
    return provision(app or App(), (0x101, key), (0x102, ssid), (0x103, password))


def test_joins_a_network():
    app = App()
    last, notified, secrets = joined("Maison café".encode(), b"a good password", app=app)
    assert last == b"\x02192.168.1.50"
    assert notified == [b"\0", b"\x01", last]
    assert secrets == [b"", b""]
    assert app.config.values["wifi.ssid"] == "Maison café" and app.config.values["wifi.password"] == "a good password"
    assert app.wifi.tries == 1


def test_open_network():
    assert joined(b"Camping", b"")[0][:1] == b"\x02"


def test_what_goes_wrong():
    for plan, result in (
        (("waiting", "WRONG_PASSWORD"), b"\x03"),
        (("waiting", "NOT_FOUND"), b"\x04"),
        (("waiting", "OTHER_SECURITY"), b"\x05OTHER_SECURITY"),
    ):
        app = App()
        app.wifi.plan = plan
        assert joined(b"House", b"a good password", app=app)[0] == result
    app = App()
    app.wifi.fallback = True
    app.wifi.plan = ("connected", "TIMEOUT")
    assert joined(b"House", b"a good password", app=app)[0] == b"\x05TIMEOUT"
    app = App()
    app.config.error = OSError(28)
    assert joined(b"House", b"a good password", app=app)[0] == b"\x05NOT_SAVED 28"


def test_bad_values_are_not_stored():
    for ssid, password, what in (
        (b"", b"a good password", b"ssid"),
        (b"x" * 33, b"a good password", b"ssid"),
        (b"\xff\xfe", b"a good password", b"ssid"),
        (b"a\0b", b"a good password", b"ssid"),
        (b"House", b"seven77", b"password"),
        (b"House", b"p" * 64, b"password"),
        (b"House", b"p" * 500, b"password"),
        (b"House", b"\xc3\x28password", b"password"),
    ):
        app = App()
        assert joined(ssid, password, app=app)[0] == b"\x06" + what, (ssid, password)
        assert app.config.values["wifi.ssid"] == "" and app.wifi.tries == 0


def test_longest_values():
    app = App()
    assert joined(b"s" * 32, b"p" * 63, app=app)[0][:1] == b"\x02"
    assert app.config.values["wifi.password"] == "p" * 63


def test_strangers():
    app = App()
    assert joined(b"House", b"a good password", key=b"", app=app)[0] == b"\x07"
    assert joined(b"House", b"a good password", key=b"kfm3w8aaqx", app=app)[0] == b"\x07"
    assert joined(b"House", b"a good password", key=_KEY.encode() * 2, app=app)[0] == b"\x07"
    writes = [(0x102, b"House")] + [(0x101, b"guess"), (0x103, b"a good password")] * 5
    assert provision(app, *writes)[0] == b"\x07"
    writes += [(0x101, _KEY.encode()), (0x103, b"a good password")]
    assert provision(app, *writes)[0] == b"\x08"
    assert app.config.values["wifi.ssid"] == "" and app.wifi.tries == 0


def test_secrets_cannot_be_read_and_need_an_encrypted_connection():
    async def go():
        fresh()
        ble_provision.Mode(App(), aioble)
        for number in (0x101, 0x102, 0x103):
            raises(aioble.GattError, aioble.fake_read, _UUID % number)
            raises(aioble.GattError, aioble.fake_write, _UUID % number, b"a", False)
        raises(aioble.GattError, aioble.fake_write, _UUID % 0x104, b"a")
        assert bluetooth.BLE().fake_config["le_secure"] and not bluetooth.BLE().fake_config["bond"]

    quick(go)


def test_what_a_telephone_wrote_is_gone_with_it():
    async def go():
        fresh()
        mode = ble_provision.Mode(App(), aioble)
        task = asyncio.create_task(mode.run())
        await turns()
        connection = aioble.fake_connect()
        await turns()
        aioble.fake_write(_UUID % 0x101, _KEY.encode())
        connection.fake_disconnect()
        await turns()
        assert mode._key.read() == b""
        task.cancel()
        await turns()

    quick(go)
