"""The dashboard's first view and the cells: what it shows, how soon, what it costs, and what it does when something is gone."""

import json
import re
import time

import pytest

from tests.browser.conftest import SLOWDOWN, axe, overflow, shot, until
from tests.integration.parts import connected, wait_for

NUMBER = re.compile(r"[−+]?[\d.,]+")
SIZES = {"phone": (360, 780), "laptop": (1280, 800), "wall": (1920, 1080)}


def figure(page, label):
    """The number beside a label of the figures."""
    text = page.locator(".now .figures > div", has_text=label).locator("dd").inner_text()
    return float(NUMBER.search(text)[0].replace("−", "-").replace(",", "."))


@pytest.fixture
def alone(host_build):
    """Parts of its own: what this test does to them hurts no other."""
    with connected(no_restart=True) as parts:
        yield parts


def test_it_shows_what_the_api_says(running, open_page):
    running.gx()  # somebody acknowledges on CAN, so limits are sent
    page = open_page()
    battery = running.gateway.status()["battery"]
    wait_for(lambda: abs(float(page.inner_text(".soc .value")) - battery["soc_percent"]) <= 1, 5, "SoC")
    assert abs(figure(page, "Voltage") - battery["voltage_mv"] / 1000) < 0.5
    assert figure(page, "State of health") == battery["soh_percent"]

    def same_limits():  # CCL rises slowly after the start: both are read again until they agree
        limits = running.http("/api/can/limits").json
        heads = [NUMBER.search(text) for text in page.locator(".limits .head b").all_inner_texts()[1:]]
        if limits["cvl_mv"] is None or not all(heads):
            return False
        shown = [float(head[0]) for head in heads]
        return shown == pytest.approx([limits["ccl_ma"] / 1000, limits["dcl_ma"] / 1000], abs=3)

    wait_for(same_limits, 30, "the limits of the API")
    wait_for(lambda: "trip limit" in page.inner_text(".limits"), 5, "a reason")
    assert page.locator(".strip > i").count() == battery["cells_count"]
    assert page.inner_text(".links").count("connected") >= 2


def test_a_change_is_seen_within_two_seconds(alone, open_page):
    page = open_page(gateway=alone.gateway)
    times = []
    # registers 40 and 41 name the lowest and the highest
    for cell, mv, extreme in ((3, 3211, 40), (5, 3466, 41), (3, 3202, 40), (5, 3472, 41)):
        alone.control.call("set", values={cell - 1: mv * 10, extreme: mv})
        start = time.monotonic()
        number = f"{mv / 1000:.3f}"
        until(page, "number => document.querySelector('.cellstrip p').innerText.includes(number)", number)
        times.append(time.monotonic() - start)
        print(f"cell {cell} at {mv} mV on the page after {times[-1]:.2f} s")
    assert sorted(times)[2] < 2 * SLOWDOWN  # one of them may have met a stalled machine


def test_silence_of_the_bms_is_shown_within_seven_seconds(alone, open_page):
    page = open_page(gateway=alone.gateway)
    before = page.inner_text(".soc .value")
    for last in (False, False, True):  # the machine may have stalled
        alone.control.call("fault", name="silence")
        start = time.monotonic()
        page.wait_for_selector("body.stale #link[data-state=bms]", timeout=30_000)
        took = time.monotonic() - start
        print(f"silence shown after {took:.2f} s")
        if took < 7 * SLOWDOWN or last:
            break
        alone.control.call("clear")
        page.wait_for_selector("body:not(.stale) #link[data-state=live]", timeout=20_000)
    assert took < 7 * SLOWDOWN
    assert "old" in page.inner_text("#link") and page.inner_text(".soc .value") == before  # still there, but grey
    colour = "getComputedStyle(document.querySelector('%s')).color"
    assert page.evaluate(colour % ".soc .value") == page.evaluate(colour % ".quiet")
    assert axe(page) == ""  # grey, and still to be read
    wait_for(lambda: page.inner_text(".soc .status") == "BMS silent", 5)
    wait_for(lambda: page.locator(".alertlist li").first.inner_text() != "None", 15, "the alert")
    shot(page, "overview-silent")
    alone.control.call("clear")
    page.wait_for_selector("body:not(.stale) #link[data-state=live]", timeout=20_000)


