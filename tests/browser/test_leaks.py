"""An hour of telemetry in some seconds: what a page on the wall and its gateway hold afterwards is what they held before.

The gateway is the real one, but makes its telemetry each 3 ms instead of each second: it runs from a copy of the sources with
that one number changed. What the page cannot take in time the gateway drops, so the page takes messages as fast as it can.
"""

import time

import pytest

from tests.browser.sources import changed
from tests.integration.parts import connected, free_heap, wait_for

MESSAGES = 3600  # an hour of them
FAST = {"http/telemetry.py": [("_PERIOD_MS = const(1000)", "_PERIOD_MS = const(3)")]}
VIEWS = {  # what is there when a view is complete
    "cells": ".bars > li",
    "history": "#view-history .u-over",
    "alerts": "#view-alerts .config form",
    "overview": ".strip > i",
}
HEAP_BYTES = (
    500_000  # of the page, whose trend is full when it is first measured; the browser still compiles what runs often
)
ELEMENTS = 20  # of the page: an alert may have come meanwhile
GATEWAY_BYTES = 24_000  # what lies between two collections
COUNT = """window.received = 0;
window.WebSocket = class extends WebSocket {
  constructor(...all) {
    super(...all);
    this.addEventListener("message", ({ data }) => data.startsWith('{"type":"battery_data"') && received++);
  }
};"""
HIDE = """(hidden) => {
  Object.defineProperty(document, "hidden", { value: hidden, configurable: true });
  document.dispatchEvent(new Event("visibilitychange"));
}"""


@pytest.fixture
def fast(host_build, tmp_path):
    with connected(no_restart=True, heap="2M", root=changed(tmp_path, FAST)) as parts:
        yield parts


class Page:
    """The page, what it has got, and what it holds. Only locators: a handle of an element would keep its whole view alive."""

    def __init__(self, page, gateway):
        self.page, self.gateway = page, gateway
        self.devtools = page.context.new_cdp_session(page)
        self.devtools.send("Performance.enable")

    def take(self, count):
        """Go round all views until so many messages have come; ends at the overview."""
        for view, complete in VIEWS.items():
            end = self.page.evaluate("received") + count // len(VIEWS)
            self.page.evaluate("(view) => (location.hash = '#/' + view)", view)
            self.page.locator(complete).first.wait_for(state="attached")
            wait_for(lambda end=end: self.page.evaluate("received") >= end, 60, f"{count} messages in {view}", 0.2)

    def subscriptions(self):
        return self.gateway.http("/api/event-bus/metrics").json["active_subscriptions"]

    def held(self):
        """(metrics of the page, free heap of the gateway, its subscriptions) while the page is hidden: without a socket."""
        open_ones = self.subscriptions()
        self.page.evaluate(HIDE, True)
        self.page.locator("#link[data-state=paused]").wait_for(state="attached")
        wait_for(lambda: self.subscriptions() < open_ones, 10, "the gateway has closed the socket too")
        time.sleep(0.5)  # what was on its way
        for _ in range(2):
            self.devtools.send("HeapProfiler.collectGarbage")
        found = {one["name"]: one["value"] for one in self.devtools.send("Performance.getMetrics")["metrics"]}
        heap, subscriptions = free_heap(self.gateway, 12), self.subscriptions()
        self.page.evaluate(HIDE, False)
        self.page.locator("#link[data-state=live]").wait_for()
        return found, heap, subscriptions


def test_3600_messages_of_telemetry_leak_nothing(fast, open_page):
    page = open_page(gateway=fast.gateway, wait=None)
    page.add_init_script(COUNT)
    page.goto("/")
    tour = Page(page, fast.gateway)
    start = time.monotonic()
    tour.take(100)
    tour.take(900)  # all views have been there twice, and the page's trend is full
    warm = time.monotonic()
    before, heap_before, subscriptions_before = tour.held()
    told = page.evaluate("received")
    middle = time.monotonic()
    tour.take(MESSAGES)
    took = time.monotonic() - middle
    told = page.evaluate("received") - told
    after, heap_after, subscriptions_after = tour.held()
    grown = {
        name: after[name] - before[name]
        for name in ("JSHeapUsedSize", "Nodes", "JSEventListeners", "Documents", "Frames")
    }
    print(
        f"{told} messages in {took:.1f} s ({took / told * 1000:.1f} ms each, warm-up {warm - start:.1f} s): the page grew by "
        f"{grown} from {before['JSHeapUsedSize']} bytes and {before['Nodes']} nodes; free heap of the gateway: "
        f"{heap_before}, {heap_after}; subscriptions: {subscriptions_before}, {subscriptions_after}"
    )
    assert told >= MESSAGES
    assert grown["JSHeapUsedSize"] < HEAP_BYTES
    assert grown["Nodes"] <= ELEMENTS and grown["JSEventListeners"] <= ELEMENTS
    assert grown["Documents"] <= 0 and grown["Frames"] <= 0
    assert heap_after > heap_before - GATEWAY_BYTES
    assert subscriptions_after == subscriptions_before
