"""History and energy through the running gateway, fed by the simulated BMS."""

import csv
import io
import os
import signal
import time
from datetime import datetime, timezone

import pytest

from tests.integration.parts import Parts, wait_for

SAMPLE = {
    "timestamp", "timestamp_iso", "pack_voltage", "pack_current", "state_of_charge", "state_of_health",
    "average_temperature",
}  # fmt: skip


@pytest.fixture(scope="module")
def running(host_build):
    """A battery with a steady load of 40 A, and its gateway, for a few seconds already."""
    parts = Parts()
    try:
        parts.start_sim(scenario="normal", soc=60)
        parts.control.call("model", charger_on=False, load_a=40)
        parts.start_can()
        parts.bus()
        parts.start_gateway(config={"history": {"interval_ms": 250}, "uart": {"poll_interval_ms": 250}})
        parts.wait_connected()
        wait_for(lambda: parts.http("/api/history").json["total"] > 20, 30, "20 samples")
        yield parts
    finally:
        parts.stop()


def test_history_as_in_the_reference(running):
    reply = running.http("/api/history")
    assert reply.headers["Cache-Control"] == "no-store" and reply.headers["Content-Type"] == "application/json"
    found = reply.json
    assert found["interval_ms"] == 250 and found["capacity"] == 512 and found["resolution"] == "live"
    assert found["total"] == found["returned"] == len(found["samples"]) > 20
    stamps = [sample["timestamp"] for sample in found["samples"]]
    assert stamps == sorted(set(stamps)) and abs(stamps[-1] / 1000 - time.time()) < 5
    for sample in found["samples"]:
        assert set(sample) >= SAMPLE
        iso = datetime.fromisoformat(sample["timestamp_iso"].replace("Z", "+00:00")).astimezone(timezone.utc)
        assert round(iso.timestamp() * 1000) == sample["timestamp"]
    sample = found["samples"][-1]
    battery = running.gateway.status()["battery"]
    assert abs(sample["pack_voltage"] - battery["voltage_mv"] / 1000) < 0.2
    assert -42 < sample["pack_current"] < -38
    assert abs(sample["state_of_charge"] - 60) < 2 and 10 < sample["average_temperature"] < 40


def test_limit_takes_the_newest(running):
    everything = running.http("/api/history").json
    found = running.http("/api/history?limit=3").json
    assert found["returned"] == 3 and found["total"] >= everything["total"]
    assert found["samples"][-1]["timestamp"] >= everything["samples"][-1]["timestamp"]
    assert running.http("/api/history?limit=100000").json["returned"] >= everything["total"]


@pytest.mark.parametrize(
    "query",
    [
        "limit=0", "limit=-1", "limit=x", "limit=", "limit=1.5", "limit=9999999999", "resolution=2m", "step=0", "step=1001",
        "from=-1", "from=x", "to=", "to=1e9",
    ],
)  # fmt: skip
@pytest.mark.parametrize("path", ["/api/history", "/api/history/download"])
def test_bad_parameters_are_400(running, path, query):
    reply = running.http(f"{path}?{query}")
    assert reply.status == 400 and reply.json["code"] == "INVALID_PARAMETER"
    assert {"error", "code", "details"} == set(reply.json)


def test_a_window_and_one_of_many(running):
    everything = running.http("/api/history").json["samples"]
    first, last = everything[0]["timestamp"], everything[-1]["timestamp"]
    some = running.http(f"/api/history?from={first}&to={last}").json["samples"]
    assert 0 < len(some) <= len(everything) and all(first <= sample["timestamp"] <= last for sample in some)
    assert running.http(f"/api/history?from={last + 3_600_000}").json["samples"] == []
    thin = running.http(f"/api/history?to={last}&step=1000").json["samples"]
    assert 1 <= len(thin) <= 2 and thin[0]["timestamp"] % 250_000 == 0
    rows = running.http(f"/api/history/download?resolution=1m&from={last}&step=5").body.decode().splitlines()
    assert rows[0].startswith("timestamp,")