def test_a_restart_of_the_gateway_is_survived(alone, open_page):
    page = open_page(gateway=alone.gateway, allow=("WebSocket connection", "ERR_CONNECTION", "Failed to load resource"))
    page.evaluate("window.same = true")
    port = alone.gateway.port
    alone.gateway.child.stop()
    page.wait_for_selector("body.stale #link[data-state=lost]", timeout=10_000)
    assert "not reachable" in page.inner_text("#link")
    time.sleep(1)
    alone.start_gateway(port=port, no_restart=True)
    page.wait_for_selector("body:not(.stale) #link[data-state=live]", timeout=30_000)
    assert page.evaluate("window.same")  # without loading the page again


def test_a_hidden_page_holds_no_socket(alone, open_page):
    page = open_page(gateway=alone.gateway)
    hide = "Object.defineProperty(document, 'hidden', {value: %s, configurable: true});"
    tell = "document.dispatchEvent(new Event('visibilitychange'))"

    def queues():
        return alone.http("/api/event-bus/metrics").json["active_subscriptions"]

    before = queues()
    page.evaluate(hide % "true" + tell)
    wait_for(lambda: queues() < before, 5, "the socket closed")
    page.wait_for_selector("#link[data-state=paused]", state="attached")
    page.evaluate(hide % "false" + tell)
    page.wait_for_selector("#link[data-state=live]")
    wait_for(lambda: queues() == before, 5, "the socket is back")


@pytest.mark.parametrize("view", ["overview", "cells"])
@pytest.mark.parametrize("lang, theme", [("en", "light"), ("fr", "dark")])
@pytest.mark.parametrize("size", SIZES)
def test_it_fits_and_reads_well(running, open_page, view, lang, theme, size):
    page = open_page(f"#/{view}", size=SIZES[size], lang=lang, theme=theme)
    until(page, "() => document.querySelectorAll('.strip > i, .bars > li').length > 3")
    time.sleep(0.7)  # bars move
    assert overflow(page) == 0
    shot(page, f"{view}-{size}-{theme}-{lang}")
    assert axe(page) == ""
    words = page.inner_text("main")
    assert ("Cellules" in words or "Tensions" in words) == (lang == "fr")


def test_nothing_moves_where_less_motion_is_wanted(running, open_page):
    page = open_page(reduced_motion="reduce")
    assert page.evaluate("getComputedStyle(document.querySelector('.moving')).animationName") == "none"


def test_cells_as_bars_as_table_and_as_a_line(running, open_page):
    page = open_page("#/cells")
    count = running.gateway.status()["battery"]["cells_count"]
    until(page, "count => document.querySelectorAll('.bars > li').length === count", count)
    page.locator(".bars button").nth(2).click()
    assert page.locator(".bars button").nth(2).get_attribute("aria-pressed") == "true"
    assert "Cell 3" in page.inner_text(".trend .legend")
    assert page.locator(".bars button").nth(0).get_attribute("title").startswith("Cell 1: 3.")
    page.get_by_role("button", name="Table").click()
    assert page.locator("tbody tr").count() == count and page.locator("tbody tr").nth(0).inner_text().startswith(
        "Cell 1"
    )
    page.get_by_role("button", name="Full range").click()
    assert axe(page) == ""


def test_an_unknown_current_is_not_zero(open_page):
    page = open_page(wait=None)

    def gateway(socket):
        message = {
            "type": "battery_data", "timestamp_ms": 1_700_000_000_000, "age_ms": 100, "status": "CHARGING", "voltage_mv": 52000,
            "current_ma": None, "soc_percent": 50, "soh_percent": 99, "temperature_c": None, "protection": {},
            "cells": [{"index": i, "voltage_mv": 3250, "balancing": False} for i in range(16)],
            "cvl_mv": 56000, "ccl_ma": 50000, "dcl_ma": 50000,
        }  # fmt: skip
        socket.on_message(lambda told: socket.send(json.dumps(message)))

    page.route_web_socket("**/ws/page", gateway)
    page.goto("/")
    until(page, "() => document.querySelector('.soc .value').innerText === '50'")
    assert page.locator(".flow svg").get_attribute("data-flow") == "unknown"
    assert "not known" in page.locator(".flow svg").get_attribute("aria-label")
    assert page.locator(".now .figures > div", has_text="Current").locator("dd").inner_text() == "–"


