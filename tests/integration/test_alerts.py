"""Alerts from the registers of the BMS to REST and WebSocket: each type raised, acknowledged, cleared, found in the history."""

import contextlib
import json
import re
import signal
import struct
import time

import pytest
from websockets.sync.client import connect

from tests.integration.parts import Parts, wait_for

pytestmark = pytest.mark.usefixtures("host_build")

CELL = 2 + 15 - 4  # any register of a cell of a 16-cell pack
CONFIG = "/api/alerts/config"
ON = {
    "debounce_sec": 1,
    "temp_low_enabled": True,
    "pack_volt_high_enabled": True,
    "pack_volt_low_enabled": True,
    "discharge_current_enabled": True,
    "charge_current_enabled": True,
    "soc_low_enabled": True,
    "soc_high_enabled": True,
}


class Watch:
    """What the tests ask of a running gateway."""

    def __init__(self, parts):
        self.parts = parts
        self.control = parts.control

    def post(self, path, data=None, status=200):
        reply = self.parts.http(path, "POST", {} if data is None else data)
        assert reply.status == status, reply.body
        return reply.json

    def config(self, **values):
        self.post(CONFIG, values)

    def polled(self, times):
        """Wait until the gateway has read the BMS so often once more."""

        def polls():
            text = self.parts.http("/metrics").body.decode()
            return int(re.search(r"uart_good_total (\d+)", text)[1])

        before = polls()
        wait_for(lambda: polls() >= before + times, 20, "polls")

    def active(self):
        """{type: entry}; checks the answer's form."""
        body = self.parts.http("/api/alerts/active").json
        assert set(body) == {"alerts", "count"} and body["count"] == len(body["alerts"])
        found = {entry["type"]: entry for entry in body["alerts"]}
        assert len(found) == body["count"], "one type twice"
        assert all(entry["severity"] > 0 and entry["status"] in (0, 1) for entry in body["alerts"])
        return found

    def raised(self, kind, seconds=6):
        return wait_for(lambda: self.active().get(kind), seconds, f"alert of type {kind}")

    def gone(self, kind, seconds=6):
        wait_for(lambda: kind not in self.active(), seconds, f"end of alert {kind}")

    def history(self, limit=200, offset=0):
        body = self.parts.http(f"/api/alerts/history?limit={limit}&offset={offset}").json
        assert set(body) == {"alerts", "total", "limit", "offset"}
        return body["alerts"]

    def found(self, alert_id):
        return next(entry for entry in self.history() if entry["alert_id"] == alert_id)

    def life(self, kind, severity, raise_it, end_it, message, seconds=6):
        """One alert from raising to history."""
        raise_it()
        entry = self.raised(kind, seconds)
        assert (entry["severity"], entry["status"]) == (severity, 0)
        assert message in entry["message"], entry["message"]
        assert abs(entry["timestamp_ms"] / 1000 - time.time()) < 10
        number = entry["alert_id"]
        assert self.found(number)["ack_timestamp_ms"] is None
        assert self.post(f"/api/alerts/acknowledge/{number}") == {"success": True, "alert_id": number}
        assert self.active()[kind]["status"] == 1
        assert self.found(number)["ack_timestamp_ms"] >= entry["timestamp_ms"]
        end_it()
        self.gone(kind, seconds)
        ended = self.found(number)
        assert ended["status"] == 2 and ended["message"] == entry["message"]
        assert ended["clear_timestamp_ms"] >= ended["ack_timestamp_ms"] >= ended["timestamp_ms"]
        return entry


@pytest.fixture(scope="module")
def watch(host_build):
    """A resting battery whose registers the tests override, a GX on the bus, a gateway with all rules on."""
    parts = Parts()
    try:
        parts.start_sim(scenario="normal", speed=0, soc=60)
        parts.control.call("model", charger_on=False, load_a=0)
        parts.control.call("model", step_s=1)
        parts.start_can()
        parts.bus()
        parts.start_gateway(no_restart=True)
        parts.wait_connected()
        watch = Watch(parts)
        watch.config(**ON)
        yield watch
    finally:
        parts.stop()


