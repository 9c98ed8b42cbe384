"""The configuration: table, forms of POST, checks, secrets, store, backup."""

import json
import os
import sys

from firmware import bus as topics
from firmware.board import pins
from firmware.bus import Bus
from firmware.config import rules, schema
from firmware.config.config import Config, ConfigError
from tests.unit.help import raises

_MAC = b"\x24\x0a\xc4\x12\xab\xef"
_DIR = "build_test_config"


def _clean():
    try:
        os.mkdir(_DIR)
    except OSError:
        pass
    for name in os.listdir(_DIR):
        os.remove(_DIR + "/" + name)


def _fresh(**kw):
    _clean()
    config = Config(_DIR, _MAC, **kw)
    config.load()
    return config


def _again():
    config = Config(_DIR, _MAC)
    config.load()
    return config


def _refused(config, obj, group=None):
    """The details of the refusal of `obj`; nothing may have changed."""
    before = config.nested(True)
    if group:
        error = raises(ConfigError, config.update_group, group, obj)
    else:
        error = raises(ConfigError, config.update, obj)
    assert config.nested(True) == before
    return error.details


def _write(name, text):
    with open(_DIR + "/" + name, "w") as file:
        file.write(text)


def _read(name):
    with open(_DIR + "/" + name) as file:
        return file.read()


def test_table_is_sound():
    seen = {}
    for row in schema.rows():
        assert row.kind in ("bool", "int", "text", "ascii", "choice", "ip", "uri", "topic", "name"), row.key
        flat = row.key.replace(".", "_")
        assert flat not in seen, row.key
        seen[flat] = row.key
        assert schema.find(row.key).default == row.default
        assert schema.resolve("", flat).key == row.key, flat
        assert rules.check_value(row, row.make_default(_MAC)) is None, row.key
    assert len(seen) > 90


def test_only_hardware_needs_a_restart():
    restart = sorted(row.key for row in schema.rows() if row.has(schema.RESTART))
    assert restart == [
        "ble.enabled", "ble.provisioning", "can.rx_pin", "can.speed", "can.tx_pin", "system.board", "system.led_pin",
        "uart.baudrate", "uart.rx_pin", "uart.tx_pin",
    ]  # fmt: skip


def test_defaults_of_the_reference():
    values = _fresh().nested()
    assert values["wifi"] == {"ssid": "", "password": "", "static_ip": "", "gateway": "", "netmask": ""}
    mqtt = values["mqtt"]
    assert mqtt["broker_uri"] == "" and mqtt["port"] == 1883 and mqtt["username"] == ""
    assert mqtt["client_id"] == "tinybms-gw-12abef"
    assert mqtt["keepalive"] == 120 and mqtt["default_qos"] == 1 and not mqtt["retain"] and not mqtt["verify_hostname"]
    assert mqtt["topics"]["status"] == "tinybms/status" and mqtt["topics"]["can_ready"] == "tinybms/can/ready"
    uart = values["uart"]
    assert (uart["baudrate"], uart["tx_pin"], uart["rx_pin"], uart["timeout_ms"]) == (115200, 17, 16, 1000)
    can = values["can"]
    assert (can["speed"], can["tx_pin"], can["rx_pin"], can["protocol"]) == (500000, 5, 4, "VICTRON")
    alerts = values["alerts"]
    for name, value in (
        ("enabled", True), ("debounce_sec", 60), ("temp_high_enabled", True), ("temperature_max_c", 45),
        ("temp_low_enabled", False), ("temperature_min_c", 0), ("cell_volt_high_enabled", True),
        ("cell_voltage_max_mv", 3650), ("cell_volt_low_enabled", True), ("cell_voltage_min_mv", 2800),
        ("monitor_tinybms_events", True), ("monitor_status_changes", True),
    ):  # fmt: skip
        assert alerts[name] is value or alerts[name] == value, name
    for name in values["mqtt"]["commands"]:
        assert values["mqtt"]["commands"][name] is False


def test_flat_nested_and_mixed_forms():
    config = _fresh()
    keys, restart = config.update(
        {
            "wifi_ssid": "Net",
            "wifi_password": "secret123",
            "mqtt_broker": "mqtt://broker.example.com",
            "mqtt_port": 1884,
        }
    )
    assert sorted(keys) == ["mqtt.broker_uri", "mqtt.port", "wifi.password", "wifi.ssid"] and not restart
    keys, restart = config.update({"uart": {"tx_pin": 18}, "topic_status": "a/b", "mqtt_topics_alerts": "c"})
    assert sorted(keys) == ["mqtt.topics.alerts", "mqtt.topics.status", "uart.tx_pin"] and restart
    assert config.get("mqtt.topics.status") == "a/b" and config.get("uart.tx_pin") == 18
    keys, _ = config.update({"mqtt": {"home_assistant": {"prefix": "ha"}}, "mqtt_home_assistant_enabled": False})
    assert sorted(keys) == ["mqtt.home_assistant.enabled", "mqtt.home_assistant.prefix"]
    assert config.update({}) == ((), False)


