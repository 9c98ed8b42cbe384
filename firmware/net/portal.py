"""The access point with its captive portal: names, and the questions by which telephones find out that there is no Internet.

Loaded while the access point is up. The page itself is web/portal.html, saved through the API like everything else.
"""

import asyncio
from micropython import const
from firmware import lazy

_WPA2 = const(3)  # network.AUTH_WPA2_PSK
_CLIENTS_MAX = const(4)
_QUIET_S = const(120)  # a client that has asked nothing for so long still counts while it is associated
# What systems ask for to see whether they are online (Android, Apple, Windows, Firefox, GNOME, Kindle)
_PROBES = (
    " /generate_204 /gen_204 /hotspot-detect.html /library/test/success.html /connecttest.txt /ncsi.txt /redirect"
    " /success.txt /canonical.html /check_network_status.txt /kindle-wifi/wifistub.html /nm-check.txt "
)


class Portal:
    """Starts the access point TinyBMS-XXXX. `ssid`, `password`, `address`. Raises OSError.

    `wifi`: a wifi.Wifi. `stop()` ends everything.
    """

    def __init__(self, wifi):
        app = self._app = wifi.app
        self._wifi = wifi
        network = wifi.driver
        mac = app.board.unique_id()
        self.ssid = "TinyBMS-%02X%02X" % (mac[-2], mac[-1])
        self.password = wifi.ap_password()
        self._wlan = network.WLAN(network.AP_IF)
        self._asked = -_QUIET_S  # uptime in s of the last request from there
        self._dns = None
        try:
            self._open()
            self.address = self._wlan.ifconfig()[0]
        except OSError:
            self._wlan.active(False)
            raise
        self._side = self.address.rsplit(".", 1)[0] + "."  # the network of the access point is a /24
        self._dns = asyncio.create_task(lazy.once("net.captive_dns").serve(self.address, wifi.dns_port, app.log))
        app.log.warning("wifi", "access point %s at %s" % (self.ssid, self.address))
        app.board.console("WiFi %s, password %s: %s" % (self.ssid, self.password, self.url()))
        app.event("WIFI_AP_STARTED", {"ssid": self.ssid, "ip": self.address})

    def _open(self):
        """Configured first where the driver lets us, so that there is no open network even for a moment."""
        wlan = self._wlan
        try:
            self._configure()
        except OSError:
            pass
        wlan.active(True)
        self._configure()

    def _configure(self):
        self._wlan.config(ssid=self.ssid, security=_WPA2, key=self.password, max_clients=_CLIENTS_MAX)

    def url(self):
        """Where the page is."""
        app = self._app
        port = app.board.http_port or app.http.port
        return "http://%s%s/portal.html" % (self.address, "" if port == 80 else ":%s" % port)

    def stop(self):
        self._dns.cancel()
        try:
            self._wlan.active(False)
        except OSError as error:
            self._app.log.warning("wifi", "access point: %s" % error)
        self._app.log.info("wifi", "access point stopped")
        self._app.event("WIFI_AP_STOPPED", {"ssid": self.ssid})

    def stations(self):
        """How many are associated."""
        try:
            return len(self._wlan.status("stations"))
        except OSError:
            return 0

    def in_use(self, now):
        """True while somebody is there or was a moment ago; `now`: uptime in s."""
        return now - self._asked < _QUIET_S or self.stations() > 0

    def redirect(self, client, method, path, host):
        """The URL that a request is sent to instead, or None. `client`: its address, text or four bytes."""
        if not isinstance(client, str):
            client = ".".join(str(byte) for byte in client)
        if not client.startswith(self._side):
            return None
        self._asked = self._app.board.uptime_s()
        if method not in ("GET", "HEAD"):
            return None
        if " " + path + " " in _PROBES:
            return self.url()
        name = host.lower().partition(":")[0].rstrip(".")
        config = self._app.config
        own = (
            self.address,
            self._wifi.about()["ip"],
            "localhost",
            "",
            config.get("system.hostname").lower() + ".local",
        )
        if name in own or name in config.get("auth.allowed_hosts").lower().replace(",", " ").split():
            return None
        return self.url()
