"""MQTT with a real Mosquitto: topics, retain, will, settings, commands, floods, Home Assistant. The loop is watched."""

import json
import signal
import subprocess
import time

import pytest
from tests.integration import home_assistant
from tests.integration.mqtt_broker import Broker, longest_hold, start_gateway
from tests.integration.parts import Parts, wait_for
from tests.integration.watch import Watch

HELD_MS = 50  # the longest time that one step may hold the loop
GAP_S = 1.2  # the longest gap of 0x351


def post(gateway, **mqtt):
    reply = gateway.http("/api/mqtt/config", "POST", mqtt)
    assert reply.status == 200, reply.body


def state(gateway):
    return gateway.http("/api/mqtt/status").json


@pytest.fixture(scope="module")
def parts(host_build):
    parts = Parts()
    try:
        yield parts
    finally:
        parts.stop()


@pytest.fixture(scope="module")
def broker(parts):
    return Broker(parts, "max_queued_messages 0")


@pytest.fixture(scope="module")
def running(parts, broker):
    """A gateway with everything, connected; its 0x351 and its loop are looked at when all tests are through."""
    parts.start_sim(scenario="normal", speed=0, soc=60)
    parts.start_can()
    watch = Watch(parts)
    gateway = start_gateway(
        parts, {"mqtt": {"broker_uri": broker.uri, "client_id": "gw-1"}, "system": {"language": "en"}}
    )
    wait_for(lambda: state(gateway)["connected"], 20, "connected to the broker")
    yield gateway
    watch.stop()
    print(f"longest gap of 0x351 {watch.longest():.3f} s, longest hold of the loop {longest_hold(gateway)} ms")
    assert watch.longest() < GAP_S + watch.stalled()
    assert longest_hold(gateway) <= HELD_MS
    assert gateway.child.find("getaddrinfo ") is None


def test_topics(running, broker):
    sub = broker.sub("#")
    status = sub.json("tinybms/status")
    assert status["battery"]["cells_count"] == 16 and status["battery"]["voltage_mv"] > 40_000
    assert set(status["limits"]) == {"cvl_mv", "ccl_ma", "dcl_ma"} and status["limits"]["cvl_mv"] > 40_000
    metrics = sub.json("tinybms/metrics")
    assert metrics["voltage_v"] == pytest.approx(status["battery"]["voltage_mv"] / 1000, abs=0.5)
    assert len(metrics["cells"]) == 16 and all(2.5 < volt < 4 for volt in metrics["cells"])
    assert metrics["soc_percent"] == pytest.approx(60, abs=1) and metrics["cvl_v"] > 40
    assert metrics["protection"]["ov"] in (False, None)
    sub.child.wait_line(">> tinybms/status/availability 1 ", 5)  # retained, although the rest is not
    time.sleep(3)
    assert len(sub.on("tinybms/metrics")) in range(2, 7)
    assert not any(retained for topic, retained, *_ in sub.messages if topic in ("tinybms/status", "tinybms/metrics"))
    assert {qos for topic, _, qos, _ in sub.messages if topic == "tinybms/metrics"} == {1}
    assert state(running)["broker"] == broker.uri and state(running)["client_id"] == "gw-1"
    assert state(running)["verified"] is False and state(running)["messages_sent"] > 5


def test_settings_act_at_once(running, broker):
    sub = broker.sub("site/#", "tinybms/#")
    post(running, topic_status="site/{id}/status", retain=True, default_qos=0, can_raw_enabled=True, can_ready_enabled=True,
         can_decoded_enabled=True)  # fmt: skip
    assert sub.json("site/gw-1/status")["battery"]["status"]
    assert sub.wait("site/gw-1/status/availability") == "online"
    assert sub.on("tinybms/status/availability")[-1] == "offline"
    snapshot = sub.json("tinybms/config")
    assert snapshot["mqtt"]["retain"] is True
    decoded = json.loads(sub.wait("tinybms/can/decoded", match=lambda text: "0x351" in text))
    assert decoded["decoded"]["cvl_v"] > 40 and decoded["direction"] == "TX"
    assert len(json.loads(sub.wait("tinybms/can/raw"))["data"]) <= 8
    assert json.loads(sub.wait("tinybms/can/ready"))["direction"] == "TX"
    late = broker.sub("site/#")
    wait_for(
        lambda: [m for m in late.messages if m[0] == "site/gw-1/status" and m[1] and m[2] == 0], 5, "retained, QoS 0"
    )
    post(running, topic_status="tinybms/status", retain=False, default_qos=1, can_raw_enabled=False,
         can_ready_enabled=False, can_decoded_enabled=False)  # fmt: skip
    wait_for(lambda: state(running)["connected"], 10)


