"""What Home Assistant documents for MQTT discovery: the keys of each component, device classes with their units, state classes.

From the pages "MQTT", "MQTT Sensor", "MQTT Binary sensor", "MQTT Button", "MQTT Number" and "Sensor" of its documentation.
"""

COMMON = {
    "availability", "availability_mode", "availability_template", "availability_topic", "default_entity_id", "device",
    "enabled_by_default", "encoding", "entity_category", "entity_picture", "icon", "json_attributes_template",
    "json_attributes_topic", "name", "object_id", "origin", "payload_available", "payload_not_available", "platform", "qos",
    "unique_id",
}  # fmt: skip
KEYS = {
    "sensor": {
        "device_class", "expire_after", "force_update", "last_reset_value_template", "options", "state_class", "state_topic",
        "suggested_display_precision", "unit_of_measurement", "value_template",
    },
    "binary_sensor": {
        "device_class", "expire_after", "force_update", "off_delay", "payload_off", "payload_on", "state_topic",
        "value_template",
    },
    "button": {"command_template", "command_topic", "device_class", "payload_press", "retain"},
    "number": {
        "command_template", "command_topic", "device_class", "max", "min", "mode", "optimistic", "payload_reset", "retain",
        "state_topic", "step", "unit_of_measurement", "value_template",
    },
}  # fmt: skip
REQUIRED = {
    "sensor": {"state_topic"},
    "binary_sensor": {"state_topic"},
    "button": {"command_topic"},
    "number": {"command_topic"},
}
DEVICE = {
    "configuration_url", "connections", "hw_version", "identifiers", "manufacturer", "model", "model_id", "name",
    "serial_number", "suggested_area", "sw_version", "via_device",
}  # fmt: skip
ORIGIN = {"name", "sw_version", "support_url"}
UNITS = {  # of the device classes that we use
    "voltage": {"V", "mV", "µV", "kV", "MV"},
    "current": {"A", "mA"},
    "power": {"mW", "W", "kW", "MW", "GW", "TW"},
    "energy": {"J", "kJ", "MJ", "GJ", "mWh", "Wh", "kWh", "MWh", "GWh", "TWh", "cal", "kcal", "Mcal", "Gcal"},
    "temperature": {"°C", "°F", "K"},
    "battery": {"%"},
    "duration": {"d", "h", "min", "s", "ms", "µs"},
    "enum": {None},
}
STATE_CLASSES = {  # that a device class allows
    "energy": {"total", "total_increasing", None},
    "enum": {None},
}
MEASURED = {"measurement", None}
BINARY_CLASSES = {"connectivity", "problem"}
BUTTON_CLASSES = {"identify", "restart", "update", None}


def check(topic, config):
    """Fail unless `config` is what Home Assistant takes under the discovery topic `topic`."""
    _, component, node, entity, last = topic.split("/")
    assert last == "config" and component in KEYS
    for level in (node, entity):
        assert level and all(char.isascii() and (char.isalnum() or char in "_-") for char in level), topic
    unknown = set(config) - COMMON - KEYS[component]
    assert not unknown, f"{topic}: {unknown}"
    assert set(config) >= REQUIRED[component] | {"unique_id", "name", "device", "origin", "availability_topic"}, topic
    assert set(config["device"]) <= DEVICE and config["device"]["identifiers"]
    assert config["device"]["configuration_url"].startswith("http://")
    assert set(config["origin"]) <= ORIGIN and config["origin"]["name"]
    assert config.get("entity_category") in (None, "config", "diagnostic")
    # "config" is for what can be set only (MQTT Sensor: diagnostic or none)
    assert component in ("button", "number") or config.get("entity_category") != "config"
    kind, unit = config.get("device_class"), config.get("unit_of_measurement")
    if component in ("sensor", "number") and kind is not None:
        assert unit in UNITS[kind], f"{topic}: {unit} for {kind}"
    if component == "sensor":
        allowed = STATE_CLASSES.get(kind, MEASURED if kind else MEASURED | {"total", "total_increasing"})
        assert config.get("state_class") in allowed, topic
        assert ("options" in config) == (kind == "enum")
        assert isinstance(config.get("suggested_display_precision", 0), int)
    elif component == "binary_sensor":
        assert kind in BINARY_CLASSES
    elif component == "button":
        assert kind in BUTTON_CLASSES
    else:
        assert config["min"] < config["max"] and config["step"] > 0 and config.get("mode") in ("auto", "box", "slider")


def check_value(config, metrics):
    """Fail unless the plain part of the template is there in the message, with a value that fits."""
    template = config.get("value_template", "")
    if not template.startswith("{{ value_json."):
        return
    path = template[len("{{ value_json.") : -len(" }}")].partition(" |")[0]
    name, bracket, index = path.partition("[")
    assert name in metrics, template
    value = metrics[name][int(index[:-1])] if bracket else metrics[name]
    if config.get("device_class") == "enum":
        assert value in config["options"]
    else:
        assert value is None or isinstance(value, (int, float)), template
