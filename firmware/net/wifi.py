"""WiFi: the station first, an access point when that does not work or nothing is configured. Its loss never resets anything.

One `connect` at a time: with `reconnects=0` the driver tries once and says why it failed. Left to itself (-1) it repeats for ever
and `status()` shows nothing but "connecting" (esp32_micropython facts 6; ports/esp32/network_wlan.c).
"""

import asyncio
from micropython import const
from firmware import bus as topics
from firmware import lazy

_POLL_MS = const(500)
_TRY_S = const(15)  # to find the network, to log in, and to get an address
_PAUSE_S = const(2)  # between tries; the driver tells late that it has left the last network
_TRIES = const(3)  # before the access point
_TRIES_KNOWN = const(8)  # the same for a network that has worked since the start: a router takes its time to restart
_AGAIN_S = const(60)  # from the access point back to the station, doubled up to the next
_AGAIN_MAX_S = const(300)
_GRACE_S = const(60)  # the access point stays so long beside the station: its user reads that it worked
_CHANGE_S = const(2)  # the answer to a change of the configuration goes out first

_IDLE = const(1000)  # network.STAT_IDLE and STAT_CONNECTING: no result yet; STAT_GOT_IP: just now
_CONNECTING = const(1001)
_GOT_IP = const(1010)
# Reasons of the driver (esp_wifi_types.h); 15 and 204 are what a wrong WPA2 password mostly looks like
_WRONG_PASSWORD = (15, 202, 204)
_NOT_FOUND = (201, 212)
_OTHER_SECURITY = (210, 211)
_LOST = (8, 200)

# What it does: the state of GET /api/wifi
OFF = "off"  # nothing is configured
WAITING = "waiting"  # until the next try
CONNECTING = "connecting"
CONNECTED = "connected"

_KEYS = ("wifi.ssid", "wifi.password", "wifi.static_ip", "wifi.netmask", "wifi.gateway")


def reason(status):
    """The API's word for a status of the driver that is not a connection."""
    if status in _WRONG_PASSWORD:
        return "WRONG_PASSWORD"
    if status in _NOT_FOUND:
        return "NOT_FOUND"
    if status in _OTHER_SECURITY:
        return "OTHER_SECURITY"
    if status in _LOST:
        return "LOST"
    return "TIMEOUT" if status in (_IDLE, _CONNECTING) else "REFUSED_%d" % status