def test_group_forms():
    config = _fresh()
    keys, _ = config.update_group(
        "mqtt",
        {"broker_uri": "mqtt://new-broker.com", "port": 1883, "username": "u", "password": "p", "topic_status": "s",
         "topics": {"metrics": "m"}, "host": "x", "scheme": "mqtt"},
    )  # fmt: skip
    assert sorted(keys) == [
        "mqtt.broker_uri",
        "mqtt.password",
        "mqtt.topics.metrics",
        "mqtt.topics.status",
        "mqtt.username",
    ]
    group = config.group("mqtt")
    assert group["host"] == "new-broker.com" and group["scheme"] == "mqtt" and group["password"] == "********"
    assert config.update_group("mqtt", group) == ((), False)
    keys, _ = config.update_group("alerts", {"debounce_sec": 120, "temperature_max_c": 50, "enabled": True})
    assert sorted(keys) == ["alerts.debounce_sec", "alerts.temperature_max_c"]
    assert _refused(config, {"nonsense": 1}, "alerts") == "nonsense is unknown"
    assert _refused(config, {"debounce_sec": 3601}, "alerts") == "debounce_sec must be an integer, 0 to 3600"
    raises(KeyError, config.group, "none")


def test_posting_back_what_get_gave_changes_nothing():
    config = _fresh()
    config.update({"wifi_ssid": "Net", "wifi_password": "secret123", "mqtt_broker": "mqtt://h:1999", "mqtt_port": 1883})
    before = _read("config.json")
    given = config.nested()
    assert given["wifi"]["password"] == "********" and given["mqtt"]["password"] == ""
    given["mqtt"]["host"] = "h"
    assert config.update(given) == ((), False)
    assert config.get("wifi.password") == "secret123" and _read("config.json") == before


def test_port_and_broker():
    config = _fresh()
    config.update({"mqtt_broker": "mqtts://h:8883"})
    assert config.get("mqtt.port") == 8883
    config.update({"mqtt": {"broker_uri": "mqtt://h:1111", "port": 2222}})
    assert config.get("mqtt.port") == 2222
    config.update({"mqtt_broker": "mqtt://h"})
    assert config.get("mqtt.port") == 2222
    config.update({"mqtt_broker": ""})
    assert config.group("mqtt")["host"] == ""
    for uri in (
        "http://h",
        "h",
        "mqtt://",
        "mqtt://u:p@h",
        "mqtt://h:0",
        "mqtt://h:99999",
        "mqtt://h:x",
        "mqtt://h/p",
        "mqtt://a b",
    ):
        assert _refused(config, {"mqtt_broker": uri}).startswith("mqtt_broker "), uri


