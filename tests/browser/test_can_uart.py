"""The live views of CAN and UART: decoded frames, filter, pause, counters, copy, download; bounded whatever comes."""

import json

import can
import pytest

from tests.browser.conftest import axe, overflow, shot, until
from tests.integration.parts import wait_for


@pytest.fixture(scope="module", autouse=True)
def gx(running):
    """Something on the bus that acknowledges and speaks."""
    return running.gx()


ROWS = "() => document.querySelectorAll('.frames > li').length"


def frames(page, count=6):
    until(page, f"() => document.querySelectorAll('.frames > li').length >= {count}")


def row(page, text):
    """The cells of the newest row with this text, once there is one."""
    found = page.locator(".frames > li", has_text=text).first
    found.wait_for()
    return found.locator("summary > *").all_inner_texts()


def counted(page, key):
    return [cell.strip() for cell in page.locator(f".counters tr[data-key='{key}'] td").all_inner_texts()]


def test_can_frames_are_decoded_and_counted(running, open_page):
    page = open_page("#/can", size=(1920, 1080))
    frames(page, 20)
    time, direction, can_id, data, meaning = row(page, "0x351")
    assert direction == "TX" and len(data.split()) == 8 and time.count(":") == 2
    cvl = int(data.split()[0], 16) + 256 * int(data.split()[1], 16)
    shown = f"{cvl / 10:g}"
    assert f"CVL {shown}\u00a0V · CCL " in meaning
    assert row(page, "0x305")[1] == "RX"
    until(
        page, "() => /0,?\\.9|1\\.0/.test(document.querySelector(\"tr[data-key='351'] td:nth-child(5)\").textContent)"
    )
    found = counted(page, "351")
    assert found[1:3] == ["TX", "Limits: CVL, CCL, DCL"] and int(found[3]) >= 2 and found[5].startswith("CVL")
    status = running.http("/api/can/status").json  # with a GX on the bus: RUNNING all the time
    wait_for(lambda: page.inner_text("#view-can .badge") == status["state"], 10, "the state of the API")
    wait_for(lambda: page.locator("#view-can dd").nth(2).inner_text() != "–", 10, "a counter of the API")
    page.locator(".frames summary").last.click()
    wait_for(lambda: "Length" in page.locator(".frames details[open]").inner_text(), 5, "what is said of a frame")
    shot(page, "can-1920")


def test_filter_and_pause(running, open_page):
    page = open_page("#/can")
    frames(page, 20)
    page.click("tr[data-key='356'] button")
    ids = lambda: set(page.locator(".frames summary > b.mono").all_inner_texts())  # noqa: E731
    wait_for(lambda: ids() == {"0x356"}, 5, "only these")
    assert page.input_value("#frame-id") == "356"
    page.click("tr[data-key='356'] button")
    page.fill("#frame-id", "305, 0x35")
    wait_for(lambda: ids() >= {"0x305", "0x351"}, 5, "those that begin so")
    assert "0x307" not in ids()
    page.fill("#frame-id", "")
    page.select_option("#frame-direction", "RX")
    wait_for(ids, 5, "what is received")
    assert ids() <= {"0x305", "0x306", "0x307"}
    page.fill("#frame-find", "keep-alive")
    wait_for(lambda: ids() == {"0x305", "0x306"}, 5, "what is called so")
    page.fill("#frame-find", "no such thing")
    assert "No frame matches" in page.inner_text(".said-here")
    page.fill("#frame-find", "")
    page.select_option("#frame-direction", "")
    page.click("text=Pause")
    shown, first = page.evaluate(ROWS), page.locator(".frames > li").first.inner_text()
    wait_for(lambda: "paused" in page.inner_text(".said-here") and ", 0 since" not in page.inner_text(".said-here"), 8)
    total = counted(page, "305")[3]
    wait_for(lambda: counted(page, "305")[3] != total, 5, "counters go on")
    assert page.evaluate(ROWS) == shown and page.locator(".frames > li").first.inner_text() == first
    page.locator(".frames").focus()
    page.keyboard.press("ArrowDown")
    page.keyboard.press("ArrowDown")
    page.keyboard.press("Enter")
    page.locator(".frames > li").nth(1).locator("details[open]").wait_for()
    page.click("text=Go on")
    wait_for(lambda: page.locator(".frames > li").first.inner_text() != first, 5, "new frames")
    page.click("text=Empty")
    wait_for(lambda: page.evaluate(ROWS) < shown, 5, "the list begins anew")