def test_home_assistant(running, broker):
    sub = broker.sub("homeassistant/#", "ha2/#")
    wait_for(lambda: len(sub.messages) > 45, 10, "all entities")
    entities = {topic: json.loads(payload) for topic, _, _, payload in sub.settle() if payload}
    sub = broker.sub("homeassistant/#", "ha2/#")
    assert len(sub.settle()) == len(entities) and all(retained for _, retained, *_ in sub.messages)
    for topic, config in entities.items():
        home_assistant.check(topic, config)
    assert len({json.dumps(config["device"], sort_keys=True) for config in entities.values()}) == 1
    assert len({config["unique_id"] for config in entities.values()}) == len(entities)
    names = {topic.split("/")[3] for topic in entities}
    assert {f"cell_{i}" for i in range(1, 17)} <= names and {
        "voltage_v",
        "alarm_ov",
        "status",
        "energy_in_kwh",
    } <= names
    assert not {topic for topic in entities if topic.split("/")[1] in ("button", "number")}
    metrics = broker.sub("tinybms/metrics").json("tinybms/metrics")
    for config in entities.values():
        home_assistant.check_value(config, metrics)

    post(running, commands={"limits": True, "restart_bms": True})
    wait_for(lambda: "homeassistant/button/gw-1/restart_bms/config" in [m[0] for m in sub.messages if m[3]], 10)
    wait_for(lambda: "homeassistant/number/gw-1/limit_ccl/config" in [m[0] for m in sub.messages if m[3]], 10)
    for topic, _, _, payload in sub.messages:
        if payload:
            home_assistant.check(topic, json.loads(payload))
    post(running, home_assistant={"prefix": "ha2"}, commands={"limits": False, "restart_bms": False})
    wait_for(lambda: "ha2/sensor/gw-1/voltage_v/config" in [m[0] for m in sub.messages], 15)
    post(running, home_assistant={"enabled": False, "prefix": "homeassistant"})
    wait_for(lambda: state(running)["connected"], 10)
    sub.settle()
    assert not broker.sub("homeassistant/#", "ha2/#").settle()  # nothing retained is left


def test_commands(running, broker):
    sub = broker.sub("tinybms/rsp")

    def ask(name, body=None, *options):
        before = len(sub.messages)
        broker.pub(f"tinybms/cmd/{name}", json.dumps(body) if body is not None else "", *options)
        wait_for(lambda: len(sub.messages) > before, 10, f"answer to {name}")
        return json.loads(sub.messages[before][3])

    rights = ("limits", "config", "registers", "restart_bms", "acknowledge")
    seen = broker.sub("tinybms/status/availability", "tinybms/config")

    def subscribed():
        """A new connection has sent the configuration, as it does after its subscription."""
        texts = [payload[:7] for *_, payload in seen.messages]
        return "offline" in texts and texts[-1].startswith("{") and "online" in texts[texts.index("offline") :]

    post(running, commands=dict.fromkeys(rights, True), override_timeout_s=10)
    wait_for(subscribed, 15, "a new connection with its subscription")
    assert ask("restart_gateway") == {"command": "restart_gateway", "success": False, "error": "not allowed"}
    assert ask("nonsense")["error"] == "unknown command"
    assert ask("limits", {"ccl_ma": -5, "request_id": 7})["success"] is False
    answer = ask("limits", {"dcl_ma": 20000, "request_id": 7}, "-q", "1")
    assert answer["success"] and answer["request_id"] == 7 and answer["expires_s"] == 10
    wait_for(lambda: running.http("/api/can/limits").json["dcl_ma"] == 20000, 5, "DCL of the command")
    assert ask("config", {"alerts": {"debounce_sec": 61}})["changed"] == ["alerts.debounce_sec"]
    assert ask("config", {"alerts": {"debounce_sec": 99999}})["success"] is False
    assert "mqtt" in ask("config", {"mqtt": {"commands": {"registers": True}}})["error"]
    assert ask("config", {"mqtt_commands_registers": True})["success"] is False
    assert ask("registers", {"key": "capacity_cah", "value": 12300})["value"] == 12300
    assert ask("registers", {"key": "capacity_cah", "value": -1})["success"] is False
    assert ask("registers", {"key": "nothing", "value": 1})["error"] == "nothing is unknown"
    assert ask("acknowledge")["acknowledged_count"] >= 0
    assert ask("acknowledge", {"alert_id": 999_999})["error"] == "no such alert"
    before = len(sub.messages)
    broker.pub("tinybms/cmd/limits", '{"dcl_ma": 0}', "-r")  # live for us: not retained
    wait_for(lambda: len(sub.messages) > before, 5)
    assert ask("limits", {"dcl_ma": 20000})["success"]
    before = len(sub.messages)
    post(running, keepalive=60)  # a new session is given the retained command, and ignores it
    wait_for(lambda: state(running)["connected"], 10)
    time.sleep(1)
    assert len(sub.messages) == before
    broker.pub("tinybms/cmd/limits", "", "-r")
    wait_for(lambda: running.http("/api/can/limits").json["dcl_ma"] != 20000, 15, "end of the override")
    assert ask("restart_bms")["success"]
    assert ask("restart_bms")["error"] == "the BMS was just restarted"
    wait_for(lambda: running.status()["battery"]["status"] != "DISCONNECTED", 15)