def test_archive_files_and_download(running):
    files = running.http("/api/history/files").json["files"]
    assert [(f["name"], f["capacity"], f["interval_ms"]) for f in files] == [
        ("minutes", 1440, 60_000),
        ("quarters", 2976, 900_000),
    ]
    assert sum(f["size"] for f in files) == 141_312
    for name, resolution in (("minutes", "1m"), ("quarters", "15m")):
        found = running.http(f"/api/history/archive?file={name}").json
        same = running.http(f"/api/history?resolution={resolution}").json
        assert found["file"] == name and found["resolution"] == resolution == same["resolution"]
        assert found["returned"] == len(found["samples"]) <= found["total"]
        assert running.http(f"/api/history/download?file={name}").headers["Content-Type"].startswith("text/csv")
    assert running.http("/api/history/archive?file=../config.json").status == 404
    assert running.http("/api/history/archive", method="POST", data={}).status == 405
    reply = running.http("/api/history/download?resolution=live&limit=5")
    assert "attachment" in reply.headers["Content-Disposition"]
    rows = list(csv.DictReader(io.StringIO(reply.body.decode())))
    assert len(rows) == 5 and set(rows[0]) >= SAMPLE and -42 < float(rows[0]["pack_current"]) < -38


def test_energy_follows_the_battery(running):
    def counted():
        return running.http("/api/energy").json["today"]["discharged_wh"]

    first, start = counted(), time.monotonic()
    time.sleep(6)
    last, seconds = counted(), time.monotonic() - start
    power = running.gateway.status()["battery"]
    wanted = power["voltage_mv"] * -power["current_ma"] / 1e6 * seconds / 3600
    assert abs(last - first - wanted) < 0.15 * wanted + 0.02
    assert len(running.bus().wait(0x378, 15)) == 8  # what was counted is told to the GX
    energy = running.http("/api/energy").json
    assert energy["today"]["charged_wh"] == 0 and energy["yesterday"] is None
    assert energy["records"]["discharge_current_max_ma"] > 38_000
    assert energy["records"]["charge_current_max_ma"] is None
    assert running.http("/api/energy", method="POST", data={}).status == 405


def test_no_samples_while_the_bms_is_gone(running):
    running.control.call("fault", name="silence", on=True)
    try:
        wait_for(lambda: running.gateway.status()["battery"]["status"] == "DISCONNECTED", 15)
        before = running.http("/api/history").json["total"]
        time.sleep(2)
        assert running.http("/api/history").json["total"] == before
    finally:
        running.control.call("clear")
    wait_for(lambda: running.http("/api/history").json["total"] > before, 15, "samples again")


def test_counters_survive_a_kill_and_history_a_restart(parts, host_build):
    parts.start_sim(scenario="normal", soc=60)
    parts.control.call("model", charger_on=False, load_a=120)  # 10 Wh in 6 s
    parts.start_can()
    parts.bus()
    parts.start_gateway()
    parts.wait_connected()

    def lifetime():
        return parts.http("/api/energy").json["lifetime"]["discharged_wh"]

    wait_for(lambda: lifetime() >= 30, 60, "30 Wh")
    before = lifetime()
    os.kill(parts.gateway.child.pid, signal.SIGKILL)
    parts.start_gateway()
    parts.wait_connected()
    after = lifetime()
    assert before - 29 <= after  # saved each 10 s: 18 Wh
    # an orderly restart loses nothing
    parts.http("/api/system/restart", "POST", {"target": "gateway", "delay_ms": 100})
    before = lifetime()
    parts.gateway.child.wait(20)
    parts.start_gateway()
    parts.wait_connected()
    assert lifetime() >= before
    minutes = parts.http("/api/history?resolution=1m").json
    assert minutes["total"] >= 1 and min(sample["pack_current_min"] for sample in minutes["samples"]) < -100, minutes