class Wifi:
    """`app`: board, bus, config, log, http, event(name, data); `app.portal` is set while the access point is up.

    `network`: the module; `dns_port`: where the access point answers names. `failure` tells why the last try failed ("" once one
    has worked), `state` is one of the texts above, `fallback` is True on the former network because the new one does not work.
    """

    def __init__(self, app, network, dns_port=53):
        self.app = app
        self.driver = network
        self.dns_port = dns_port
        self.station = network.WLAN(network.STA_IF)
        self.state = OFF
        self.failure = ""
        self.fallback = False
        self.scanning = False
        self._configured = None  # values of _KEYS
        self._wanted = None  # those that are tried or in use: as configured, or the last that worked
        self._good = None  # the last that worked
        self._static = False
        self._tries = 0
        self._due = 0  # uptime in s: of the next try; of the end of this one
        self._again = _AGAIN_S
        self._ap_until = None
        self._before = 0  # status when the try began: newer drivers show the old reason until there is a new one
        self._change_due = 0
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
            if self._change_due is not None and now >= self._change_due and not self.scanning:
                self._change_due = None
                self._begin(now)
            self._look(now)
        except OSError as error:  # what the driver refuses counts as a try that failed
            self._failed(now, "DRIVER_%s" % error)

    # -- the station -------------------------------------------------------------------------------------------------

    def _on_config(self, topic, keys):
        for key in keys:
            if key in _KEYS or key == "system.hostname":
                self.connect()

    def connect(self):
        """Start anew in a moment with what is configured, also while the access point is used."""
        self._change_due = self.app.board.uptime_s() + _CHANGE_S

    def _begin(self, now):
        """Start anew with the configuration as it is."""
        if self.state in (CONNECTED, CONNECTING):
            if self.state == CONNECTED:
                self.app.event("WIFI_DISCONNECTED", {"reason": "CONFIG"})
            self.station.disconnect()
        config = self.app.config
        self._configured = self._wanted = tuple(config[key] for key in _KEYS)
        self._tries = 0
        self._again = _AGAIN_S
        self._due = now + (_PAUSE_S if self.state != OFF else 0)
        self.failure = ""
        self.fallback = False
        self.state = WAITING
        if not self._wanted[0]:
            self.state = OFF
            self._open_access_point()

    def _look(self, now):
        state = self.state
        if state == CONNECTED:
            if not self.station.isconnected():
                self._lost(now)
            elif self._ap_until is not None and now >= self._ap_until:
                self._close_access_point()
        elif state == CONNECTING:
            if self.station.isconnected():
                self._connected(now)
                return
            status = self.station.status()
            if now >= self._due or status not in (_IDLE, _CONNECTING, _GOT_IP, self._before):
                self._failed(now, reason(status))
        elif state == WAITING and now >= self._due and not self.scanning and not self._in_use(now):
            self._try(now)

    def _in_use(self, now):
        """True while somebody at the access point would be disturbed by a try: it changes the channel."""
        portal = self.app.portal
        return portal is not None and self._tries >= self._limit() and portal.in_use(now)

    def _limit(self):
        return _TRIES_KNOWN if self._configured == self._good else _TRIES

    def _try(self, now):
        ssid, password, address, netmask, gateway = self._wanted
        station = self.station
        self.state = CONNECTING
        self._due = now + _TRY_S
        self.driver.hostname(self.app.config["system.hostname"])
        station.active(True)
        station.config(reconnects=0)
        if address:
            gateway = gateway or "0.0.0.0"
            station.ifconfig((address, netmask or "255.255.255.0", gateway, gateway))
        elif self._static:
            station.ipconfig(dhcp4=True)
        self._static = address != ""
        station.connect(ssid, password or None)
        self._before = station.status()

    def _connected(self, now):
        app = self.app
        self.state = CONNECTED
        if not self.fallback:
            self.failure = ""
        self._good = self._good if self.fallback else self._wanted
        self._tries = 0
        self._again = _AGAIN_S
        self._ap_until = now + _GRACE_S if app.portal else None
        ip = self.station.ifconfig()[0]
        app.log.info("wifi", "connected to %s, address %s" % (self._wanted[0], ip))
        app.board.console("TinyBMS-GW: http://%s/" % ip)
        app.event("WIFI_CONNECTED", {"ssid": self._wanted[0], "ip": ip})

    def _lost(self, now):
        why = reason(self.station.status())
        self.app.log.warning("wifi", "connection lost: " + why)
        self.app.event("WIFI_DISCONNECTED", {"reason": why})
        self.state = WAITING  # `_begin` has nothing to leave
        self._begin(now)
        self.failure = why

    def _failed(self, now, why):
        """A try has failed: the next one, or the former network, or the access point."""
        if self._wanted is None or not self._wanted[0]:
            return
        if why != self.failure:
            self.app.log.warning("wifi", "no connection to %s: %s" % (self._wanted[0], why))
        if not self.fallback:
            self.failure = why
        if self.state == CONNECTING:
            try:
                self.station.disconnect()
            except OSError:
                pass
        self.state = WAITING
        self._tries += 1
        self._due = now + _PAUSE_S
        if self._tries < self._limit():
            return
        if self._good and self._good != self._configured:  # what was just configured does not work
            self.fallback = not self.fallback
            self._wanted = self._good if self.fallback else self._configured
            if self.fallback and self.app.portal is None:
                self.app.log.warning("wifi", "back to %s" % self._good[0])
                self._tries = 0
                return
        self._due = now + self._again
        self._again = min(2 * self._again, _AGAIN_MAX_S)
        self._open_access_point()

    # -- the access point --------------------------------------------------------------------------------------------

    def _open_access_point(self):
        self._ap_until = None
        if self.app.portal is None:
            try:
                self.app.portal = lazy.load("net.portal").Portal(self)
            except (OSError, MemoryError) as error:  # the next failed try comes here again
                self._close_access_point()
                self.app.log.error("wifi", "no access point: %s" % error)

    def _close_access_point(self):
        portal, self.app.portal = self.app.portal, None
        self._ap_until = None
        if portal:
            portal.stop()
        lazy.drop("net.portal")

    # -- for the API -------------------------------------------------------------------------------------------------

    def network(self):
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
            "ssid": self._wanted[0] if connected else "",
            "rssi": rssi,
            "ip": ip,
            "gateway": gateway,
            "netmask": netmask,
            "mode": "ap" if portal and not connected else "off" if self.state == OFF else "station",
            "ap_ssid": portal.ssid if portal else "",
            "hostname": self.app.config.get("system.hostname"),
        }

    def report(self):
        """The object of GET /api/wifi without the password of the access point."""
        return lazy.once("net.scan").report(self)

    def ap_password(self):
        """The password of the access point, made when there is none yet."""
        return lazy.once("net.ap_password").password(self.app.board, self.app.log)

    async def scan(self):
        """[{"ssid", "rssi", "security", "channel"}...], strongest first. Raises OSError with a text."""
        return await lazy.once("net.scan").scan(self)
