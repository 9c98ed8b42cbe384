"""The CAN side of DESIGN 5, and a day as a GX sees it: nobody acknowledges, bus-off, adapter gone, GX gone, no false alarm."""

import time

import pytest

from tests.integration.parts import wait_for

pytestmark = pytest.mark.usefixtures("host_build")


def state(parts):
    return parts.http("/api/can/status").json


def test_normal_day_shows_no_alarm(parts):
    """From ten in the morning to the evening in under a minute; the GX's limits steer the simulated charger."""
    parts.start_sim(scenario="normal", speed=0)
    parts.start_can()
    gx = parts.gx(steer=parts.control_url)
    parts.start_gateway()
    wait_for(lambda: gx.status == "OK", 20, "the battery on the GX")
    parts.control.call("speed", value=600)
    socs = set()
    end = time.monotonic() + 45
    while time.monotonic() < end:
        socs.add(gx.state.get("soc_pct"))
        time.sleep(0.5)
    assert len(socs) > 5, "the battery did not live"
    said = [text for _, text in gx.log if "alarm" in text or "warning" in text or "LOST" in text]
    assert not said, said
    alerts = parts.http("/api/alerts/active")
    if alerts.status == 200:
        assert [a for a in alerts.json["alerts"] if a["severity"] == 2] == []


def test_nobody_acknowledges(parts):
    parts.start_sim()
    parts.start_can()
    parts.start_gateway()
    parts.wait_connected()
    wait_for(lambda: state(parts)["state"] == "NO_ACK", 20, "NO_ACK")
    wait_for(lambda: parts.http("/api/can/limits").json["cvl_mv"] is None, 5, "that nothing is sent")
    bus = parts.bus()
    bus.wait(0x351, 10)
    wait_for(lambda: state(parts)["state"] == "RUNNING", 10, "RUNNING again")
    wait_for(lambda: parts.http("/api/can/limits").json["cvl_mv"], 5, "limits that are sent")


def test_bus_off_recovers_by_itself_and_is_counted(parts):
    parts.start_all()
    bus = parts.bus()
    bus.wait(0x351, 20)
    parts.can_control.call("fault", name="bus_off", sent=0x351, reopen=True)
    wait_for(lambda: state(parts)["bus_offs"] >= 1, 15, "bus-off counted")
    bus.drain()
    bus.wait(0x351, 20)
    wait_for(lambda: state(parts)["state"] == "RUNNING", 10, "RUNNING again")


def test_adapter_that_goes_is_found_again(parts):
    parts.start_all()
    bus = parts.bus()
    bus.wait(0x351, 20)
    parts.can_control.call("fault", name="disconnect", sent=0x351)
    bus.drain()
    bus.wait(0x351, 10)


def test_gx_that_goes_is_noticed(parts):
    parts.start_all()
    bus = parts.bus()
    bus.wait(0x351, 20)
    assert state(parts)["gx_seen"] is False and state(parts)["gx_present"] is False
    bus.send(0x305, bytes(8))
    wait_for(lambda: state(parts)["gx_present"], 5, "the GX")
    gone = time.monotonic()
    wait_for(lambda: not state(parts)["gx_present"], 40, "the GX lost", step=0.5)
    assert time.monotonic() - gone > 25
    assert state(parts)["gx_seen"] is True
    bus.drain()
    bus.wait(0x351, 3)  # a GX that restarts must find the battery


def test_can_is_switched_off_and_on_without_a_restart(parts):
    parts.start_all()
    bus = parts.bus()
    bus.wait(0x351, 20)
    assert parts.http("/api/config", "POST", {"can": {"enabled": False}}).status == 200
    wait_for(lambda: state(parts)["state"] == "STOPPED", 5, "STOPPED")
    assert bus.falls_silent(3)
    assert parts.http("/api/can/limits").json["cvl_mv"] is None
    assert parts.http("/api/config", "POST", {"can_enabled": True}).status == 200
    bus.wait(0x351, 10)