def test_copy_and_download(running, open_page, tmp_path):
    page = open_page("#/can", permissions=["clipboard-read", "clipboard-write"])
    frames(page)
    page.fill("#frame-id", "351")
    until(page, ROWS)
    page.click("text=Pause")
    count = page.evaluate(ROWS)
    page.click("text=Copy")
    page.wait_for_selector(f".toast >> text={count} lines copied")
    lines = page.evaluate("navigator.clipboard.readText()").splitlines()
    assert len(lines) == count and all(line.split("\t")[1:3] == ["TX", "0x351"] for line in lines)
    with page.expect_download() as got:
        page.click("text=Download")
    got.value.save_as(tmp_path / "x.log")
    messages = list(can.LogReader(tmp_path / "x.log"))  # candump -L
    assert len(messages) == count and {message.arbitration_id for message in messages} == {0x351}
    assert all(not message.is_rx and len(message.data) == 8 for message in messages)


def test_copy_without_a_clipboard(running, open_page):
    """A page over plain HTTP from another machine has no navigator.clipboard."""
    page = open_page(wait=None)
    page.add_init_script("Object.defineProperty(Navigator.prototype, 'clipboard', {get: () => undefined})")
    page.add_init_script("addEventListener('copy', () => (window.copied = getSelection().toString() || 'yes'), true)")
    page.goto("/#/uart")
    frames(page, 2)
    page.click("text=Copy")
    page.wait_for_selector(".toast >> text=lines copied")
    assert page.evaluate("window.copied")


def test_uart_frames(running, open_page):
    page = open_page("#/uart", reduced_motion="reduce")
    frames(page, 4)
    sent, got = row(page, "registers 0–55"), row(page, "voltage")
    assert sent[1] == "TX" and sent[3].startswith("AA 03 00 00 00 38") and got[1] == "RX"
    assert "cells 16" in got[4] and got[3].startswith("AA 03 70")
    page.fill("#frame-find", "aa0300000038")
    assert set(page.locator(".frames summary > b:not(.mono)").all_inner_texts()) == {"TX"}

    def polls():
        words = page.locator("#view-uart dd").first.inner_text().replace(",", "")
        return int(words) if words.isdigit() else 0

    before = wait_for(polls, 10, "the counters of the API")
    wait_for(lambda: page.inner_text("#view-uart .badge") == "answers", 5)
    page.click("text=Read again")
    wait_for(lambda: polls() > before, 10, "read again")
    with page.expect_download() as got:
        page.click("text=Download")
    assert got.value.suggested_filename.startswith("uart-")


def test_a_flood_stays_bounded(open_page):
    """3,000 frames at once: 500 rows, all counted, and the page does not move."""
    page = open_page(wait=None)

    def gateway(socket):
        sent = []

        def told(message):
            if sent or "can" not in json.loads(message).get("streams", ()):
                return
            sent.append(message)
            for i in range(3000):
                frame = {
                    "type": "can_frame", "timestamp_ms": 1_700_000_000_000 + i, "direction": "TX", "can_id": "0x356",
                    "data": [i & 255, i >> 8], "dlc": 2, "decoded": {"voltage_v": i / 100},
                }  # fmt: skip
                socket.send(json.dumps(frame))

        socket.on_message(told)

    page.route_web_socket("**/ws/page", gateway)
    page.goto("/#/can")
    until(
        page,
        "() => document.querySelector(\"tr[data-key='356'] td:nth-child(4)\")?.textContent === '3,000'",
        seconds=150,
    )
    wait_for(lambda: "29.99" in page.locator(".frames > li").first.inner_text(), 10, "the last frame is drawn")
    assert page.evaluate(ROWS) == 500 and "500 of 500" in page.inner_text(".said-here")
    assert page.locator(".frames").get_attribute("aria-live") is None


@pytest.mark.parametrize("view, path", [("can", "**/api/can/status"), ("uart", "**/metrics")])
def test_what_the_api_refuses_is_shown(running, open_page, view, path):
    page = open_page(wait=True, allow=("Failed to load resource",))
    body = json.dumps({"error": "Service unavailable", "code": "NOT_AVAILABLE", "details": "not here"})
    page.route(path, lambda route: route.fulfill(status=503, content_type="application/json", body=body))
    page.goto(f"/#/{view}")
    page.wait_for_selector(f"#view-{view} .notice >> text=not here")
    page.unroute(path)
    page.click("text=Read again" if view == "uart" else "#view-can .notice button")
    wait_for(lambda: page.locator(f"#view-{view} .notice").is_hidden(), 15, "after another try")


@pytest.mark.parametrize("view", ["can", "uart"])
@pytest.mark.parametrize("lang, theme, size", [("fr", "dark", (360, 780)), ("en", "light", (1920, 1080))])
def test_phone_and_wall_in_two_languages(running, open_page, view, lang, theme, size):
    page = open_page(f"#/{view}", lang=lang, theme=theme, size=size)
    frames(page, 3)
    title = {"can": {"fr": "Bus CAN", "en": "CAN bus"}, "uart": {"fr": "UART", "en": "UART"}}[view][lang]
    assert page.inner_text("#title") == title and overflow(page) == 0
    page.click("text=Pause")
    shot(page, f"{view}-{size[0]}-{lang}-{theme}")
    assert axe(page) == ""