def test_balancing_cells_are_marked(alone, open_page):
    page = open_page("#/cells", gateway=alone.gateway)
    alone.control.call("set", register=52, value=0b101)
    until(page, "() => document.querySelectorAll('.bars > .balancing').length === 2")
    assert "is balanced" in page.locator(".bars button").nth(2).get_attribute("title")


@pytest.fixture
def small(host_build):
    """A gateway with the memory of an ESP32."""
    with connected(no_restart=True, heap="200k") as parts:
        yield parts


_PAINT = """async () => {
  const paint = performance.getEntriesByName('first-contentful-paint')[0]?.startTime;
  const entries = [performance.getEntriesByType('navigation')[0], ...performance.getEntriesByType('resource')];
  return {paint, list: entries.map((one) => [one.name.replace(location.origin, ''), one.transferSize, one.encodedBodySize])};
}"""


def test_first_view_is_small_and_soon_with_the_memory_of_a_board(small, open_page):
    page = open_page(gateway=small.gateway, wait=None)
    sockets, requests = [], []
    page.on("websocket", lambda socket: sockets.append(socket.url))
    page.on("request", lambda request: requests.append(request.url))
    start = time.monotonic()
    page.goto("/")
    until(page, "() => /\\d/.test(document.querySelector('.soc .value')?.innerText)")
    meaningful = time.monotonic() - start
    first = len(requests) + len(sockets)
    time.sleep(2)
    found = page.evaluate(_PAINT)
    transferred = sum(size for _, size, _ in found["list"])
    for name, size, _ in found["list"]:
        print(f"  {size:6d} {name}")
    print(
        f"first view with --heap 200k: {transferred} bytes, {len(requests)} requests and {len(sockets)} WebSocket "
        f"({first} until the first value), first paint {found['paint']:.0f} ms, state of charge after {meaningful * 1000:.0f} ms"
    )
    assert transferred < 60 * 1024 and len(requests) + len(sockets) <= 6 and len(sockets) == 1
    assert meaningful < 10
    before = len(requests)
    time.sleep(5)
    assert len(requests) == before  # nothing is asked again: all comes by the socket


def test_a_second_visit_takes_the_files_from_the_cache(running, open_page):
    page = open_page()
    page.reload()
    page.wait_for_selector("#link[data-state=live]")
    sizes = {name: size for name, size, _ in page.evaluate(_PAINT)["list"]}
    hashed = [size for name, size in sizes.items() if re.search(r"\.[0-9a-f]{8}\.(js|css)$", name)]
    assert len(hashed) >= 3 and not any(hashed)


_SHIFTS = """() => {
  window.shift = 0;
  window.shifted = [];
  new PerformanceObserver((list) => {
    for (const entry of list.getEntries()) {
      if (entry.hadRecentInput) continue;
      window.shift += entry.value;
      const name = ({ node }) => node?.id || node?.className || node?.nodeName;
      shifted.push([entry.value, ...entry.sources.map(name)].join(" "));
    }
  }).observe({ type: "layout-shift", buffered: true });
}"""


@pytest.mark.parametrize("size", ["phone", "wall"])
def test_nothing_jumps(running, open_page, size):
    """What comes late has its place. Only the notice of a very first visit moves what is below it."""
    page = open_page(size=SIZES[size], wait=None)
    page.add_init_script(f"({_SHIFTS})()")
    for most in (0.15, 0.03):
        for view in ("overview", "cells", "alerts"):
            page.goto(f"/?{most}-{view}#/{view}")  # another address: all of it is loaded again
            page.wait_for_selector("#link[data-state=live]")
            page.wait_for_selector("#first:not([hidden])")
            time.sleep(2)
            shift, what = page.evaluate("[shift, shifted]")
            print(f"{size} {view}: {shift:.4f} {what}")
            assert shift < most, what
