"""firmware/net/wifi.py and portal.py on the stand-in of `network`, step by step with a clock that the test moves."""

import asyncio
import sys

sys.path.insert(0, "tests/stand_ins")

import network
from firmware import bus as topics
from firmware.bus import Bus
from firmware.net import station
from firmware.net.wifi import CONNECTED, CONNECTING, OFF, WAITING, Wifi
from tests.unit.help import FakeClock, FakeLog, new_directory

_SSID = "House"
_KEY = "a good password"


class Board(FakeClock):
    http_port = 80

    def __init__(self):
        super().__init__()
        self.data_dir = new_directory("wifi")
        self.lines = []

    def unique_id(self):
        return b"\x24\x6f\x28\x01\xab\xcd"

    def console(self, line):
        self.lines.append(line)


class Config:
    def __init__(self, **wifi):
        self.values = {"system.hostname": "gw", "auth.allowed_hosts": "bms.example.com"}
        for name in ("ssid", "password", "static_ip", "netmask", "gateway"):
            self.values["wifi." + name] = wifi.get(name, "")

    def __getitem__(self, key):
        return self.values[key]

    get = __getitem__


class App:
    """What the WiFi talks to; `events` is what it has published."""

    def __init__(self, **wifi):
        network.fake_reset()
        self.board, self.bus, self.log = Board(), Bus(), FakeLog()
        self.config = Config(**wifi)
        self.http = self.portal = None
        self.events = []
        self.wifi = Wifi(self, network, 0)

    def event(self, name, data):
        self.events.append((name, data))

    def names(self):
        return [name for name, _ in self.events]

    def pass_s(self, seconds):
        for _ in range(2 * seconds):
            self.board.advance(500)
            self.wifi.step()

    def change(self, **values):
        for name, value in values.items():
            self.config.values["wifi." + name] = value
        self.bus.publish(topics.CONFIG, tuple("wifi." + name for name in values))

    def connects(self):
        return [entry[1] for entry in network.fake_log if entry[0] == "connect"]

    def close(self):
        if self.portal:
            self.portal.stop()


def _ap():
    return network.WLAN(network.AP_IF)


async def test_connects():
    app = App(ssid=_SSID, password=_KEY)
    network.fake_networks[_SSID] = network.FakeNetwork(_KEY)
    app.pass_s(5)
    assert app.wifi.state == CONNECTED and app.connects() == [_SSID]
    assert app.events == [("WIFI_CONNECTED", {"ssid": _SSID, "ip": "192.168.1.50"})]
    assert network.hostname() == "gw"
    shown = app.wifi.about()
    assert shown["connected"] and shown["mode"] == "station" and shown["ip"] == "192.168.1.50" and shown["rssi"] == -60
    assert not _ap().active() and app.wifi.report()["failure"] == ""
    app.pass_s(600)
    assert app.connects() == [_SSID], "connect() again while connected"


async def test_static_address():
    app = App(ssid=_SSID, password=_KEY, static_ip="192.168.1.9", gateway="192.168.1.1")
    network.fake_networks[_SSID] = network.FakeNetwork(_KEY, address=None)  # no DHCP there
    app.pass_s(5)
    assert app.wifi.about()["ip"] == "192.168.1.9"
    assert network.WLAN(network.STA_IF).ifconfig() == ("192.168.1.9", "255.255.255.0", "192.168.1.1", "192.168.1.1")
    network.fake_networks[_SSID].address = "192.168.1.77"
    app.change(static_ip="")
    app.pass_s(10)
    assert app.wifi.about()["ip"] == "192.168.1.77", "DHCP again"


async def test_no_address_from_dhcp():
    app = App(ssid=_SSID, password=_KEY)
    network.fake_networks[_SSID] = network.FakeNetwork(_KEY, address=None)
    app.pass_s(70)
    assert app.wifi.failure == "TIMEOUT" and app.portal
    app.close()


async def test_wrong_password_and_not_found():
    for networks, password, failure in ((False, _KEY, "NOT_FOUND"), (True, "not that one", "WRONG_PASSWORD")):
        app = App(ssid=_SSID, password=password)
        if networks:
            network.fake_networks[_SSID] = network.FakeNetwork(_KEY)
        app.pass_s(2)
        assert app.portal is None
        app.pass_s(60)
        assert app.wifi.failure == failure and app.wifi.report()["failure"] == failure
        assert len(app.connects()) == 3, app.connects()
        assert app.names() == ["WIFI_AP_STARTED"]
        assert len([line for line in app.log.lines if failure in line[2]]) == 1, app.log.lines
        app.close()


