"""The running gateway against the text of the API reference: every endpoint and WebSocket, shape, types and codes."""

import json
import time

import pytest
from tests.integration import reference
from tests.integration.parts import wait_for
from websockets.sync.client import connect

ENDPOINTS = {str(endpoint): endpoint for endpoint in reference.endpoints()}
SOCKETS = reference.sockets()
STATUS_WORDS = {
    "CHARGING", "FULLY_CHARGED", "DISCHARGING", "SLEEP", "REGENERATION", "IDLE", "FAULT", "DISCONNECTED",
}  # fmt: skip
# What is not known is null: SoH of old firmware, the clock-derived text of live history, everything while disconnected
NULLABLE = ("soh_percent", "timestamp_iso", "state_of_health", "average_temperature", "ack_timestamp_ms")
# Calls that need more than their path
BODIES = {
    "POST /api/config": {"alerts_debounce_sec": 60},
    "POST /api/mqtt/config": {"topic_status": "custom/status"},
    "POST /api/system/restart": {"target": "gateway", "delay_ms": 60000},
}
DEFAULTS = {
    "uart": {"baudrate": 115200, "tx_pin": 17, "rx_pin": 16, "timeout_ms": 1000},
    "can": {"speed": 500000, "tx_pin": 5, "rx_pin": 4, "protocol": "VICTRON"},
}


def is_error(reply, status, code=None):
    """The answer is an error in the format of the reference."""
    assert reply.status == status, reply.body
    assert set(reply.json) == {"error", "code", "details"}, reply.json
    assert code is None or reply.json["code"] == code, reply.json
    return True


def not_there(reply):
    """True for the answer of a part that this gateway does not have; its form is checked."""
    return reply.status == 503 and is_error(reply, 503, "NOT_AVAILABLE")


def test_the_reference_was_read():
    assert len(ENDPOINTS) == 21
    assert set(SOCKETS) == {"/ws/telemetry", "/ws/events", "/ws/uart", "/ws/can", "/ws/alerts"}
    assert ENDPOINTS["GET /api/status"].responses["200"]["battery"]["cells_count"] == 16
    assert ENDPOINTS["POST /api/config"].responses["400"]["error"] == "Invalid configuration"


@pytest.mark.parametrize("name", ENDPOINTS)
def test_endpoint(running, name):
    endpoint = ENDPOINTS[name]
    if name == "POST /api/ota":
        reply = running.http("/api/ota", "POST", b"", {"Content-Type": "multipart/form-data; boundary=x"})
        assert not_there(reply) or is_error(reply, 400)
        return
    path = endpoint.path.replace(":id", "1")
    data = BODIES.get(name, endpoint.request) if endpoint.method == "POST" else None
    reply = running.http(path, endpoint.method, data)
    if not_there(reply):
        return
    if name == "POST /api/alerts/acknowledge/:id" and reply.status == 404:
        assert is_error(reply, 404)  # no such alert now
        return
    assert reply.status == 200, reply.body
    assert reply.headers["Content-Type"].startswith("application/json")
    assert not reference.differences(endpoint.responses["200"], reply.json, NULLABLE)
    json.dumps(reply.json, allow_nan=False)


@pytest.mark.parametrize("path", SOCKETS)
def test_socket(running, path):
    examples = {example["type"]: example for example in SOCKETS[path]}
    module = path.rsplit("/", 1)[-1]
    if module == "alerts" and not_there(running.http("/api/alerts/active")):
        return
    with connect(running.gateway.ws_url + path) as socket:
        socket.send(json.dumps({"type": "ping"}))
        if module == "events":
            running.http("/api/config", "POST", {"alerts_debounce_sec": 61})
        seen = set()
        for _ in range(40):
            message = json.loads(socket.recv(10))
            kind = message["type"]
            seen.add(kind)
            if kind == "pong":
                assert isinstance(message["timestamp_ms"], int)
            elif kind in examples:
                example = adapted(module, examples[kind], message)
                assert not reference.differences(example, message, NULLABLE)
            if "pong" in seen and (seen & set(examples) or module == "alerts"):
                return
    raise AssertionError(f"only {seen} came")


def adapted(module, example, message):
    """The example without what depends on the frame or event that it shows."""
    example = dict(example)
    if module in ("can", "uart"):
        check_frame(module, message)
    if module == "can":
        example["decoded"] = {}
    if module == "uart" and "cells" not in message["parsed"]:
        example["parsed"] = {"command": 0, "length": 0}
    if module == "events":
        example["data"] = {}
    return example