def test_refusals_name_field_and_range_and_change_nothing():
    config = _fresh()
    for obj, details in (
        ({"wifi_ssid": "x" * 33}, "wifi_ssid too long (max 32 chars)"),
        ({1: 2}, "body must have strings as names"),
        ({"wifi": {None: "x"}}, "wifi must have strings as names"),
        ({"wifi_ssid": "é" * 17}, "wifi_ssid too long (max 32 chars)"),
        ({"wifi": {"ssid": 5}}, "wifi_ssid must be a text"),
        ({"wifi_ssid": None}, "wifi_ssid must be a text"),
        ({"wifi_ssid": "a\nb"}, "wifi_ssid must be printable characters"),
        ({"wifi_password": "short"}, "wifi_password must be 8-64 characters"),
        ({"can_speed": 400000}, "can_speed must be one of 125000, 250000, 500000, 1000000"),
        ({"can_speed": "500000"}, "can_speed must be one of 125000, 250000, 500000, 1000000"),
        ({"can_protocol": "PYLON"}, "can_protocol must be one of VICTRON"),
        ({"mqtt_port": 0}, "mqtt_port must be an integer, 1 to 65535"),
        ({"mqtt_port": 70000}, "mqtt_port must be an integer, 1 to 65535"),
        ({"mqtt_port": True}, "mqtt_port must be an integer, 1 to 65535"),
        ({"mqtt_port": 1883.0}, "mqtt_port must be an integer, 1 to 65535"),
        ({"mqtt_port": "1883"}, "mqtt_port must be an integer, 1 to 65535"),
        ({"mqtt_default_qos": True}, "mqtt_default_qos must be one of 0, 1"),
        ({"mqtt_retain": 1}, "mqtt_retain must be true or false"),
        ({"mqtt_retain": "true"}, "mqtt_retain must be true or false"),
        ({"mqtt_client_id": ""}, "mqtt_client_id must be 1-64 characters"),
        ({"topic_status": "a/#"}, "topic_status must not hold + or #"),
        ({"can_manufacturer": "é"}, "can_manufacturer must be printable ASCII characters"),
        ({"wifi_static_ip": "1.2.3"}, "wifi_static_ip must be an IPv4 address or empty"),
        ({"wifi_static_ip": "1.2.3.256"}, "wifi_static_ip must be an IPv4 address or empty"),
        ({"system_hostname": "a.b"}, "system_hostname must be letters, digits and hyphens"),
        ({"history_interval_ms": 249}, "history_interval_ms must be an integer, 250 to 60000"),
        ({"charge_absorption_mv": 1199}, "charge_absorption_mv must be an integer, 0 or 1200 to 4500"),
        ({"nothing": 1}, "nothing is unknown"),
        ({"wifi": {"nothing": 1}}, "wifi_nothing is unknown"),
        ({"nothing": {}}, "nothing is unknown"),
        ({"wifi": "x"}, "wifi must be an object"),
        ({"mqtt": {"topics": []}}, "mqtt_topics must be an object"),
        ({"wifi.ssid": "x"}, "wifi.ssid is unknown"),
        ({"wifi": {"ssid text": "x"}}, "wifi_ssid text is unknown"),
        ({"wifi": {"": "x"}}, "wifi_ is unknown"),
        ({"wifi_": "x"}, "wifi_ is unknown"),
        ({"": "x"}, " is unknown"),
        ({"[wifi]\nssid": "x"}, "[wifi]\nssid is unknown"),
        ({"wifi_ssid": "a", "wifi": {"ssid": "b"}}, None),
        ([], "body must be an object"),
        ("x", "body must be an object"),
        (None, "body must be an object"),
        ({"auth_password_hash": "x"}, "auth_password_hash is unknown"),
        ({"auth": {"rounds": 1}}, "auth_rounds is unknown"),
    ):  # fmt: skip
        got = _refused(config, obj)
        assert got == details if details else got.endswith("is given twice"), (obj, got)
    assert "wifi_ssid" in _refused(config, {"mqtt_port": 99, "wifi_ssid": "x" * 40, "can_tx_pin": 7})
    assert "config.json" not in os.listdir(_DIR)


def test_values_that_do_not_go_together():
    config = _fresh()
    assert _refused(config, {"uart_tx_pin": 5}) == "can_tx_pin must differ from uart_tx_pin (5)"
    assert "must differ" in _refused(config, {"can": {"tx_pin": 4}})
    config.update({"can": {"tx_pin": 4, "rx_pin": 5}})
    config.update({"charge_float_mv": 3375})  # absorption comes from the BMS
    assert "charge_float_mv must be below" in _refused(config, {"charge_absorption_mv": 3300})
    assert "alerts_cell_voltage_min_mv" in _refused(config, {"alerts_cell_voltage_max_mv": 2700})
    config.update({"charge_absorption_mv": 3450})


def test_the_board_may_refuse_pins():
    def check(values):
        return ("uart.tx_pin", "is used by the flash") if values["uart.tx_pin"] == 6 else None

    config = _fresh(check=check)
    assert _refused(config, {"uart_tx_pin": 6}) == "uart_tx_pin is used by the flash"
    config.update({"uart_tx_pin": 21})


def test_a_board_brings_its_pins_but_those_of_the_same_request():
    config = _fresh()
    keys, restart = config.update({"system": {"board": "t-can485"}, "uart_rx_pin": 35})
    pins = [config.get(key) for key in ("uart.tx_pin", "uart.rx_pin", "can.tx_pin", "can.rx_pin", "system.led_pin")]
    assert pins == [33, 35, 27, 26, -1] and restart and len(keys) == 5
    config.update({"can_rx_pin": 25})
    keys, _ = config.update({"system_board": "t-can485"})  # a form sends all of its fields: nothing new
    assert keys == () and config.get("can.rx_pin") == 25
    config.update_group("system", {"board": "generic"})
    assert config.get("can.rx_pin") == 4 and json.loads(_read("config.json"))["values"] == {}