async def test_reasons():
    reason = station.reason
    assert reason(15) == reason(202) == reason(204) == "WRONG_PASSWORD"
    assert reason(201) == "NOT_FOUND" and reason(210) == "OTHER_SECURITY" and reason(200) == "LOST"
    assert reason(1001) == "TIMEOUT" and reason(2) == "REFUSED_2"


async def test_old_reason_of_a_newer_driver():
    """From MicroPython 1.24 on, status() shows why the try before failed until there is news of this one."""
    app = App(ssid=_SSID, password=_KEY)
    network.fake_networks[_SSID] = network.FakeNetwork(_KEY)
    network.fake_steps = 12
    real = network.WLAN.status

    def status(wlan, *args):
        found = real(wlan, *args)
        return 201 if found == network.STAT_CONNECTING else found

    network.WLAN.status = status
    try:
        app.pass_s(10)
    finally:
        network.WLAN.status = real
    assert app.wifi.state == CONNECTED and app.connects() == [_SSID]


async def test_connects_between_two_questions():
    app = App(ssid=_SSID, password=_KEY)
    network.fake_networks[_SSID] = network.FakeNetwork(_KEY)
    network.fake_steps = 3  # isconnected() is still False, status() then says STAT_GOT_IP
    app.pass_s(5)
    assert app.wifi.state == CONNECTED and app.connects() == [_SSID]


async def test_driver_refuses():
    app = App(ssid=_SSID, password=_KEY)
    network.fake_networks[_SSID] = network.FakeNetwork(_KEY)
    station = network.WLAN(network.STA_IF)
    station.active(True)
    station.connect("somebody else's")  # connect() raises while it connects
    network.fake_steps = 1000
    app.pass_s(1)
    assert app.wifi.failure.startswith("DRIVER_"), app.wifi.failure
    network.fake_steps = 2
    app.pass_s(6)
    assert app.wifi.state == CONNECTED and app.wifi.failure == ""


async def test_access_point():
    app = App()
    app.pass_s(1)
    assert app.wifi.state == OFF and app.portal and app.connects() == []
    with open(app.board.data_dir + "/ap_password") as file:
        password = file.read().strip()
    assert len(password) == 10 and _ap()._config["password"] == password
    assert _ap().config("ssid") == "TinyBMS-ABCD" and _ap().config("security") == network.AUTH_WPA2_PSK
    assert _ap().active()
    assert password in app.board.lines[0] and "http://192.168.4.1/portal.html" in app.board.lines[0]
    assert not [line for line in app.log.lines if password in line[2]], "the password is in the log"
    assert app.wifi.about()["mode"] == "ap" and app.wifi.about()["ap_ssid"] == "TinyBMS-ABCD"
    report = app.wifi.report()
    assert report["ap_ip"] == "192.168.4.1" and report["state"] == "off" and password not in str(report)
    app.pass_s(3600)
    assert app.connects() == []
    app.close()
    assert app.wifi.ap_password() == password, "made once"
    for damaged in (b"short\n", b"\xff\xfe\xfd\xfc\xfb\xfa\xf9\xf8"):
        with open(app.board.data_dir + "/ap_password", "wb") as file:
            file.write(damaged)
        made = app.wifi.ap_password()
        assert len(made) == 10 and app.wifi.ap_password() == made != password


async def test_access_point_fails():
    app = App()
    real = network.WLAN.ifconfig

    def refuse(*args):
        raise OSError("no memory")

    network.WLAN.ifconfig = refuse
    try:
        app.pass_s(2)
    finally:
        network.WLAN.ifconfig = real
    assert app.portal is None and [line for line in app.log.lines if "no access point" in line[2]]
    assert not _ap().active()
    app.pass_s(61)
    assert app.portal and _ap().active(), "tried again"
    app.close()


