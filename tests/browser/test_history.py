"""The history: charts from the archive and the live ring, zoom, pan, cursor, summary, files; errors of the API."""

import csv
import re
import time

import pytest

from tests.browser import history_files
from tests.browser.conftest import axe, overflow, shot, until
from tests.integration.parts import Parts, wait_for

REFUSED = '{"error": "Service unavailable", "code": "NOT_AVAILABLE", "details": "history"}'


@pytest.fixture(scope="module")
def running(host_build):
    """A gateway that has recorded for a month, with a gap of an hour."""
    parts = Parts()
    try:
        history_files.write(parts.data / "history", int(time.time()))
        parts.start_all(no_restart=True)
        parts.wait_connected()
        yield parts
    finally:
        parts.stop()


def loaded(page):
    """Wait until all samples are there and the summary has values."""
    until(page, "() => document.querySelector('#view-history .charts')?.ariaBusy === 'false'", seconds=40)
    until(page, "() => /\\d/.test(document.querySelector('#view-history tbody td')?.textContent || '')")


def summary(page):
    """{quantity: [min, mean, max, last]} as numbers."""
    rows = page.locator("#view-history tbody tr").all()
    text = {row.locator("th").inner_text(): row.locator("td").all_inner_texts() for row in rows}
    number = re.compile(r"[^\d.−-]")
    return {name: [float(number.sub("", cell).replace("−", "-")) for cell in cells] for name, cells in text.items()}


def readout(page):
    return page.inner_text("#view-history .tools > p").replace("\u00a0", " ")


def plot(page, index=0):
    """The bounding box of the inside of a chart, which is scrolled into view."""
    over = page.locator("#view-history .u-over").nth(index)
    over.scroll_into_view_if_needed()
    until(over.page, "() => document.getElementById('first').checkVisibility()")  # it moves what is below
    return over.bounding_box()


def test_a_day_with_its_gap(running, open_page):
    page = open_page("#/history?range=24h", size=(1920, 1080))
    loaded(page)
    low, mean, high, last = summary(page)["State of charge"]
    assert 20 <= low < mean < high <= 95 and low <= last <= high
    assert page.locator("[aria-pressed=true]", has_text="24 h").count() == 1
    assert "means of 4 min" in readout(page)
    # does a column of pixels of the chart of the SoC hold its colour?
    columns = """() => {
          const canvas = document.querySelectorAll("#view-history canvas")[3];
          const { width, height } = canvas;
          const data = canvas.getContext("2d").getImageData(0, 0, width, height).data;
          const has = (x) => {
            for (let y = 0; y < height; y++) {
              const [r, g, b, a] = data.slice((y * width + x) * 4, (y * width + x) * 4 + 4);
              if (a > 200 && g > r + 40 && g > b + 20) return "#";
            }
            return ".";
          };
          return Array.from({ length: width }, (_, x) => has(x)).join("");
        }"""
    wait_for(lambda: re.search(r"#{40,}.*\.{8,}.*#{40,}", page.evaluate(columns)), 10, "a line with a gap")
    shot(page, "history-1920")


def test_a_month_is_few_rows_and_zoom_brings_detail(running, open_page):
    page = open_page(wait=True)
    asked = []
    page.on("request", lambda request: asked.append(request.url) if "/download" in request.url else None)
    page.goto("/#/history?range=30d")
    loaded(page)
    assert re.search(r"resolution=15m&from=\d+&step=8$", asked[-1]), asked
    answer = running.http(asked[-1].removeprefix(running.gateway.url)).body.splitlines()
    assert 300 < len(answer) < 420
    box = plot(page)
    y = box["y"] + box["height"] / 2
    page.mouse.move(box["x"] + box["width"] * 0.4, y)
    page.mouse.down()
    page.mouse.move(box["x"] + box["width"] * 0.5, y, steps=4)
    page.mouse.up()
    wait_for(lambda: page.evaluate("1") and "step" not in asked[-1], 40, "finer samples of three days")
    assert re.search(r"&from=(\d+)&to=(\d+)$", asked[-1])
    page.mouse.move(5, 5)
    wait_for(lambda: "means of 15 min" in readout(page), 40, "they are shown")
    page.mouse.dblclick(box["x"] + box["width"] / 2, y)
    page.mouse.move(5, 5)
    wait_for(lambda: "means of 2 h" in readout(page), 40, "the whole range")