def test_a_backup_keeps_its_own_pins():
    config = _fresh()
    config.update({"system_board": "esp32-can-x2", "can_tx_pin": 9, "system_led_pin": -1})
    backup = config.backup()
    config.update({"system_board": "generic"})
    config.restore(backup)
    assert (config.get("can.tx_pin"), config.get("system.led_pin"), config.get("can.rx_pin")) == (9, -1, 6)


def test_a_board_may_be_refused():
    config = _fresh(check=lambda values: pins.check(values, "esp32"))
    got = _refused(config, {"system_board": "esp32-s3"})
    assert got == "system_board must not be esp32-s3: it has an esp32s3, this is an esp32"
    assert _refused(config, {"can_tx_pin": 34}) == "can_tx_pin must not be 34: it is an input only"
    config.update({"system_board": "t-can485", "system_led_pin": 18})


def test_survives_a_restart_and_stores_only_differences():
    config = _fresh()
    config.update({"wifi_ssid": "Caf\u00e9 \U0001f50b", "can_speed": 250000})
    stored = json.loads(_read("config.json"))
    assert stored["values"] == {"wifi.ssid": "Caf\u00e9 \U0001f50b", "can.speed": 250000}
    again = _again()
    assert again.nested(True) == config.nested(True) and again.problem == ""
    again.update({"wifi_ssid": "", "can_speed": 500000})
    assert json.loads(_read("config.json"))["values"] == {}


def test_bus_hears_after_the_store():
    bus = Bus()
    heard = []
    bus.subscribe(topics.CONFIG, lambda topic, keys: heard.append((keys, _read("config.json"))))
    config = _fresh(bus=bus)
    config.update({"wifi_ssid": "Net"})
    config.update({"wifi_ssid": "Net"})
    assert len(heard) == 1 and heard[0][0] == ("wifi.ssid",) and "Net" in heard[0][1]


def test_damaged_file_is_set_aside():
    config = _fresh()
    config.update({"wifi_ssid": "Net"})
    good = _read("config.json")
    for bad in (
        "",
        "{",
        good[:-3],
        good.replace("Net", "Nat"),
        good.replace("crc", "crd"),
        "[]",
        "{}",
        good + "x",
        "\x00\x00",
        '{"crc":1,"values":{}}',
        '{"values":{"mqtt.port":0false,"wifi.ssid":"x"}}',  # MicroPython reads a name that is no text out of it
        '{"values":{1:2}}',
    ):
        _clean()
        _write("config.json", bad)
        config = _again()
        assert config.get("wifi.ssid") == "" and "config.bad" in config.problem, bad
        assert _read("config.bad") == bad and "config.json" not in os.listdir(_DIR)
        assert "config.bad" in _again().problem  # still nothing stored
        config.update({"wifi_ssid": "New"})
        assert config.problem == "" and _again().problem == "" and _again().get("wifi.ssid") == "New"


def test_stored_keys_of_another_version():
    _clean()
    _write("config.json", '{"values":{"wifi.ssid":"Net","gone.key":1,"mqtt.port":99999,"can.speed":"fast"}}')
    config = _again()
    assert config.get("wifi.ssid") == "Net" and config.get("mqtt.port") == 1883 and config.get("can.speed") == 500000
    assert "mqtt.port" in config.problem and "can.speed" in config.problem and "gone" not in config.problem


def test_stored_values_that_do_not_go_together():
    _clean()
    _write("config.json", '{"values":{"uart.tx_pin":5}}')
    config = _again()
    assert config.problem == "can_tx_pin must differ from uart_tx_pin (5)"
    config.update({"wifi_ssid": "Net"})  # other things can be changed
    assert "uart_tx_pin" in config.problem and _again().get("wifi.ssid") == "Net"
    config.update({"uart_tx_pin": 17})
    assert config.problem == ""


def test_cannot_be_stored():
    config = _fresh()
    config.update({"wifi_ssid": "Old"})
    config.directory = _DIR + "/missing"
    raises(OSError, config.update, {"wifi_ssid": "New"})
    assert config.get("wifi.ssid") == "Old" and _again().get("wifi.ssid") == "Old"


def test_initial_configuration():
    _clean()
    _write("first.json", '{"wifi":{"ssid":"First"},"mqtt":{"topics":{"status":"x"}},"can_speed":250000}')
    config = Config(_DIR, _MAC)
    config.load(_DIR + "/first.json")
    assert config.get("wifi.ssid") == "First" and config.get("mqtt.topics.status") == "x"
    assert config.get("can.speed") == 250000 and "config.json" not in os.listdir(_DIR)
    config.update({"wifi_ssid": "Second"})
    config = Config(_DIR, _MAC)
    config.load(_DIR + "/first.json")
    assert config.get("wifi.ssid") == "Second" and config.get("can.speed") == 250000
    for bad in ("{", '{"wifi":{"ssid":5}}', '{"x":1}', "[]"):
        _clean()
        _write("first.json", bad)
        raises(ConfigError, Config(_DIR, _MAC).load, _DIR + "/first.json")
    assert "cannot be read" in raises(ConfigError, Config(_DIR, _MAC).load, _DIR + "/none.json").details