def test_floods(running, broker):
    def received():
        return state(running)["messages_received"]

    before, begun = received(), time.monotonic()
    lines = b"".join(b"{}\n" for _ in range(10_000))
    broker.client("mosquitto_pub", "-t", "tinybms/cmd/nonsense", "-l", "-q", "1", stdin=lines)
    wait_for(lambda: received() - before >= 10_000, 40, "10,000 messages")
    print(f"{received() - before} messages in {time.monotonic() - begun:.1f} s")
    big = running.child  # the heap of the gateway is 1 MB: the message does not fit
    path = broker.parts.directory / "big"
    path.write_bytes(b"x" * 1_000_000)
    before = received()
    broker.client("mosquitto_pub", "-t", "tinybms/cmd/limits", "-f", str(path))
    wait_for(lambda: received() > before, 20, "the long message")
    assert big.exit_code() is None and state(running)["connected"]
    sub = broker.sub("tinybms/metrics")
    sub.json("tinybms/metrics")


def test_connection_test(running, broker):
    headers = {"Authorization": "Basic YWRtaW46YWRtaW5hZG1pbg=="}
    assert running.http("/api/mqtt/test", "POST", {}).status == 403
    assert running.http("/api/auth/password", "POST", {"password": "adminadmin"}, timeout=30).status == 200
    try:
        ok = running.http("/api/mqtt/test", "POST", {}, headers).json
        assert ok == {"success": True, "stage": "ok", "error": "", "verified": False}
        bad = running.http("/api/mqtt/test", "POST", {"broker_uri": "mqtt://127.0.0.1:9"}, headers).json
        assert not bad["success"] and bad["stage"] == "tcp" and "ECONNREFUSED" in bad["error"]
        assert running.http("/api/mqtt/test", "POST", {"broker_uri": "http://x"}, headers).status == 400
        assert state(running)["connected"], "the running connection stays"
    finally:
        running.http("/api/auth/password", "DELETE", headers=headers)


def test_will_after_a_kill(parts, running, broker):
    """The last test with this gateway."""
    sub = broker.sub("tinybms/status/availability")
    assert sub.wait("tinybms/status/availability") == "online"
    held, gaps = longest_hold(running), running.child.find("getaddrinfo ")
    assert held <= HELD_MS and gaps is None
    running.child.signal(signal.SIGKILL)
    assert sub.wait("tinybms/status/availability", match=lambda text: text == "offline")
    late = subprocess.run(
        ["mosquitto_sub", "-p", str(broker.port), "-t", "tinybms/status/availability", "-C", "1", "-W", "5", "-F", "%r %p"],
        capture_output=True, text=True,
    )  # fmt: skip
    assert late.stdout.strip() == "1 offline"