async def test_router_comes_back():
    app = App(ssid=_SSID, password=_KEY)
    app.pass_s(60)
    assert app.portal and len(app.connects()) == 3
    network.fake_networks[_SSID] = network.FakeNetwork(_KEY)
    for _ in range(70):
        app.pass_s(1)
        if app.wifi.state == CONNECTED:
            break
    assert app.wifi.state == CONNECTED and app.wifi.failure == ""
    app.pass_s(50)
    assert app.portal, "the access point goes after a while"
    assert app.wifi.about()["mode"] == "station"
    app.pass_s(11)
    assert app.portal is None and not _ap().active()
    assert app.names() == ["WIFI_AP_STARTED", "WIFI_CONNECTED", "WIFI_AP_STOPPED"]
    assert "firmware.net.portal" not in sys.modules


async def test_tries_become_rare():
    app = App(ssid=_SSID, password=_KEY)
    app.pass_s(3600)
    assert 10 <= len(app.connects()) <= 20, len(app.connects())
    app.close()


async def test_nothing_is_tried_while_the_portal_is_used():
    app = App(ssid=_SSID, password=_KEY)
    app.pass_s(30)
    before = len(app.connects())
    network.fake_stations.append(b"\x02\0\0\0\0\x09")
    network.fake_networks[_SSID] = network.FakeNetwork(_KEY)
    app.pass_s(1000)
    assert len(app.connects()) == before and app.wifi.report()["ap_stations"] == 1
    network.fake_stations.clear()
    app.portal.redirect("192.168.4.2", "GET", "/app.js", "192.168.4.1")
    app.pass_s(100)
    assert len(app.connects()) == before, "a request a moment ago"
    app.portal.redirect("192.168.1.2", "GET", "/app.js", "192.168.4.1")  # not from there
    app.pass_s(60)
    assert app.wifi.state == CONNECTED
    app.close()


async def test_change_from_the_portal():
    app = App()
    app.pass_s(1)
    network.fake_stations.append(b"\x02\0\0\0\0\x09")
    network.fake_networks[_SSID] = network.FakeNetwork(_KEY)
    app.change(ssid=_SSID, password="wrong one")
    app.wifi.step()
    assert app.connects() == [], "the answer goes out first"
    app.pass_s(30)
    assert app.wifi.failure == "WRONG_PASSWORD" and app.wifi.state == WAITING and app.portal
    app.change(password=_KEY)
    app.pass_s(8)
    assert app.wifi.state == CONNECTED and app.portal and app.wifi.failure == ""
    app.pass_s(61)
    assert app.portal is None
    app.change(ssid="")
    app.pass_s(5)
    assert app.wifi.state == OFF and app.portal and app.names()[-2:] == ["WIFI_DISCONNECTED", "WIFI_AP_STARTED"]
    app.close()


async def test_change_that_does_not_work():
    """The former network is used when the new one does not work; `failure` says why, `fallback` that it is so."""
    app = App(ssid=_SSID, password=_KEY)
    network.fake_networks[_SSID] = network.FakeNetwork(_KEY)
    app.pass_s(5)
    app.change(ssid="Houze")
    app.pass_s(40)
    assert app.wifi.state == CONNECTED and app.wifi.fallback and app.wifi.failure == "NOT_FOUND"
    report = app.wifi.report()
    assert (
        report["ssid"] == _SSID and report["configured_ssid"] == "Houze" and report["fallback"] and app.portal is None
    )
    app.pass_s(3600)
    assert app.wifi.state == CONNECTED and app.connects()[-1] == _SSID
    del network.fake_networks[_SSID]
    network.WLAN(network.STA_IF).fake_lose()
    app.pass_s(120)
    assert app.portal and not app.wifi.about()["connected"]
    network.fake_networks[_SSID] = network.FakeNetwork(_KEY)  # both are tried
    app.pass_s(700)
    assert app.wifi.state == CONNECTED and app.wifi.fallback
    app.change(ssid=_SSID)
    app.pass_s(10)
    assert app.wifi.state == CONNECTED and not app.wifi.fallback and app.wifi.failure == ""
    app.close()


