# ruff: noqa: F821  (the names come out of the stand-in)
"""The stand-in of `network` for a gateway in a process of its own: its surroundings are the JSON file TINYBMS_AIR, read again
whenever somebody looks.

    {"networks": {"House": {"password": "...", "rssi": -50}}, "stations": 0, "steps": 3}

`stations`: how many are at our access point; `steps`: see the stand-in. The access point has the address 127.0.0.1, so that a
browser of this machine is a client of it. Run by MicroPython (TINYBMS_RADIO names this directory).
"""

import json
import os

with open(__file__.rsplit("/", 3)[0] + "/stand_ins/network.py") as _file:
    exec(_file.read(), globals())


def _look():
    global fake_steps
    try:
        with open(os.getenv("TINYBMS_AIR")) as file:
            air = json.load(file)
    except ValueError:  # being written
        return
    fake_steps = air.get("steps", 2)
    fake_stations[:] = [b"\x02\0\0\0\0\x09"] * air.get("stations", 0)
    networks = air.get("networks", {})
    for ssid in list(fake_networks):
        if ssid not in networks:
            del fake_networks[ssid]
            station = WLAN(STA_IF)
            if station._got and station._config["ssid"] == ssid:
                station.fake_lose()
    for ssid, values in networks.items():
        if ssid not in fake_networks:
            fake_networks[ssid] = FakeNetwork(**values)


class _Air(WLAN):
    def fake_start(self, interface):
        super().fake_start(interface)
        if interface == AP_IF:
            self._static = ["127.0.0.1", "255.255.255.0", "127.0.0.1", "0.0.0.0"]

    def scan(self):
        _look()
        return super().scan()

    def isconnected(self):
        _look()
        return super().isconnected()

    def status(self, *args):
        _look()
        return super().status(*args)


WLAN = _Air
