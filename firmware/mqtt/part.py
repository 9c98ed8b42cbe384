"""The methods of mqtt.Mqtt. Loaded when asked for one, and as long as a broker is configured."""

from firmware import lazy

_RESIDENT = ("session", "client", "messages", "frames")
_TRIED = ("probe", "settings", "opening", "tls", "peer")


def _drop(names):
    for name in names:
        lazy.drop("mqtt." + name)


def begin(mqtt):
    """Give it the attributes that nothing needs before."""
    if mqtt.begun:
        return
    mqtt.begun = True
    mqtt.resolver = lazy.once("net.resolver").Resolver(mqtt.parts.board)
    mqtt.connected = False
    mqtt.verified = False  # the broker has shown that it is the one: CA and host name were checked
    mqtt.sent = mqtt.received = mqtt.errors = 0
    mqtt.last_error = ""
    mqtt.hurry = False  # the network is back: try at once
    mqtt.config_due = True
    mqtt.limits = (0, 0, 0)  # cvl_mv, ccl_ma, dcl_ma that a command has set, 0 = none
    mqtt.limits_until = None  # uptime in s at which they end
    mqtt.bms_restart = None  # uptime in s of the last one by command


async def keep(mqtt):
    """Stay connected as long as a broker is configured."""
    begin(mqtt)
    try:
        await lazy.load("mqtt.session").run(mqtt)
        mqtt.last_error = ""
    finally:
        mqtt.part = None
        _drop(_RESIDENT)
        check_limits(mqtt, True)


def status(mqtt):
    """The object of GET /api/mqtt/status; what follows `last_error` is ours."""
    get = mqtt.parts.config.get
    scheme, host, port = lazy.once("mqtt.endpoint").endpoint(get)
    begun = mqtt.begun
    connected = begun and mqtt.connected
    return {
        "connected": connected,
        "broker": "%s://%s:%d" % (scheme, host, port) if host else "",
        "client_id": get("mqtt.client_id"),
        "messages_sent": mqtt.sent if begun else 0,
        "messages_received": mqtt.received if begun else 0,
        "errors": mqtt.errors if begun else 0,
        "last_error": mqtt.last_error if begun else "",
        "enabled": bool(host),
        "verified": connected and mqtt.verified,
    }


async def test(mqtt, values):
    """Try the settings `values` (full keys, over the configuration); the object of POST /api/mqtt/test."""
    begin(mqtt)
    try:
        return await lazy.load("mqtt.probe").test(mqtt, values)
    finally:
        _drop(_TRIED)
        if not mqtt.parts.config.get("mqtt.broker_uri"):
            _drop(_RESIDENT)


def check_limits(mqtt, end=False):
    """Take back the limits of a command once they have run out, or to `end` them. The session calls this often."""
    until = mqtt.limits_until
    if until is not None and (end or mqtt.parts.board.uptime_s() >= until):
        lazy.once("mqtt.limits").put(mqtt, (0, 0, 0), 0)


def failed(mqtt, text):
    """Count an error and show it."""
    mqtt.errors += 1
    if text != mqtt.last_error:
        mqtt.parts.log.warning("mqtt", text)
    mqtt.last_error = text
