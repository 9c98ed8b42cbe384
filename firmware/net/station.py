"""What happens to the WiFi when something is due: steps of wifi.Wifi. Loaded for each, as most of the time nothing is.

One `connect` at a time: with `reconnects=0` the driver tries once and says why it failed. Left to itself (-1) it repeats for ever
and `status()` shows nothing but "connecting" (esp32_micropython facts 6; ports/esp32/network_wlan.c).
"""

from micropython import const
from firmware import lazy
from firmware.net.wifi import CONNECTED, CONNECTING, OFF, WAITING

KEYS = ("wifi.ssid", "wifi.password", "wifi.static_ip", "wifi.netmask", "wifi.gateway")

_TRY_S = const(15)  # to find the network, to log in, and to get an address
_PAUSE_S = const(2)  # between tries; the driver tells late that it has left the last network
_TRIES = const(3)  # before the access point
_TRIES_KNOWN = const(8)  # the same for a network that has worked since the start: a router takes its time to restart
_AGAIN_S = const(60)  # from the access point back to the station, doubled up to the next
_AGAIN_MAX_S = const(300)
_GRACE_S = const(60)  # the access point stays so long beside the station: its user reads that it worked

# Reasons of the driver (esp_wifi_types.h); 15 and 204 are what a wrong WPA2 password mostly looks like
_WRONG_PASSWORD = (15, 202, 204)
_NOT_FOUND = (201, 212)
_OTHER_SECURITY = (210, 211)
_LOST = (8, 200)
_NO_RESULT = (1000, 1001)  # network.STAT_IDLE, STAT_CONNECTING


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
    return "TIMEOUT" if status in _NO_RESULT else "REFUSED_%d" % status


def step(wifi, now):
    """What is due; `now`: uptime in s. Raises OSError where the driver refuses."""
    state = wifi.state
    if wifi.change_due is not None and now >= wifi.change_due:
        wifi.change_due = None
        begin(wifi, now)
    elif state == CONNECTED:
        if not wifi.station.isconnected():
            lost(wifi, now)
        elif wifi.ap_until is not None and now >= wifi.ap_until:
            close_access_point(wifi)
    elif state == CONNECTING:
        status = wifi.station.status()
        if wifi.station.isconnected():
            connected(wifi, now)
        elif now >= wifi.due or status not in wifi.no_news():
            failed(wifi, now, reason(status))
    elif state == WAITING:
        attempt(wifi, now)
    else:
        open_access_point(wifi, now)  # it has failed before


def begin(wifi, now):
    """Start anew with the configuration as it is."""
    if wifi.state in (CONNECTED, CONNECTING):
        if wifi.state == CONNECTED:
            wifi.app.event("WIFI_DISCONNECTED", {"reason": "CONFIG"})
        leave(wifi)
    config = wifi.app.config
    wifi.configured = wifi.wanted = tuple(config[key] for key in KEYS)
    wifi.tries = 0
    wifi.tired = False
    wifi.again = _AGAIN_S
    wifi.due = now + (_PAUSE_S if wifi.state != OFF else 0)
    wifi.failure = ""
    wifi.fallback = False
    wifi.state = WAITING
    if not wifi.wanted[0]:
        wifi.state = OFF
        open_access_point(wifi, now)


def leave(wifi):
    try:
        wifi.station.disconnect()
    except OSError:  # there was nothing to leave
        pass


def limit(wifi):
    """How many tries there are before the access point."""
    return _TRIES_KNOWN if wifi.configured == wifi.good else _TRIES


def attempt(wifi, now):
    """Begin a try with what is wanted."""
    ssid, password, address, netmask, gateway = wifi.wanted
    station = wifi.station
    wifi.state = CONNECTING
    wifi.due = now + _TRY_S
    wifi.driver.hostname(wifi.app.config["system.hostname"])
    station.active(True)
    station.config(reconnects=0)
    if address:
        gateway = gateway or "0.0.0.0"
        station.ifconfig((address, netmask or "255.255.255.0", gateway, gateway))
    elif wifi.static:
        station.ipconfig(dhcp4=True)
    wifi.static = address != ""
    station.connect(ssid, password or None)
    wifi.before = station.status()


def connected(wifi, now):
    app = wifi.app
    wifi.state = CONNECTED
    if not wifi.fallback:
        wifi.failure = ""
    wifi.good = wifi.good if wifi.fallback else wifi.wanted
    wifi.tries = 0
    wifi.tired = False
    wifi.again = _AGAIN_S
    wifi.ap_until = now + _GRACE_S if app.portal else None
    ip = wifi.station.ifconfig()[0]
    app.log.info("wifi", "connected to %s, address %s" % (wifi.wanted[0], ip))
    app.board.console("TinyBMS-GW: http://%s/" % ip)
    app.event("WIFI_CONNECTED", {"ssid": wifi.wanted[0], "ip": ip})


def lost(wifi, now):
    why = reason(wifi.station.status())
    wifi.app.log.warning("wifi", "connection lost: " + why)
    wifi.app.event("WIFI_DISCONNECTED", {"reason": why})
    wifi.state = WAITING  # `begin` has nothing to leave
    begin(wifi, now)
    wifi.failure = why


def failed(wifi, now, why):
    """A try has failed: the next one, or the former network, or the access point."""
    if wifi.wanted is None or not wifi.wanted[0]:
        return
    if why != wifi.failure:
        wifi.app.log.warning("wifi", "no connection to %s: %s" % (wifi.wanted[0], why))
    if not wifi.fallback:
        wifi.failure = why
    if wifi.state == CONNECTING:
        leave(wifi)
    wifi.state = WAITING
    wifi.tries += 1
    wifi.due = now + _PAUSE_S
    if wifi.tries < limit(wifi):
        return
    if wifi.good and wifi.good != wifi.configured:  # what was just configured does not work
        wifi.fallback = not wifi.fallback
        wifi.wanted = wifi.good if wifi.fallback else wifi.configured
        if wifi.fallback and wifi.app.portal is None:
            wifi.app.log.warning("wifi", "back to %s" % wifi.good[0])
            wifi.tries = 0
            return
    wifi.tired = True
    wifi.due = now + wifi.again
    wifi.again = min(2 * wifi.again, _AGAIN_MAX_S)
    open_access_point(wifi, now)


def open_access_point(wifi, now):
    wifi.ap_until = None
    wifi.due = max(wifi.due, now + _AGAIN_S)
    if wifi.app.portal is None:
        try:
            wifi.app.portal = lazy.load("net.portal").Portal(wifi)
        except (OSError, MemoryError) as error:  # the next failed try comes here again
            close_access_point(wifi)
            wifi.app.log.error("wifi", "no access point: %s" % error)


def close_access_point(wifi):
    portal, wifi.app.portal = wifi.app.portal, None
    wifi.ap_until = None
    if portal:
        portal.stop()
    lazy.drop("net.portal")