def test_hidden_values_are_set_by_their_owner_and_never_shown():
    config = _fresh()
    config.set({"auth.password_hash": "cafe", "auth.password_salt": "babe", "auth.rounds": 2000})
    assert config.get("auth.password_hash") == "cafe"
    config.update({"wifi_password": "secret123", "mqtt_password": "hush"})
    shown = (
        json.dumps(config.nested())
        + "".join(config.pieces())
        + json.dumps(config.group("mqtt"))
        + "".join(config.schema())
    )
    for secret in ("cafe", "babe", "secret123", "hush", "password_hash"):
        assert secret not in shown, secret
    assert "secret123" in json.dumps(config.nested(True))
    raises(ConfigError, config.set, {"auth.rounds": -1})
    raises(ConfigError, config.set, {"auth.unknown": 1})


def test_pieces_are_the_nested_form():
    config = _fresh()
    config.update({"wifi_password": "secret123", "wifi_ssid": 'a"b\\'})
    pieces = list(config.pieces())
    assert json.loads("".join(pieces)) == config.nested()
    assert max(len(piece) for piece in pieces) < 1000
    fields = json.loads("".join(config.schema()))
    by_key = {field["key"]: field for field in fields}
    assert by_key["can.speed"]["choices"] == [125000, 250000, 500000, 1000000] and by_key["can.speed"]["restart"]
    assert by_key["alerts.temperature_max_c"]["min"] == -40 and by_key["wifi.password"]["secret"]
    assert by_key["mqtt.client_id"]["default"] == "tinybms-gw-12abef" and "auth.password_hash" not in by_key


def test_backup_and_restore():
    config = _fresh()
    config.set({"auth.password_hash": "cafe", "auth.rounds": 10})
    config.update({"wifi_ssid": "Net", "wifi_password": "secret123", "can_speed": 250000})
    public, full = config.backup(), config.backup(True)
    assert "secret123" not in json.dumps(public) and "cafe" not in json.dumps(public)
    config.update({"wifi_ssid": "Other", "wifi_password": "changed-it", "mqtt_port": 99})
    keys, restart = config.restore(public)
    assert sorted(keys) == ["mqtt.port", "wifi.ssid"] and not restart
    assert config.get("wifi.password") == "changed-it" and config.get("auth.password_hash") == "cafe"
    config.restore(full)
    assert config.get("wifi.password") == "secret123"
    board = _fresh()
    keys, restart = board.restore(json.loads(json.dumps(full)))
    assert restart and board.nested(True) == full["config"] and board.get("auth.password_hash") == "cafe"
    del full["config"]["can"]["speed"]
    board.restore(full)
    assert board.get("can.speed") == 500000  # what is missing goes to its default
    before = board.nested(True)
    for bad in (None, [], {}, {"config": {}}, {"format": "tinybms-gw-config", "config": {"x": 1}}, {"format": 1, "config": {}},
                {"format": "tinybms-gw-config", "config": {"auth": {"password_hash": 5}}}):  # fmt: skip
        raises(ConfigError, board.restore, bad)
    assert board.nested(True) == before


def test_schema_is_dropped_when_idle():
    config = _fresh()
    config.release()
    assert config.get("wifi.ssid") == "" and "firmware.config.schema" in sys.modules
    config.release()
    assert config.get("wifi.ssid") == "" and "firmware.config.schema" not in sys.modules  # known now
    assert "firmware.config.form" not in sys.modules
    config.nested()
    config.idle()
    assert "firmware.config.form" in sys.modules
    config.idle()
    assert "firmware.config.form" not in sys.modules and "firmware.config.schema" not in sys.modules
    assert config.update({"wifi_ssid": "x"})[0] == ("wifi.ssid",)


def test_half_characters_are_refused():
    """MicroPython's JSON reads \\ud83d\\ude00 as two of them, which no UTF-8 can hold (found by tools/fuzz)."""
    config = _fresh()
    error = raises(ConfigError, config.update, json.loads('{"wifi_ssid": "a\\ud83d\\ude00"}'))
    assert "printable" in error.details, error.details
    config.update({"wifi_ssid": "a\U0001f600"})


def test_zz_clean():
    _clean()
    os.rmdir(_DIR)
