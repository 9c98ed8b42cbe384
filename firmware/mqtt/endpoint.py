"""Where the broker is. Loaded when asked."""


def endpoint(get):
    """(scheme, host, port) of the broker, ("", "", 0) while there is none. `get` gives values of the configuration."""
    scheme, _, rest = get("mqtt.broker_uri").partition("://")
    if not rest:
        return "", "", 0
    host, colon, _ = rest.rstrip("/").partition(":")
    port = get("mqtt.port")  # the port of a URI is stored there
    return scheme, host, 8883 if scheme == "mqtts" and port == 1883 and not colon else port
