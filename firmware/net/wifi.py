"""WiFi: the station first, an access point when that does not work or nothing is configured. Its loss never resets anything.

Here lies what is asked all the time; what happens when something is due is station.py, loaded for it.
"""

import asyncio
from micropython import const
from firmware import bus as topics
from firmware import lazy
from firmware.lazy import seldom

_POLL_MS = const(500)
_CHANGE_S = const(2)  # the answer to a change of the configuration goes out first

_IDLE = const(1000)  # network.STAT_IDLE and STAT_CONNECTING: no result yet; STAT_GOT_IP: just now
_CONNECTING = const(1001)
_GOT_IP = const(1010)

# What it does: the state of GET /api/wifi
OFF = "off"  # nothing is configured
WAITING = "waiting"  # until the next try
CONNECTING = "connecting"
CONNECTED = "connected"


class Wifi:
    """`app`: board, bus, config, log, http, event(name, data); `app.portal` is set while the access point is up.

    `network`: the module; `dns_port`: where the access point answers names. `failure` tells why the last try failed ("" once one
    has worked), `state` is one of the texts above, `fallback` is True on the former network because the new one does not work.
    """

    @seldom
    def __init__(self, app, network, dns_port=53):
        self.app = app
        self.driver = network
        self.dns_port = dns_port
        self.station = network.WLAN(network.STA_IF)
        self.state = OFF
        self.failure = ""
        self.fallback = False
        self.scanning = False
        self.configured = None  # values of station.KEYS
        self.wanted = None  # those that are tried or in use: as configured, or the last that worked
        self.good = None  # the last that worked
        self.static = False
        self.tries = 0
        self.due = 0  # uptime in s: of the next try; of the end of this one
        self.again = 0
        self.ap_until = None
        self.tired = False  # so many tries have failed that the access point comes first
        self.before = 0  # status when the try began
        self.change_due = 0
        app.bus.subscribe(topics.CONFIG, self._on_config)

    async def run(self):
        """The task: for ever."""
        while True:
            self.step()
            await asyncio.sleep_ms(_POLL_MS)

    def step(self):
        """Look at the driver and do what is due; never waits."""
        now = self.app.board.uptime_s()
        try:
            if self._is_due(now):
                lazy.once("net.station").step(self, now)
        except OSError as error:  # what the driver refuses counts as a try that failed
            lazy.once("net.station").failed(self, now, "DRIVER_%s" % error)

    def _is_due(self, now):
        if self.change_due is not None and now >= self.change_due:
            return not self.scanning
        if self.state == CONNECTED:
            return not self.station.isconnected() or (self.ap_until is not None and now >= self.ap_until)
        if self.state == CONNECTING:
            return now >= self.due or self.station.status() not in self.no_news() or self.station.isconnected()
        portal = self.app.portal
        if now < self.due or self.scanning:
            return False
        if self.state == OFF:
            return portal is None
        return not (
            portal and self.tired and portal.in_use(now)
        )  # a try changes the channel: its user would be cut off

    def no_news(self):
        """What status() gives while a try has no result: newer drivers show the reason of the one before."""
        return (_IDLE, _CONNECTING, _GOT_IP, self.before)

    def _on_config(self, topic, keys):
        for key in keys:
            if key.startswith("wifi.") or key == "system.hostname":
                self.connect()

    def connect(self):
        """Start anew in a moment with what is configured, also while the access point is used."""
        self.change_due = self.app.board.uptime_s() + _CHANGE_S

    # -- for the API -------------------------------------------------------------------------------------------------

    @seldom
    def about(self):
        """The `wifi` object of GET /api/status."""
        connected = self.state == CONNECTED and self.station.isconnected()
        portal = self.app.portal
        ip, netmask, gateway, _ = self.station.ifconfig() if connected else ("", "", "", "")
        try:
            rssi = self.station.status("rssi") if connected else 0
        except OSError:  # lost just now
            rssi = 0
        return {
            "connected": connected,
            "ssid": self.wanted[0] if connected else "",
            "rssi": rssi,
            "ip": ip,
            "gateway": gateway,
            "netmask": netmask,
            "mode": "ap" if portal and not connected else "off" if self.state == OFF else "station",
            "ap_ssid": portal.ssid if portal else "",
            "hostname": self.app.config.get("system.hostname"),
        }

    @seldom
    def report(self):
        """The object of GET /api/wifi without the password of the access point."""
        return lazy.once("net.scan").report(self)

    @seldom
    def ap_password(self):
        """The password of the access point, made when there is none yet."""
        return lazy.once("net.ap_password").password(self.app.board, self.app.log)

    @seldom
    async def scan(self):
        """[{"ssid", "rssi", "security", "channel"}...], strongest first. Raises OSError with a text."""
        return await lazy.once("net.scan").scan(self)
