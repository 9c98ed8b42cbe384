"""What the API asks of the WiFi now and then: the networks around, and how things are. Loaded for one use."""

import asyncio
from micropython import const

_LIST_MAX = const(24)
_STEP_MS = const(100)
_WAIT_MS = const(10_000)
# network.AUTH_...
_SECURITY = ("open", "wep", "wpa", "wpa2", "wpa/wpa2", "enterprise", "wpa3", "wpa2/wpa3")


def report(wifi):
    """The object of GET /api/wifi."""
    portal = wifi.app.portal
    result = wifi.about()
    result["state"] = wifi.state
    result["failure"] = wifi.failure
    result["fallback"] = wifi.fallback
    result["configured_ssid"] = wifi.app.config["wifi.ssid"]
    result["ap_ip"] = portal.address if portal else ""
    result["ap_stations"] = portal.stations() if portal else 0
    return result


async def scan(wifi):
    """See Wifi.scan. WLAN.scan() blocks 2-3 s, so it runs in a thread; the loop and the timers go on (facts 12, T4)."""
    if wifi.scanning or wifi.state == "connecting":
        raise OSError("busy, ask again in a few seconds")
    try:
        import _thread
    except ImportError:
        raise OSError("this firmware has no threads")
    done = []

    def look():
        try:
            done.append(wifi.station.scan())
        except Exception as error:
            done.append(error)

    wifi.scanning = True
    try:
        wifi.station.active(True)
        _thread.start_new_thread(look, ())
        for _ in range(_WAIT_MS // _STEP_MS):
            await asyncio.sleep_ms(_STEP_MS)
            if done:
                break
        else:
            raise OSError("the scan does not end")
    finally:
        wifi.scanning = False
    if isinstance(done[0], Exception):
        raise OSError("scan failed: %s" % done[0])
    return networks(done[0])


def networks(found):
    """The list of Wifi.scan from what WLAN.scan gave: (ssid, bssid, channel, RSSI, security, hidden)."""
    best = {}
    for ssid, _, channel, rssi, security, _ in found:
        try:
            name = ssid.decode()
        except UnicodeError:  # cannot be configured as text
            continue
        if name and (name not in best or best[name][0] < rssi):
            best[name] = (rssi, security, channel)
    return [
        {
            "ssid": name,
            "rssi": best[name][0],
            "security": _SECURITY[best[name][1]] if best[name][1] < len(_SECURITY) else "other",
            "channel": best[name][2],
        }
        for name in sorted(best, key=lambda name: -best[name][0])[:_LIST_MAX]
    ]
