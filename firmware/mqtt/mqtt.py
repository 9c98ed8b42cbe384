"""The MQTT part: what stays in memory while MQTT is off. Once a broker is configured it loads `session.py` and more."""

import asyncio
from firmware import bus as topics
from firmware import lazy

_RESIDENT = ("session", "client", "messages", "frames")
_TRIED = ("probe", "settings", "opening", "tls", "peer")


def drop(names):
    """Forget modules of this room."""
    for name in names:
        lazy.drop("mqtt." + name)


def endpoint(get):
    """(scheme, host, port) of the broker, ("", "", 0) while there is none. `get` gives values of the configuration."""
    scheme, _, rest = get("mqtt.broker_uri").partition("://")
    if not rest:
        return "", "", 0
    host, colon, _ = rest.rstrip("/").partition(":")
    port = get("mqtt.port")  # the port of a URI is stored there
    return scheme, host, 8883 if scheme == "mqtts" and port == 1883 and not colon else port


class Mqtt:
    """`parts`: board, live, bus, bms, can, config, log, alerts, version, restart; `resolver`: see net/resolver.py.

    `await run()` is the whole of it, for ever.
    """

    def __init__(self, parts, resolver):
        self.parts = parts
        self.resolver = resolver
        self.connected = False
        self.verified = False  # the broker has shown that it is the one: CA and host name were checked
        self.sent = self.received = self.errors = 0
        self.last_error = ""
        self.changed = asyncio.Event()  # settings of ours have changed
        self.hurry = False  # the network is back: try at once
        self.config_due = True
        self.limits = (0, 0, 0)  # cvl_mv, ccl_ma, dcl_ma that a command has set, 0 = none
        self.limits_until = None  # uptime in s at which they end
        self.bms_restart = None  # uptime in s of the last one by command

    def status(self):
        """The object of GET /api/mqtt/status; what follows `last_error` is ours."""
        get = self.parts.config.get
        scheme, host, port = endpoint(get)
        return {
            "connected": self.connected,
            "broker": "%s://%s:%d" % (scheme, host, port) if host else "",
            "client_id": get("mqtt.client_id"),
            "messages_sent": self.sent,
            "messages_received": self.received,
            "errors": self.errors,
            "last_error": self.last_error,
            "enabled": bool(host),
            "verified": self.connected and self.verified,
        }

    async def run(self):
        bus, config = self.parts.bus, self.parts.config
        bus.subscribe(topics.CONFIG, self._on_config)
        bus.subscribe(topics.EVENT, self._on_event)
        try:
            while True:
                self.changed.clear()
                if config.get("mqtt.broker_uri"):
                    try:
                        await lazy.load("mqtt.session").run(self)
                    finally:
                        drop(_RESIDENT)
                        self.check_limits(True)
                else:
                    self.last_error = ""
                    await self.changed.wait()
        finally:
            bus.unsubscribe(topics.CONFIG, self._on_config)
            bus.unsubscribe(topics.EVENT, self._on_event)

    def _on_config(self, topic, keys):
        self.config_due = True
        for key in keys:
            if key.startswith("mqtt."):
                self.changed.set()

    def _on_event(self, topic, event):
        self.hurry = self.hurry or event[0] == "WIFI_CONNECTED"

    async def test(self, values):
        """Try the settings `values` (full keys, over the configuration); the object of POST /api/mqtt/test."""
        try:
            return await lazy.load("mqtt.probe").test(self, values)
        finally:
            drop(_TRIED)
            if not self.parts.config.get("mqtt.broker_uri"):
                drop(_RESIDENT)

    def check_limits(self, end=False):
        """Take back the limits of a command once they have run out, or to `end` them. The session calls this often."""
        until = self.limits_until
        if until is not None and (end or self.parts.board.uptime_s() >= until):
            lazy.once("mqtt.limits").put(self, (0, 0, 0), 0)

    def failed(self, text):
        """Count an error and show it."""
        self.errors += 1
        if text != self.last_error:
            self.parts.log.warning("mqtt", text)
        self.last_error = text