def check_frame(module, message):
    assert message["direction"] in ("RX", "TX")
    if module == "uart":
        assert message["raw"] == message["raw"].upper()
        raw = bytes.fromhex(message["raw"])
        assert raw[0] == 0xAA and message["parsed"]["command"] == raw[1] and message["parsed"]["length"] == len(raw)
    else:
        assert message["can_id"].startswith("0x") and int(message["can_id"], 16) < 0x800
        assert message["dlc"] == len(message["data"]) <= 8
        assert all(isinstance(byte, int) and 0 <= byte <= 255 for byte in message["data"])


def test_uart_socket_shows_the_measured_values(running):
    with connect(running.gateway.ws_url + "/ws/uart") as socket:
        for _ in range(40):
            message = json.loads(socket.recv(10))
            if "cells" in message["parsed"]:
                break
    parsed = message["parsed"]
    assert len(parsed["cells"]) == 16 and abs(sum(parsed["cells"]) - parsed["voltage_mv"]) < 100


def test_telemetry_comes_each_second(running):
    with connect(running.gateway.ws_url + "/ws/telemetry") as socket:
        stamps = [json.loads(socket.recv(10))["timestamp_ms"] for _ in range(5)]
    gaps = [b - a for a, b in zip(stamps[1:], stamps[2:])]  # the first message comes at once
    assert all(800 <= gap <= 1300 for gap in gaps), gaps


def test_status_words_and_values(running):
    status = running.gateway.status()
    battery = status["battery"]
    assert battery["status"] in STATUS_WORDS - {"DISCONNECTED"}
    assert battery["cells_count"] == 16
    assert status["wifi"]["ssid"] == "host" and status["wifi"]["rssi"] == 0 and status["wifi"]["connected"] is True


def test_defaults_of_the_configuration(host_build, parts):
    parts.start_gateway(no_restart=True)
    config = parts.http("/api/config").json
    for group, values in DEFAULTS.items():
        assert {key: config[group][key] for key in values} == values
    assert config["mqtt"]["port"] == 1883 and config["mqtt"]["broker_uri"] == ""
    assert config["mqtt"]["topics"].items() >= ENDPOINTS["GET /api/mqtt/config"].responses["200"]["topics"].items()
    assert config["mqtt"]["client_id"].startswith("tinybms-gw-") and len(config["mqtt"]["client_id"]) == 17
    assert config["alerts"].items() >= ENDPOINTS["GET /api/alerts/config"].responses["200"].items()
    assert parts.http("/api/config", "POST", config).json == {"success": True, "message": "Configuration saved"}
    assert parts.http("/api/config").json == config


def test_bad_configuration_is_refused_and_changes_nothing(running):
    before = running.http("/api/config").json
    reply = running.http("/api/config", "POST", {"wifi_ssid": "x" * 33, "mqtt_port": 1884})
    assert is_error(reply, 400, "INVALID_CONFIG")
    example = ENDPOINTS["POST /api/config"].responses["400"]
    assert reply.json["error"] == example["error"] and reply.json["details"] == example["details"]
    assert is_error(running.http("/api/config", "POST", {"nonsense": 1}), 400, "INVALID_CONFIG")
    assert is_error(running.http("/api/config", "POST", b"{"), 400, "INVALID_JSON")
    assert is_error(running.http("/api/config", "POST", b'{"mqtt": {1: 2}}'), 400, "INVALID_JSON")
    assert is_error(
        running.http("/api/config", "POST", b'{"mqtt.port": 0false, "can.enabled": 0}'), 400, "INVALID_JSON"
    )
    assert is_error(running.http("/api/config", "POST", b"x" * 9000), 413)
    assert running.http("/api/config").json == before


def test_secrets_are_masked(running):
    assert running.http("/api/config", "POST", {"wifi_password": "a-secret-word"}).status == 200
    for path in ("/api/config", "/api/config/backup", "/api/config/schema", "/api/system/info", "/api/openapi.json"):
        assert b"a-secret-word" not in running.http(path).body, path
    assert is_error(running.http("/api/config/backup?secrets=1"), 403, "PASSWORD_REQUIRED")
    assert running.http("/api/config", "POST", {"wifi_password": ""}).status == 200


