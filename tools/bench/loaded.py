"""Rows of a gateway on which everything happens at once: does CAN notice?"""

import json
import sys

import pytest

from tests import bundles
from tests.integration.mqtt_broker import Broker
from tests.integration.parts import wait_for
from tools.bench.running import everything, period_row, watch_period
from tools.bench.table import Row
from tools.processes import HOST_BUILD

ALL_TOPICS = {"can_raw_enabled": True, "can_decoded_enabled": True, "can_ready_enabled": True}
FAST_MS = 250  # history samples and MQTT at their shortest


def broker(parts):
    """A Mosquitto that takes everything, None where there is none on this machine."""
    try:
        return Broker(parts, "max_queued_messages 0")
    except pytest.skip.Exception:
        return None


def load_rows(quick):
    seconds = 8 if quick else 90
    with everything(own_root=True, no_restart=True) as parts:
        bundle = parts.directory / "update.bundle"
        bundle.write_bytes(bundles.bundle(bundles.slot_files(HOST_BUILD / "slot_a"), version="9.9.9"))
        config = {"history": {"interval_ms": FAST_MS}, "uart": {"poll_interval_ms": FAST_MS}}
        mqtt = broker(parts)
        if mqtt:
            config["mqtt"] = {"broker_uri": mqtt.uri, **ALL_TOPICS}
        assert parts.http("/api/config", "POST", config).status == 200
        if mqtt:
            wait_for(lambda: parts.http("/api/mqtt/status").json["connected"], 20, "the broker")
        sub = mqtt and mqtt.sub("#")
        command = [sys.executable, "-m", "tools.bench.load", parts.gateway.url, bundle, seconds]
        load = parts.start("load", command)
        times, stalled = watch_period(parts, seconds)
        did = json.loads(load.wait_line("load ", 90))
        published = (parts.directory / "mosquitto_sub.log").read_text().count(" >> ") if sub else 0
    yield period_row("period of 0x351, everything at once", times, stalled)
    figures = {
        "requests/s": did.pop("requests", 0) / seconds,
        "ms each": did.pop("request_ms"),
        "WebSocket messages/s": did.pop("messages", 0) / seconds,
        "MQTT messages/s": published / seconds,
        "updates": did.pop("updates", 0),
    }
    text = ", ".join(f"{value:.0f} {name}" for name, value in figures.items())
    text += "".join(f", {count} {name}" for name, count in did.items())
    yield Row("  meanwhile", text if mqtt else text + " (no Mosquitto here)")
