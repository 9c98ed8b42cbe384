"""The gateway on the stand-in of an ESP32's radio: access point, captive portal, first set-up, and the way back."""

import json
import socket
import struct
import urllib.error
import urllib.request
from pathlib import Path

import pytest

from tests.integration.parts import wait_for

AIR = Path(__file__).parent / "air"
KEY = "a good password"


def free_udp_port():
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Air:
    """The surroundings of the radio, see air/network.py."""

    def __init__(self, path):
        self.path = path
        self.dns_port = free_udp_port()
        self.set()

    def set(self, stations=0, **networks):
        text = json.dumps({"networks": networks, "stations": stations, "steps": 3})
        temporary = self.path.with_suffix(".new")
        temporary.write_text(text)
        temporary.replace(self.path)


@pytest.fixture
def air(tmp_path, monkeypatch, host_build):
    air = Air(tmp_path / "air.json")
    monkeypatch.setenv("TINYBMS_RADIO", str(AIR))
    monkeypatch.setenv("TINYBMS_RADIO_DNS", str(air.dns_port))
    monkeypatch.setenv("TINYBMS_AIR", str(air.path))
    monkeypatch.setenv("TINYBMS_DNS", "127.0.0.1:9")  # nobody answers names here
    return air


def state_of(gateway):
    return gateway.http("/api/wifi").json


class NoRedirect(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *_):
        return None


def get(gateway, path, host):
    """(status, Location) of a request as a telephone sends it when it looks for the Internet."""
    request = urllib.request.Request(gateway.url + path, headers={"Host": host})
    try:
        with urllib.request.build_opener(NoRedirect).open(request, timeout=10) as answer:
            return answer.status, None
    except urllib.error.HTTPError as error:
        return error.code, error.headers["Location"]


def ask_name(port, name):
    """The IPv4 address that the access point's name server gives."""
    labels = b"".join(bytes([len(label)]) + label.encode() for label in name.split("."))
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.settimeout(5)
        sock.sendto(struct.pack(">6H", 7, 0x0100, 1, 0, 0, 0) + labels + b"\0\0\x01\0\x01", ("127.0.0.1", port))
        return socket.inet_ntoa(sock.recv(512)[-4:])


def test_first_setup(parts, air):
    gateway = parts.start_gateway()
    wait_for(lambda: state_of(gateway)["mode"] == "ap", what="the access point")
    line = gateway.child.wait_line("WiFi TinyBMS-")
    password = (parts.data / "ap_password").read_text().strip()
    assert f"password {password}: http://127.0.0.1" in line
    state = state_of(gateway)
    assert state["state"] == "off" and state["ap_ip"] == "127.0.0.1" and "ap_password" not in state
    assert gateway.status()["wifi"]["mode"] == "ap"
    assert gateway.http("/api/wifi?secrets=1").status == 403

    assert ask_name(air.dns_port, "connectivitycheck.gstatic.com") == "127.0.0.1"
    portal = gateway.url + "/portal.html"
    assert get(gateway, "/generate_204", "connectivitycheck.gstatic.com") == (302, portal)
    assert get(gateway, "/hotspot-detect.html", "captive.apple.com") == (302, portal)
    assert get(gateway, "/", "example.org") == (302, portal)
    assert get(gateway, "/", f"127.0.0.1:{gateway.port}")[0] == 200
    assert gateway.http("/api/config", "POST", {"wifi_ssid": "x"}, {"Host": "example.org"}).status == 403
    page = gateway.http("/portal.html")
    assert page.status == 200 and "default-src 'self'" in page.headers["Content-Security-Policy"]

    air.set(1, House={"password": KEY, "rssi": -48}, Open={})
    found = gateway.http("/api/wifi/scan").json["networks"]
    assert [(network["ssid"], network["security"]) for network in found] == [("House", "wpa2"), ("Open", "open")]

    body = {"wifi": {"ssid": "House", "password": "not the password"}}
    assert gateway.http("/api/config", "POST", body).json["success"]
    wait_for(lambda: state_of(gateway)["failure"] == "WRONG_PASSWORD", what="the failure")
    assert state_of(gateway)["mode"] == "ap"
    assert gateway.http("/api/config", "POST", {"wifi_password": KEY}).json["success"]
    state = wait_for(lambda: state_of(gateway)["connected"] and state_of(gateway), what="the connection")
    assert state["ip"] == "192.168.1.50" and state["ssid"] == "House" and state["failure"] == ""
    assert state["ap_ssid"].startswith("TinyBMS-"), "the access point stays for a minute"


def test_station_and_its_password(parts, air):
    air.set(House={"password": KEY})
    gateway = parts.start_gateway({"wifi": {"ssid": "House", "password": KEY}})
    wait_for(lambda: state_of(gateway)["connected"], what="the connection")
    assert gateway.status()["wifi"]["ap_ssid"] == ""
    assert get(gateway, "/generate_204", "example.org")[0] == 404, "no portal without an access point"
    admin = {"Authorization": "Basic YWRtaW46YWRtaW4xMjM="}
    assert gateway.http("/api/auth/password", "POST", {"password": "admin123"}).json["success"]
    assert gateway.http("/api/wifi/scan").status == 401
    assert gateway.http("/api/wifi?secrets=1").status == 401
    state = gateway.http("/api/wifi?secrets=1", headers=admin).json
    assert state["ap_password"] == (parts.data / "ap_password").read_text().strip()
    assert gateway.http("/api/wifi/scan", headers=admin).json["networks"][0]["ssid"] == "House"
    assert gateway.http("/api/wifi/connect", "POST", {}).status == 401

    air.set()  # the network goes: nothing restarts, an access point comes in the end
    wait_for(lambda: state_of(gateway)["failure"] in ("LOST", "NOT_FOUND"), what="the loss")
    air.set(House={"password": KEY})
    wait_for(lambda: state_of(gateway)["connected"], what="the way back")
    assert gateway.child.exit_code() is None


def test_time_of_a_server(parts, air):
    """NTP through the gateway's own loop; a wrong originate timestamp is no answer."""
    air.set(House={"password": KEY})
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as server:
        server.bind(("127.0.0.1", 0))
        server.settimeout(30)
        name = f"127.0.0.1:{server.getsockname()[1]}"
        gateway = parts.start_gateway({"wifi": {"ssid": "House", "password": KEY}, "time": {"ntp_server": name}})
        request, peer = server.recvfrom(100)
        assert len(request) == 48 and request[0] == 0x23
        head = bytes([0x24, 2, 6, 0xEC]) + bytes(8) + b"GPS\0" + bytes(8)
        seconds = 1_900_000_000 + 2_208_988_800
        for mark, stamp in ((bytes(8), seconds + 999), (request[40:48], seconds)):
            server.sendto(head + mark + bytes(8) + struct.pack(">II", stamp & 0xFFFFFFFF, 0), peer)
        info = wait_for(
            lambda: (
                gateway.http("/api/system/info").json["time_source"] == "ntp" and gateway.http("/api/system/info").json
            ),
            what="the time",
        )
    assert 0 <= info["timestamp_ms"] - 1_900_000_000_000 < 60_000 and info["time_valid"]


def test_a_computer_has_no_wifi(parts, host_build):
    gateway = parts.start_gateway()
    state = state_of(gateway)
    assert state["mode"] == "host" and state["connected"]
    assert gateway.http("/api/wifi/scan").status == 503 and gateway.http("/api/wifi/connect", "POST", {}).status == 503
    assert gateway.http("/api/system/info").json["time_source"] == "host"
    assert not (parts.data / "ap_password").exists()