def test_a_restart_follows_only_what_needs_one(running):
    saved = {"success": True, "message": "Configuration saved"}
    assert running.http("/api/config", "POST", {"mqtt_port": 1885}).json == saved
    reply = running.http("/api/config", "POST", {"can_speed": 250000})
    assert reply.json == ENDPOINTS["POST /api/config"].responses["200"]
    running.http("/api/config", "POST", {"can_speed": 500000, "mqtt_port": 1883})


def test_errors_have_the_format_of_the_reference(running):
    assert is_error(running.http("/api/none"), 404, "NOT_FOUND")
    assert is_error(running.http("/nothing.html"), 404, "NOT_FOUND")
    assert is_error(running.http("/api/status", "DELETE"), 405, "METHOD_NOT_ALLOWED")
    assert is_error(running.http("/ws/telemetry"), 400)
    assert is_error(running.http("/ws/none"), 404)
    assert is_error(running.http("/api/status", headers={"Content-Length": "x"}), 400)
    assert is_error(running.http("/api/config", "POST", {}, {"Origin": "http://evil.example"}), 403)
    assert is_error(running.http("/api/config", "POST", {}, {"Host": "evil.example"}), 403)
    assert is_error(running.http("/api/registers", "POST", {"key": "capacity_cah", "value": 1}), 403)


def test_restart_of_the_bms(host_build, parts):
    parts.start_all(no_restart=True)
    parts.wait_connected()

    def restart(body, status=200):
        reply = parts.http("/api/system/restart", "POST", body, timeout=30)
        assert reply.status == status, reply.body
        return reply.json

    example = ENDPOINTS["POST /api/system/restart"].responses["200"]
    assert restart({"target": "bms"}) == example
    assert restart(None)["bms_status"] == "throttled"
    gateway = example | {"bms_attempted": False, "bms_status": "skipped", "gateway_restart": True}
    assert restart({"target": "gateway"}) == gateway | {"delay_ms": 750}
    assert restart({"target": "gateway", "delay_ms": 5})["delay_ms"] == 5
    for bad in (b"{", b'{"target": "x"}', b'{"delay_ms": -1}', b'{"delay_ms": true}', b" " * 300 + b"{}"):
        assert is_error(parts.http("/api/system/restart", "POST", bad), 400)
    parts.wait_connected()
    parts.control.call("fault", name="silence")
    wait_for(lambda: parts.gateway.status()["battery"]["status"] == "DISCONNECTED", 15, "silence")
    time.sleep(5)  # the restart above is not repeated sooner
    fallback = restart({"target": "bms", "delay_ms": 100}, 202)
    assert fallback["gateway_restart"] is True and fallback["bms_attempted"] is True and fallback["delay_ms"] == 100


def test_everything_is_null_while_disconnected(host_build, parts):
    parts.start_gateway()
    battery = parts.gateway.status()["battery"]
    assert battery.pop("status") == "DISCONNECTED"
    assert set(battery.values()) == {None}
    with connect(parts.gateway.ws_url + "/ws/telemetry") as socket:
        for _ in range(2):  # it goes on
            message = json.loads(socket.recv(10))
            assert message["status"] == "DISCONNECTED" and message["cells"] == []
            assert message["voltage_mv"] is None and message["soc_percent"] is None
            assert message["age_ms"] >= 5000


def test_a_status_change_is_an_event(host_build, parts):
    parts.start_all()
    parts.wait_connected()
    with connect(parts.gateway.ws_url + "/ws/events") as socket:
        parts.control.call("fault", name="silence")
        for _ in range(20):
            message = json.loads(socket.recv(15))
            if message["event"] == "BATTERY_STATUS_CHANGE" and message["data"]["to"] == "DISCONNECTED":
                return
    raise AssertionError("no such event")


def test_metrics_are_prometheus_text(running):
    from prometheus_client.parser import text_string_to_metric_families

    reply = running.http("/metrics")
    families = {family.name: family for family in text_string_to_metric_families(reply.body.decode())}
    assert len(families["tinybms_cell_volts"].samples) == 16
    assert 40 < families["tinybms_voltage_volts"].samples[0].value < 60
    assert families["tinybms_up"].samples[0].value == 1
    for family in families.values():
        assert family.documentation and family.type in ("gauge", "counter"), family
