"""/ws/page: one socket for a page, with the streams that it asks for."""

import json
import time

import pytest
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import connect

from tests.integration.parts import free_heap, wait_for

ALL = ["telemetry", "events", "alerts", "state", "uart", "can"]


class Page:
    def __init__(self, running, *streams):
        self.link = connect(running.gateway.ws_url + "/ws/page")
        self.streams = streams

    def __enter__(self):
        self.socket = self.link.__enter__()
        self.want(*self.streams)
        return self

    def __exit__(self, *error):
        self.link.__exit__(*error)

    def want(self, *streams):
        self.socket.send(json.dumps({"type": "subscribe", "streams": streams}))

    def of(self, kind, seconds=10):
        """The next message of that type."""
        deadline = time.monotonic() + seconds
        while (left := deadline - time.monotonic()) > 0:
            message = json.loads(self.socket.recv(timeout=left))
            if message["type"] == kind:
                return message
        raise AssertionError(f"no {kind} in {seconds} s")

    def kinds(self, seconds):
        """Which types come in that time."""
        found, deadline = set(), time.monotonic() + seconds
        while (left := deadline - time.monotonic()) > 0:
            try:
                found.add(json.loads(self.socket.recv(timeout=left))["type"])
            except TimeoutError:
                break
        return found


def test_nothing_comes_before_it_is_asked_for(running):
    with Page(running) as page:
        assert page.kinds(2.5) == set()


def test_each_stream_brings_the_messages_of_its_own_socket(running):
    paths = {"battery_data": "telemetry", "alerts": "alerts", "uart_frame": "uart", "can_frame": "can"}
    found = {}
    with Page(running, *ALL) as page:
        while not set(found) >= {*paths, "state"}:
            message = json.loads(page.socket.recv(timeout=12))
            found[message["type"]] = message
    for kind, path in paths.items():
        with connect(f"{running.gateway.ws_url}/ws/{path}") as socket:
            message = json.loads(socket.recv(timeout=12))
            assert message["type"] == kind and set(found[kind]) == set(message)


def test_state_says_how_things_are(running):
    with Page(running, "state") as page:
        state = page.of("state", 3)
        assert state["bms"] == {"connected": True, "reason": ""}
        assert state["wifi"]["connected"] and state["mqtt"]["connected"] is False
        assert state["can"]["state"] in ("RUNNING", "NO_ACK") and set(state["limits"]["reasons"]) == {
            "cvl",
            "ccl",
            "dcl",
        }
        assert state["battery"]["capacity_mah"] > 0 and 2000 < state["battery"]["cell_empty_mv"] < 4000
        assert state["password_set"] is False and state["chemistry"] == "auto"
        assert page.of("state", 15)["uptime_ms"] > state["uptime_ms"]


def test_streams_change_while_it_is_open(running):
    with Page(running, "uart") as page:
        page.of("uart_frame")
        page.want("telemetry")
        page.of("battery_data")
        assert page.kinds(2.5) == {"battery_data"}
        before = running.http("/api/event-bus/metrics").json["active_subscriptions"]
        page.want()
        page.kinds(0.5)
        assert page.kinds(2.5) == set()
        assert running.http("/api/event-bus/metrics").json["active_subscriptions"] <= before
    with Page(running, "telemetry", "telemetry", "none such", 5, None, {}) as page:
        page.of("battery_data")


@pytest.mark.parametrize(
    "text",
    ["[]", "5", '{"type":"subscribe"}', '{"type":"subscribe","streams":{}}', "{", '{"type":"x"}', '{"streams":7}'],
)
def test_what_it_does_not_understand_changes_nothing(running, text):
    with Page(running, "telemetry") as page:
        page.of("battery_data")
        page.socket.send(text)
        page.of("battery_data")
        page.of("battery_data")


def test_pong_tells_what_was_dropped(running):
    with Page(running, "telemetry") as page:
        page.socket.send('{"type":"ping"}')
        pong = page.of("pong")
        assert pong["dropped"] == 0 and pong["timestamp_ms"] > 0


def test_a_foreign_page_gets_none(running):
    with (
        pytest.raises(InvalidStatus) as refused,
        connect(running.gateway.ws_url + "/ws/page", origin="http://evil.example"),
    ):
        pass
    assert refused.value.response.status_code == 403


def test_a_page_that_floods_is_dropped_and_the_others_live(running):
    with Page(running, "telemetry") as good, Page(running, "telemetry") as bad:
        with pytest.raises(ConnectionClosed):
            for _ in range(2000):
                bad.want("telemetry", "state", "alerts")
            bad.kinds(5)
            bad.want("telemetry")
            bad.kinds(3)
        good.of("battery_data")
        good.of("battery_data", 3)


def test_heap_comes_back_when_the_page_is_gone(running):
    def free():
        return free_heap(running.gateway, 8)

    with Page(running, *ALL) as page:
        page.of("battery_data")
    before = free()
    for _ in range(12):
        with Page(running, *ALL) as page:
            page.of("state")
    assert free() > before - 20_000
    wait_for(lambda: running.gateway.http("/api/event-bus/metrics").json["active_subscriptions"] < 60)