async def test_radio_loss():
    app = App(ssid=_SSID, password=_KEY)
    network.fake_networks[_SSID] = network.FakeNetwork(_KEY)
    app.pass_s(5)
    house = network.fake_networks.pop(_SSID)
    network.WLAN(network.STA_IF).fake_lose()
    app.pass_s(1)
    assert app.events[-1] == ("WIFI_DISCONNECTED", {"reason": "LOST"})
    app.pass_s(10)
    assert app.portal is None, "a network that has worked gets more time"
    network.fake_networks[_SSID] = house
    app.pass_s(10)
    assert app.wifi.state == CONNECTED and app.portal is None
    network.fake_networks.clear()
    network.WLAN(network.STA_IF).fake_lose()
    app.pass_s(200)
    assert app.portal
    network.fake_networks[_SSID] = house
    app.pass_s(400)
    assert app.wifi.state == CONNECTED
    network.WLAN(network.STA_IF).fake_lose()  # lost again while the access point is still there
    network.fake_networks.clear()
    app.pass_s(300)
    assert app.portal and app.wifi.state in (WAITING, CONNECTING)
    app.close()


async def test_redirect():
    app = App(ssid="", password="")
    app.pass_s(1)
    portal, url = app.portal, "http://192.168.4.1/portal.html"
    client = "192.168.4.2"
    for path, host in (("/generate_204", "connectivitycheck.gstatic.com"), ("/generate_204", "192.168.4.1"),
                       ("/hotspot-detect.html", "captive.apple.com"), ("/", "example.org"), ("/", "1.1.1.1:80"),
                       ("/connecttest.txt", "www.msftconnecttest.com")):  # fmt: skip
        assert portal.redirect(client, "GET", path, host) == url, (path, host)
        assert portal.redirect(bytes((192, 168, 4, 2)), "GET", path, host) == url
        assert portal.redirect("192.168.1.2", "GET", path, host) is None, "not a client of the access point"
        assert portal.redirect(client, "POST", path, host) is None
    for host in ("192.168.4.1", "gw.local", "GW.local:80", "bms.example.com", "localhost", ""):
        for path in ("/", "/portal.html", "/api/status"):
            assert portal.redirect(client, "GET", path, host) is None, (path, host)
    app.board.http_port = 8080
    assert portal.url() == "http://192.168.4.1:8080/portal.html"
    app.close()


async def test_scan():
    app = App(ssid=_SSID, password=_KEY)
    networks = network.fake_networks
    networks["Far"] = network.FakeNetwork(rssi=-90, channel=11)
    networks["Near"] = network.FakeNetwork(_KEY, rssi=-40)
    networks["Hidden"] = network.FakeNetwork(_KEY, hidden=True)
    app.wifi.step()
    app.wifi.step()
    assert app.wifi.state == CONNECTING
    try:
        await app.wifi.scan()
    except OSError as error:
        assert "busy" in str(error)
    else:
        raise AssertionError("scanned while it connects")
    app.pass_s(10)
    app.wifi.state = WAITING
    found = await app.wifi.scan()
    assert found == [
        {"ssid": "Near", "rssi": -40, "security": "wpa2", "channel": 6},
        {"ssid": "Far", "rssi": -90, "security": "open", "channel": 11},
    ]
    assert not app.wifi.scanning
    real = network.WLAN.scan

    def refuse(*args):
        raise OSError("Wifi Internal Error")

    network.WLAN.scan = refuse
    try:
        await app.wifi.scan()
    except OSError as error:
        assert "Internal" in str(error)
    else:
        raise AssertionError("no error")
    finally:
        network.WLAN.scan = real
    app.close()


async def test_scan_list():
    from firmware.net.scan import networks

    found = [
        (b"A", b"", 1, -70, 3, 0),
        (b"A", b"", 6, -50, 3, 0),
        (b"\xff\xfe", b"", 1, -10, 0, 0),
        (b"", b"", 1, -9, 0, 0),
    ]
    found.extend((b"n%d" % i, b"", 1, -80 - i, 99, 0) for i in range(40))
    listed = networks(found)
    assert listed[0] == {"ssid": "A", "rssi": -50, "security": "wpa2", "channel": 6}
    assert len(listed) == 24 and listed[1]["security"] == "other"


async def test_the_task_goes_on():
    app = App(ssid=_SSID, password=_KEY)
    network.fake_networks[_SSID] = network.FakeNetwork(_KEY)
    task = asyncio.create_task(app.wifi.run())
    for _ in range(3):
        await asyncio.sleep_ms(510)
    assert app.wifi.state == CONNECTED
    task.cancel()