# type, severity, what to set: config of the gateway (a limit beyond the measured value), message
LIMITS = (
    (1, 2, {"temperature_max_c": 1}, {"temperature_max_c": 100}, "Température élevée: "),
    (2, 1, {"temperature_max_c": 125, "temperature_min_c": 90}, {"temperature_min_c": -30}, "Température basse: "),
    (9, 1, {"soc_min_percent": 80}, {"soc_min_percent": 10}, "SoC bas: "),
    (5, 1, {"pack_voltage_min_mv": 1000, "pack_voltage_max_mv": 20_000}, {"pack_voltage_max_mv": 70_000}, "Tension pack haute"),
    (6, 1, {"pack_voltage_max_mv": 80_000, "pack_voltage_min_mv": 70_000}, {"pack_voltage_min_mv": 1000}, "Tension pack basse"),
)  # fmt: skip


@pytest.mark.parametrize("row", LIMITS, ids=lambda row: f"type{row[0]}")
def test_limit_of_the_configuration(watch, row):
    kind, severity, beyond, back, message = row
    watch.life(kind, severity, lambda: watch.config(**beyond), lambda: watch.config(**back), message)


def _cells(watch, mv):
    """All cells but one as they are; `mv` for that one, minimum and maximum with it."""
    words = watch.control.call("get", register=0, count=42)["words"]
    values = {CELL: mv * 10}
    cells = [mv if r == CELL else words[r] // 10 for r in range(16)]
    values[40], values[41] = min(cells), max(cells)
    volt = watch.control.call("get", register=36, count=2)["words"]
    assert volt
    watch.control.call("set", values=values)


def _normal(watch):
    return watch.control.call("get", register=CELL)["words"][0] // 10


@pytest.mark.parametrize("kind", [3, 4, 11])
def test_cell_voltage(watch, kind):
    here = _normal(watch)
    offset = {3: 120, 4: -120, 11: 60}[kind]  # the pack voltage still fits the sum of the cells
    limits = {
        3: {"cell_voltage_max_mv": here + 60},
        4: {"cell_voltage_min_mv": here - 60},
        11: {"imbalance_max_mv": 40},
    }[kind]
    defaults = {"cell_voltage_max_mv": 4500, "cell_voltage_min_mv": 1000, "imbalance_max_mv": 1000}
    watch.config(**(defaults | limits))
    cell = f"Cell {CELL + 1} = {(here + offset) / 1000:g}V"
    message = {3: "Tension cellule haute: " + cell, 4: "Tension cellule basse: " + cell, 11: "quilibre"}[kind]
    watch.life(
        kind, 2 if kind == 3 else 1, lambda: _cells(watch, here + offset), lambda: watch.control.call("unset"), message
    )


def _current(watch, amps):
    low, high = struct.unpack("<HH", struct.pack("<f", amps))
    watch.control.call("set", values={38: low, 39: high})


@pytest.mark.parametrize(("kind", "amps"), [(7, -120.0), (8, 120.0)])
def test_current(watch, kind, amps):
    message = f"{'Courant de décharge' if amps < 0 else 'Courant de charge'} élevé: 120A > 100A"
    watch.life(kind, 1, lambda: _current(watch, amps), lambda: watch.control.call("unset"), message)


def test_high_soc_is_only_in_the_history(watch):
    before = len(watch.history())
    watch.config(soc_max_percent=20, soc_min_percent=1)
    entry = wait_for(lambda: next((e for e in watch.history() if e["type"] == 10), None), 6)
    assert (entry["severity"], entry["status"]) == (0, 2) and 10 not in watch.active()
    watch.config(soc_max_percent=99)
    assert len(watch.history()) == before + 1


def test_debounce_holds_back(watch):
    watch.config(debounce_sec=5, temperature_max_c=2)
    start = time.monotonic()
    watch.raised(1, 12)
    assert 4.5 < time.monotonic() - start < 9
    watch.config(temperature_max_c=100, debounce_sec=1)
    watch.gone(1)


@pytest.mark.parametrize(("code", "kind"), [(0x91, 20), (0x92, 21), (0x93, 22), (0x96, 23), (0x97, 24)])
def test_status_change(watch, code, kind):
    newest = max((entry["alert_id"] for entry in watch.history()), default=0)
    watch.control.call("set", register=50, value=0x93 if code == 0x97 else 0x97)
    watch.polled(2)
    watch.control.call("set", register=50, value=code)

    def found():
        return [e for e in watch.history() if e["type"] == kind and e["alert_id"] > newest]

    entry = wait_for(found, 5, f"type {kind}")[0]
    assert (entry["severity"], entry["status"]) == (0, 2) and kind not in watch.active()
    watch.control.call("unset")


def _end(watch):
    """End what was injected; the model stands still, and its status with it."""
    watch.control.call("clear")
    watch.control.call("model", step_s=0.1)


def test_fault_and_its_event(watch):
    """An active fault of the BMS: 25 for the status, 100 + id for the event, both until it ends."""

    watch.control.call("event", id=0x05, active=True)
    fault, event = watch.raised(25, 4), watch.raised(105, 12)
    assert fault["severity"] == event["severity"] == 2 and "surintensité de décharge" in event["message"]
    assert watch.post("/api/alerts/acknowledge")["acknowledged_count"] >= 2
    assert watch.post("/api/alerts/acknowledge") == {"success": True, "acknowledged_count": 0}
    _end(watch)
    watch.gone(25, 15)
    watch.gone(105, 15)
    assert watch.found(event["alert_id"])["status"] == 2
    wait_for(lambda: any(entry["type"] == 323 for entry in watch.history()), 12, "its recovery in the history")


def test_warning_and_information_events(watch):
    watch.control.call("event", id=0x31, active=True)
    watch.control.call("event", id=0x64)
    entry = watch.raised(201, 14)
    assert entry["severity"] == 1 and entry["message"] == "Avertissement BMS: batterie entièrement déchargée"
    assert any(e["type"] == 304 and e["status"] == 2 for e in watch.history())
    _end(watch)
    watch.gone(201, 14)


def test_lost_sensor(watch):
    watch.life(
        15,
        1,
        lambda: watch.control.call("model", ext_connected=[True, False]),
        lambda: watch.config(enabled=False),  # it is doubted for a minute after it is back
        "Sonde de température",
    )
    watch.control.call("model", ext_connected=[True, True])
    watch.config(enabled=True)


def test_websocket_and_system_event(watch):
    """All active alerts first, then one message a change."""
    with contextlib.ExitStack() as stack:
        alerts = stack.enter_context(connect(watch.parts.gateway.ws_url + "/ws/alerts"))
        events = stack.enter_context(connect(watch.parts.gateway.ws_url + "/ws/events"))
        first = json.loads(alerts.recv(5))
        assert first["type"] == "alerts" and isinstance(first["alerts"], list)
        watch.config(debounce_sec=0, temperature_max_c=3)

        def of(kind, status):
            while True:
                message = json.loads(alerts.recv(5))
                assert message["type"] == "alert"
                if message["alert"]["type"] == kind:
                    assert message["alert"]["status"] == status
                    return message["alert"]

        raised = of(1, 0)
        watch.post(f"/api/alerts/acknowledge/{raised['alert_id']}")
        assert of(1, 1)["alert_id"] == raised["alert_id"]
        watch.config(temperature_max_c=100)
        assert of(1, 2)["message"] == raised["message"]
        event = {"event": ""}
        while event["event"] != "ALERT_TRIGGERED" or event["data"]["type"] != 1:
            event = json.loads(events.recv(5))
        assert event["data"]["alert_id"] == raised["alert_id"] and event["data"]["severity"] == 2
    watch.config(debounce_sec=1)


def test_pages_statistics_and_errors(watch):
    everything = watch.history()
    assert len(everything) > 20
    stamps = [entry["timestamp_ms"] for entry in everything]
    assert stamps == sorted(stamps, reverse=True)
    assert len({entry["alert_id"] for entry in everything}) == len(everything)
    assert watch.history(7, 5) == everything[5:12]
    assert watch.history(50, len(everything) + 5) == []
    body = watch.parts.http("/api/alerts/history").json
    assert (body["limit"], body["offset"]) == (50, 0) and len(body["alerts"]) == min(50, body["total"])
    counts = watch.parts.http("/api/alerts/statistics").json
    for name, severity in (("critical_count", 2), ("warning_count", 1), ("info_count", 0)):
        assert counts[name] == sum(entry["severity"] == severity for entry in everything)
    assert counts["total_alerts"] == len(everything)
    assert counts["active_alert_count"] == len(watch.active())
    times = [e["ack_timestamp_ms"] - e["timestamp_ms"] for e in everything if e["ack_timestamp_ms"] is not None]
    assert abs(counts["avg_acknowledgment_time_ms"] - sum(times) / len(times)) <= 1
    for query in ("limit=0", "limit=x", "limit=-1", "offset=-1", "offset=a", "limit=99999999999"):
        reply = watch.parts.http("/api/alerts/history?" + query)
        assert reply.status == 400 and set(reply.json) == {"error", "code", "details"}, query
    for number in ("999999", "abc", "-1", "*"):
        assert watch.parts.http(f"/api/alerts/acknowledge/{number}", "POST").status == 404
    for bad in ({"debounce_sec": 3601}, {"nothing": 1}, {"enabled": 1}, {"soc_min_percent": 100}):
        assert watch.post(CONFIG, bad, 400)["code"] == "INVALID_CONFIG"
    config = watch.parts.http(CONFIG).json
    assert config["debounce_sec"] == 1 and config["monitor_tinybms_events"] is True


HOT = {"fr": "Température élevée: ", "en": "Temperature high: "}


def test_language(watch):
    """Who reads names the language; who does not gets the gateway's."""
    watch.config(debounce_sec=0, temperature_max_c=3)
    watch.raised(1)
    path = "/api/alerts/history?limit=1000"

    def texts(more=""):
        return [entry["message"] for entry in watch.parts.http(path + more).json["alerts"] if entry["type"] == 1]

    for setting in ("en", "fr"):
        watch.parts.http("/api/config", "POST", {"system_language": setting})
        for more, language in (("", setting), ("&lang=en", "en"), ("&lang=fr", "fr")):
            assert texts(more) and all(text.startswith(HOT[language]) for text in texts(more)), (setting, more)
    for bad in ("/api/alerts/active?lang=de", path + "&lang=", "/api/registers?lang=EN"):
        reply = watch.parts.http(bad)
        assert reply.status == 400 and reply.json["code"] == "INVALID_PARAMETER" and "lang" in reply.json["details"]
    watch.config(temperature_max_c=100, debounce_sec=1)
    watch.gone(1)


class Listener:
    """A WebSocket that hears alerts: /ws/page with `lang` as given (no /ws/page for None), or /ws/alerts."""

    def __init__(self, stack, watch, path, lang=None):
        self.socket = stack.enter_context(connect(watch.parts.gateway.ws_url + path))
        if path == "/ws/page":
            self.want(lang)

    def want(self, lang):
        message = {"type": "subscribe", "streams": ["alerts"], **({} if lang is None else {"lang": lang})}
        self.socket.send(json.dumps(message))

    def next(self, kind):
        """The next message of that type, at most 10 s from now."""
        end = time.monotonic() + 10
        while (message := json.loads(self.socket.recv(end - time.monotonic())))["type"] != kind:
            pass
        return message

    def text(self, status):
        """What is said when the temperature alert gets that status."""
        while True:
            alert = self.next("alert")["alert"]
            if alert["type"] == 1 and alert["status"] == status:
                return alert["message"]

    def opening(self):
        """What is said of it among the active ones."""
        return next(alert["message"] for alert in self.next("alerts")["alerts"] if alert["type"] == 1)


def test_pages_at_once_in_two_languages(watch):
    watch.config(debounce_sec=0, temperature_max_c=3)
    number = watch.raised(1)["alert_id"]
    with contextlib.ExitStack() as stack:
        english, french = (Listener(stack, watch, "/ws/page", lang) for lang in ("en", "fr"))
        assert english.opening().startswith(HOT["en"]) and french.opening().startswith(HOT["fr"])
        watch.post(f"/api/alerts/acknowledge/{number}")
        assert english.text(1).startswith(HOT["en"]) and french.text(1).startswith(HOT["fr"])
        for bad in ("de", 5):
            english.want(bad)
            error = english.next("error")
            assert error.pop("type") == "error" and set(error) == {"error", "code", "details"}
            assert error["code"] == "INVALID_PARAMETER"
        french.want("en")
        assert french.opening().startswith(HOT["en"])
        english.want("fr")
        assert english.opening().startswith(HOT["fr"])
        watch.config(temperature_max_c=100)
        assert english.text(2).startswith(HOT["fr"]) and french.text(2).startswith(HOT["en"])
    watch.gone(1)
    watch.config(temperature_max_c=3)
    watch.raised(1)
    with contextlib.ExitStack() as stack:
        readers = [
            Listener(stack, watch, path, lang)
            for path, lang in (("/ws/page", None), ("/ws/alerts", None), ("/ws/alerts?lang=en", None))
        ]
        assert [reader.opening().split(":")[0] for reader in readers] == [
            "Température élevée", "Température élevée", "Temperature high"
        ]  # fmt: skip
        watch.parts.http("/api/config", "POST", {"system_language": "en"})
        watch.config(temperature_max_c=100)
        assert all(reader.text(2).startswith(HOT["en"]) for reader in readers)  # the setting counts from now on
    watch.parts.http("/api/config", "POST", {"system_language": "fr"})
    watch.config(debounce_sec=1)


def test_bms_lost_and_back(watch):
    watch.life(
        12,
        2,
        lambda: watch.control.call("fault", name="silence"),
        lambda: watch.control.call("clear"),
        "BMS perdu",
        seconds=15,
    )


def test_delete(watch):
    watch.config(temperature_max_c=1)
    kept = watch.raised(1)["alert_id"]
    total = watch.parts.http("/api/alerts/history").json["total"]
    active = len(watch.active())
    reply = watch.parts.http("/api/alerts/history", "DELETE")
    assert reply.json == {"success": True, "deleted_count": total - active}
    assert kept in [entry["alert_id"] for entry in watch.history()] and len(watch.history()) == active


def test_restart_with_faults_of_can_and_gx(parts):
    """No one acknowledges on CAN, the GX goes: alerts 13 and 14; a kill loses nothing, and no BMS event comes twice."""
    parts.start_sim(scenario="normal", speed=0, soc=60)
    parts.start_can()
    gx = parts.gx()
    parts.start_gateway(no_restart=True)
    parts.wait_connected()
    watch = Watch(parts)
    parts.control.call("event", id=0x04, active=True)
    watch.raised(104, 14)
    wait_for(lambda: parts.http("/api/can/status").json["gx_present"], 10)
    gx.stop()
    entry = watch.raised(13, 20)
    assert entry["severity"] == 1 and entry["message"].startswith("Défaut CAN: ")
    assert watch.raised(14, 45)["severity"] == 1
    watch.post("/api/alerts/acknowledge")
    before = watch.active()
    history = watch.history()
    parts.gateway.child.signal(signal.SIGKILL)
    parts.gateway.child.wait()
    parts.start_gateway(no_restart=True)
    assert {kind: e["alert_id"] for kind, e in watch.active().items()} == {k: e["alert_id"] for k, e in before.items()}
    parts.wait_connected()
    parts.gx()
    watch.gone(13, 20)
    watch.gone(14, 20)
    events = [(e["type"], e["alert_id"]) for e in watch.history() if e["type"] >= 100]
    assert events == [(e["type"], e["alert_id"]) for e in history if e["type"] >= 100]
    assert watch.active()[104]["status"] == 1
    _end(watch)
    watch.gone(104, 14)


def test_dump_of_a_real_unit_with_default_thresholds(parts):
    """NMC cells at 3.98 V: type 3 after its debounce (2 s here, 60 s in the unit test), and its own old events as history."""
    parts.start_sim(dump="tests/data/dump_hw_1.json")
    parts.start_can()
    parts.bus()
    parts.start_gateway(no_restart=True, config={"alerts": {"debounce_sec": 2}})
    parts.wait_connected()
    watch = Watch(parts)
    entry = watch.raised(3, 10)
    assert entry["severity"] == 2 and entry["message"].startswith("Tension cellule haute: Cell ")
    assert entry["message"].endswith("= 3.99V > 3.65V")
    assert set(watch.active()) <= {3}
    events = [e["type"] for e in watch.history() if e["type"] >= 100]
    assert events == [305, 302, 304, 305]