def test_cursor_keys_wheel_and_fingers(running, open_page):
    page = open_page("#/history?range=6h")
    loaded(page)
    page.wait_for_timeout(500)  # the notice above has moved the charts
    whole = readout(page)
    box = plot(page)
    x, y = box["x"] + box["width"] / 3, box["y"] + box["height"] / 2
    values = lambda: page.locator("#view-history output").all_inner_texts()  # noqa: E731
    newest = values()
    page.mouse.move(x, y)
    wait_for(lambda: readout(page).startswith("Values at"), 5, "the cursor's time")
    assert values() != newest and page.locator("#view-history .u-cursor-x").count() == 6
    same = "new Set([...document.querySelectorAll('.u-cursor-x')].map((line) => line.style.transform)).size === 1"
    until(page, same)  # all charts at the same time
    page.mouse.move(5, 5)
    wait_for(lambda: readout(page).split(" · ")[1:] == whole.split(" · ")[1:], 5, "no cursor")
    page.keyboard.down("Control")
    page.mouse.move(x, y)
    page.mouse.wheel(0, -100)
    page.keyboard.up("Control")
    page.mouse.move(5, 5)

    def span():
        if " – " not in readout(page):
            return 0  # the cursor is still there
        low, high = [re.search(r"(\d\d):(\d\d):(\d\d)", part) for part in readout(page).split(" · ")[0].split(" – ")]
        low, high = [int(m[1]) * 3600 + int(m[2]) * 60 + int(m[3]) for m in (low, high)]
        return (high - low) % 86400

    zoomed = wait_for(lambda: 0 < span() < 6 * 3600 - 60 and span(), 5, "wheel with Ctrl zooms in")
    page.focus("#view-history .charts")
    page.keyboard.press("+")
    smaller = wait_for(lambda: span() < zoomed and span(), 5, "+ zooms in")
    before = readout(page)
    page.keyboard.press("ArrowLeft")
    assert readout(page) != before and abs(span() - smaller) <= 2
    page.keyboard.press("Shift+ArrowLeft")
    assert re.search(r"Voltage 5\d\.\d\d\sV, Current", page.inner_text("#view-history [role=status].visually-hidden"))
    page.keyboard.press("Escape")
    wait_for(lambda: abs(span() - 6 * 3600) <= 2, 5, "Escape shows the whole range")
    finger = """([type, id, x]) => {
      const over = document.querySelector(".u-over");
      const box = over.getBoundingClientRect();
      const clientX = box.left + box.width * x, clientY = box.top + 20;
      over.dispatchEvent(new PointerEvent(type, { pointerId: id, pointerType: "touch", clientX, clientY, bubbles: true }));
    }"""
    for step in (
        ["down", 1, 0.4],
        ["down", 2, 0.6],
        ["move", 1, 0.2],
        ["move", 2, 0.8],
        ["up", 1, 0.2],
        ["up", 2, 0.8],
    ):
        page.evaluate(finger, ["pointer" + step[0], *step[1:]])
    wait_for(lambda: 1.6 * 3600 < span() < 2.4 * 3600, 5, f"two fingers zoom: {readout(page)}")
    pinched = readout(page)
    for step in (["down", 3, 0.3], ["move", 3, 0.8], ["up", 3, 0.8]):
        page.evaluate(finger, ["pointer" + step[0], *step[1:]])
    assert readout(page) != pinched and abs(span() - 2 * 3600) < 1500
    page.click("text=To now")
    assert page.locator("button", has_text="To now").is_disabled()


def test_live_tail_follows_the_battery(running, open_page):
    page = open_page("#/history?range=live")
    loaded(page)
    current = lambda: summary(page)["Current"][3]  # noqa: E731
    before, end = current(), readout(page)
    running.control.call("model", charger_on=False, load_a=33)
    try:
        wait_for(lambda: abs(current() - before) > 5 and current() < 0, 15, "the new current")
        assert readout(page) != end
    finally:
        running.control.call("model", charger_on=True)


def test_files(running, open_page):
    page = open_page("#/history?range=24h")
    loaded(page)
    with page.expect_download() as got:
        page.click("text=What is shown")
    rows = list(csv.DictReader(open(got.value.path(), encoding="utf-8")))
    assert 250 < len(rows) < 380 and {"voltage", "current", "power", "soc", "spread"} <= set(rows[0])
    stamps = [int(row["timestamp"]) for row in rows]
    assert max(b - a for a, b in zip(stamps, stamps[1:])) > 3_400_000  # the gap has no rows, no zeros
    with page.expect_download(timeout=60_000) as got:  # the gateway writes 3,000 lines
        page.click("text=Quarter hours of the last month")
    rows = list(csv.DictReader(open(got.value.path(), encoding="utf-8")))
    assert len(rows) > 2800 and got.value.suggested_filename.startswith("tinybms-gw-15m-")
    wait_for(lambda: "saved" in page.inner_text(".files"), 5, "it is said")


def test_what_the_api_refuses_is_shown(running, open_page):
    page = open_page(wait=True, allow=("Failed to load resource",))
    broken = lambda route: route.fulfill(status=503, content_type="application/json", body=REFUSED)  # noqa: E731
    page.route("**/api/history?limit=1", broken)
    page.goto("/#/history")
    page.wait_for_selector("#view-history .notice button")
    text = page.locator("#view-history .notice").inner_text()
    assert "could not be read" in text and "history" in text
    page.unroute("**/api/history?limit=1")
    page.route("**/api/history/download*", broken)
    page.click("#view-history .notice button")
    wait_for(lambda: page.locator("#view-history .notice button").is_visible(), 10, "the samples are refused")
    page.click("text=Minutes of the last day")
    page.wait_for_selector(".toast[data-tone=bad]")
    page.unroute("**/api/history/download*")
    page.click("#view-history .notice button")
    loaded(page)
    assert page.locator("#view-history .notice").is_hidden()


@pytest.mark.parametrize("lang, theme, size", [("fr", "dark", (360, 780)), ("en", "light", (1280, 800))])
def test_phone_and_desk_in_two_languages(running, open_page, lang, theme, size):
    page = open_page("#/history?range=7d", lang=lang, theme=theme, size=size)
    loaded(page)
    assert page.inner_text("#title") == {"fr": "Historique", "en": "History"}[lang]
    assert page.locator("button", has_text={"fr": "30 jours", "en": "30 days"}[lang]).count() == 1
    assert overflow(page) == 0
    shot(page, f"history-{size[0]}-{lang}-{theme}")
    assert axe(page) == ""
