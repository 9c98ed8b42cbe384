"""The settings of one session, worked out of the configuration. Loaded when a session starts, dropped at once."""

from firmware import lazy

_COMMANDS = ("acknowledge", "limits", "config", "registers", "restart_bms", "restart_gateway")
_TOPICS = ("status", "metrics", "config", "alerts", "can_raw", "can_decoded", "can_ready")


class Settings:
    """Attributes: texts that go over the wire are bytes; `topics` {name: bytes}; `base` and `id` str."""


def safe(text):
    """`text` with only what may stand in a topic level and in Home Assistant's ids: letters, digits, - and _."""
    return "".join(c if c.isalpha() or c.isdigit() or c in "-_" else "-" for c in text)


def make(get):
    """Settings from `get(key)`. Without a broker only `host` == ""."""
    settings = Settings()
    scheme, settings.host, settings.port = lazy.once("mqtt.endpoint").endpoint(get)
    if not settings.host:
        return settings
    settings.tls = scheme == "mqtts"
    settings.ca, settings.cert = get("mqtt.ca_cert_path"), get("mqtt.client_cert_path")
    settings.key = get("mqtt.client_key_path")
    settings.check_name = get("mqtt.verify_hostname")
    settings.verified = bool(settings.tls and settings.ca and settings.check_name)
    settings.user, settings.password = get("mqtt.username").encode(), get("mqtt.password").encode()
    settings.client_id = get("mqtt.client_id").encode()
    settings.keepalive = get("mqtt.keepalive")
    settings.qos, settings.retain = get("mqtt.default_qos"), get("mqtt.retain")
    settings.id = safe(get("mqtt.client_id"))
    settings.topics = {}
    for name in _TOPICS:
        wanted = not name.startswith("can_") or get("mqtt.%s_enabled" % name)
        topic = get("mqtt.topics." + name).replace("{id}", settings.id)
        settings.topics[name] = topic.encode() if wanted else None
    status = settings.topics["status"].decode()
    settings.base = status.rpartition("/")[0] or status
    settings.will_topic = settings.topics["status"] + b"/availability"
    settings.commands = [name for name in _COMMANDS if get("mqtt.commands." + name)]
    settings.discovery = get("mqtt.home_assistant.prefix") if get("mqtt.home_assistant.enabled") else ""
    return settings
