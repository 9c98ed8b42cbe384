"""Alerts: live ones and how they are acknowledged, the log in pages, statistics, the form with good and bad input, errors."""

import json
import re

import pytest

from tests.browser.conftest import axe, overflow, shot, until
from tests.integration.parts import wait_for

ENTRIES = [
    {
        "alert_id": 100 - i, "type": 1, "severity": i % 3, "status": 2, "message": f"Alert number {i}",
        "timestamp_ms": 1_700_000_000_000 - 60_000 * i, "ack_timestamp_ms": None,
        "clear_timestamp_ms": 1_700_000_005_000 - 60_000 * i,
    }
    for i in range(45)
]  # fmt: skip


def configure(running, **values):
    assert running.http("/api/alerts/config", "POST", values).status == 200


def ours(running):
    """{id: status} of the active alerts that `warm` has raised; a busy machine may have raised others."""
    found = running.http("/api/alerts/active").json["alerts"]
    return {alert["alert_id"]: alert["status"] for alert in found if alert["type"] in (1, 5)}


def end(running):
    configure(running, temperature_max_c=60, pack_volt_high_enabled=False)
    wait_for(lambda: not ours(running), 15, "they are over")


@pytest.fixture
def warm(running):
    """Two alerts are raised while a test runs."""
    configure(running, debounce_sec=0)

    def raise_them():
        configure(running, temperature_max_c=5, pack_volt_high_enabled=True, pack_voltage_max_mv=46_000)
        wait_for(lambda: len(ours(running)) == 2, 15, "two alerts")

    yield raise_them
    end(running)
    configure(running, debounce_sec=60)


def test_alerts_come_live_and_are_acknowledged(running, open_page, warm):
    page = open_page("#/alerts")
    page.wait_for_selector(".config form")
    warm()
    number, other = ours(running)
    item = ".active li[data-id='%d']"
    for one in (number, other):
        page.wait_for_selector(item % one)
    items = page.locator(".active li")
    wait_for(lambda: page.inner_text("#alert-count") == str(items.count()), 5, "the header counts them too")
    page.click(item % number + " >> button")
    page.wait_for_selector(item % number + " >> text=acknowledged")
    assert ours(running) == {number: 1, other: 0}
    shot(page, "alerts-active")
    page.click("text=Acknowledge all")
    wait_for(lambda: items.locator("button").count() == 0, 20, "all are acknowledged")
    assert page.locator("button", has_text="Acknowledge all").is_disabled()
    assert ours(running) == {number: 1, other: 1}
    until(page, "() => /acknowledged after/.test(document.querySelector('.log').textContent)")
    end(running)
    wait_for(lambda: not page.locator(item % number).count() and not page.locator(item % other).count(), 15, "they go")
    until(page, "() => /over after/.test(document.querySelector('.log').textContent)")


def test_the_log_has_pages(running, open_page):
    page = open_page(wait=True)

    def answer(route):
        limit, offset = (int(re.search(rf"{name}=(\d+)", route.request.url)[1]) for name in ("limit", "offset"))
        body = {"alerts": ENTRIES[offset : offset + limit], "total": len(ENTRIES), "limit": limit, "offset": offset}
        route.fulfill(status=200, content_type="application/json", body=json.dumps(body))

    page.route("**/api/alerts/history*", answer)
    page.goto("/#/alerts")
    page.wait_for_selector("text=1–20 of 45")
    newer, older = page.locator("button", has_text="Newer"), page.locator("button", has_text="Older")
    assert newer.is_disabled() and page.locator(".log tbody tr").count() == 20
    older.click()
    page.wait_for_selector("text=21–40 of 45")
    older.click()
    page.wait_for_selector("text=41–45 of 45")
    assert older.is_disabled() and page.locator(".log tbody tr").count() == 5
    assert "Alert number 44" in page.locator(".log tbody tr").last.inner_text()
    assert "over after 5" in page.locator(".log tbody tr").last.inner_text()
    newer.click()
    page.wait_for_selector("text=21–40 of 45")


def test_statistics_and_clearing_the_log(running, open_page, warm):
    warm()
    end(running)
    page = open_page("#/alerts")

    def total():
        return running.http("/api/alerts/statistics").json["total_alerts"]

    wait_for(lambda: page.inner_text(".figures dd") == str(total()), 15, "the total")
    before = total()
    page.click("text=Clear log")
    assert re.search(r"All \d+ entries", page.inner_text("dialog")) and "for good" in page.inner_text("dialog")
    page.click("dialog >> text=Cancel")
    assert total() >= before
    page.click("text=Clear log")
    page.click("dialog button.danger")
    page.wait_for_selector(".toast >> text=entries deleted")
    assert total() < before - 1


def test_the_form_takes_good_and_refuses_bad_input(running, open_page):
    page = open_page("#/alerts", allow=("Failed to load resource",))
    field = page.locator("#alert-cell_voltage_max_mv")
    field.wait_for()
    assert float(field.input_value()) == running.http("/api/alerts/config").json["cell_voltage_max_mv"] / 1000
    save = page.locator(".config button.primary")
    assert save.is_disabled()
    sent = []
    page.on("request", lambda request: sent.append(request.post_data) if request.method == "POST" else None)
    for bad in ("9.9", "", "0.1"):
        field.fill(bad)
        save.click()
        said = page.inner_text("#alert-cell_voltage_max_mv-said")
        assert said == "Enter a number from 0.5 to 5 V" and field.get_attribute("aria-invalid") == "true"
    assert not sent
    page.evaluate("location.hash = '#/cells'")
    page.wait_for_selector("dialog >> text=Leave without saving?")
    page.click("dialog >> text=Stay here")
    field.fill("3.7")
    page.click("label:has(#alert-soc_low_enabled)")
    save.click()
    page.wait_for_selector("text=Alert settings saved")
    assert json.loads(sent[-1]) == {"cell_voltage_max_mv": 3700, "soc_low_enabled": True}
    found = running.http("/api/alerts/config").json
    assert found["cell_voltage_max_mv"] == 3700 and found["soc_low_enabled"] is True
    page.fill("#alert-temperature_max_c", "-10")  # in its range, but below the minimum
    save.click()
    wait_for(lambda: page.get_attribute("#alert-temperature_min_c", "aria-invalid") == "true", 15, "the API says no")
    assert "must be below" in page.inner_text("#alert-temperature_min_c-said")
    assert "Invalid configuration" in page.inner_text(".config form > .said")
    assert running.http("/api/alerts/config").json["temperature_max_c"] != -10
    page.click("text=Undo changes")
    assert page.input_value("#alert-temperature_max_c") != "-10" and save.is_disabled()
    configure(running, cell_voltage_max_mv=3650, soc_low_enabled=False)


def test_what_the_api_refuses_is_shown(running, open_page):
    page = open_page(wait=True, allow=("Failed to load resource",))
    body = json.dumps({"error": "Service unavailable", "code": "NOT_AVAILABLE", "details": "no alerts here"})
    page.route("**/api/alerts/**", lambda r: r.fulfill(status=503, content_type="application/json", body=body))
    page.goto("/#/alerts")
    wait_for(lambda: page.locator("#view-alerts .trouble", has_text="no alerts here").count() == 3, 10, "in each part")
    page.unroute("**/api/alerts/**")
    troubles = page.locator("#view-alerts .trouble")
    for left in (2, 1, 0):
        troubles.locator("button").first.click()
        wait_for(lambda left=left: troubles.count() == left, 10, "after another try")


@pytest.mark.parametrize(
    "lang, theme, size", [("fr", "dark", (360, 780)), ("en", "light", (1920, 1080)), ("fr", "light", (1280, 800))]
)
def test_phone_and_wall_in_two_languages(running, open_page, lang, theme, size):
    page = open_page("#/alerts", lang=lang, theme=theme, size=size)
    page.wait_for_selector("#alert-soc_max_percent")
    page.wait_for_selector(".log tbody tr, .log :text('vide'), .log :text('empty')", state="attached")
    assert page.inner_text("#title") == {"fr": "Alertes", "en": "Alerts"}[lang]
    assert overflow(page) == 0
    shot(page, f"alerts-{size[0]}-{lang}-{theme}")
    assert axe(page) == ""


ENGLISH, FRENCH = "Temperature high: ", "Température élevée: "


def choose(page, language):
    """The language of the page, as a person chooses it."""
    page.locator("details.menu > summary").click()
    page.select_option("#language", language)
    until(page, "(language) => document.documentElement.lang === language", language)


def said(page, where):
    """What the elements there say of temperature and voltage."""
    return [text for text in page.locator(where).all_inner_texts() if re.search(r"[Tt]emp|[Vv]oltage|[Tt]ension", text)]


def speaks(page, where, words):
    """Wait until there is something, and all of it in that language."""
    others = {ENGLISH: ("Temp\u00e9rature", "Tension"), FRENCH: ("Temperature", "voltage")}[words]

    def look():
        found = said(page, where)
        return any(words in text for text in found) and not any(word in text for text in found for word in others)

    wait_for(look, 15, f"{words!r} in {where}: {said(page, where)}")


def test_alerts_come_in_the_language_of_the_page(running, open_page, warm):
    """The gateway says French; a page in English has English alerts, beside one in French, and changes without a new load."""
    assert running.http("/api/config").json["system"]["language"] == "fr"
    active, log = ".active li", ".log tbody td:nth-child(3)"
    page, other = open_page("#/alerts"), open_page("#/overview", lang="fr")
    page.evaluate("window.sameLoad = true")
    warm()
    for where in (active, log):
        speaks(page, where, ENGLISH)
    speaks(other, ".alertlist .message", FRENCH)
    number = next(iter(ours(running)))
    running.http(f"/api/alerts/acknowledge/{number}", "POST")  # comes over the socket
    page.wait_for_selector(f".active li[data-id='{number}'] >> text=acknowledged")
    for where in (active, log):
        speaks(page, where, ENGLISH)
    shot(page, "alerts-language-en")
    page.evaluate("location.hash = '#/overview'")
    speaks(page, ".alertlist .message", ENGLISH)
    choose(page, "fr")
    speaks(page, ".alertlist .message", FRENCH)
    page.evaluate("location.hash = '#/alerts'")
    for where in (active, log):
        speaks(page, where, FRENCH)
    choose(page, "en")
    for where in (active, log):
        speaks(page, where, ENGLISH)
    choose(page, "fr")
    end(running)  # over: told on the socket in the language that is chosen now
    wait_for(lambda: not said(page, active), 15, "they go")
    speaks(page, log, FRENCH)
    shot(page, "alerts-language-fr")
    assert page.evaluate("window.sameLoad") is True


def test_the_socket_is_told_the_language(running, open_page):
    page = open_page(wait=None)
    wishes = []

    def heard(text):
        message = json.loads(text)
        if message["type"] == "subscribe":
            wishes.append(message["lang"])

    page.on("websocket", lambda socket: socket.on("framesent", heard))
    page.goto("/#/overview")
    page.wait_for_selector("#link[data-state=live]")
    wait_for(lambda: "en" in wishes, 15, "the language of the page")
    assert set(wishes) == {"en"}
    choose(page, "fr")
    wait_for(lambda: wishes[-1] == "fr", 15, "the other language")
    page.evaluate("location.hash = '#/can'")
    page.wait_for_selector("#view-can")
    assert set(wishes[wishes.index("fr") :]) == {"fr"}


def test_who_stays_keeps_the_language(running, open_page):
    page = open_page("#/alerts")
    field = page.locator("#alert-cell_voltage_max_mv")
    field.fill("3.71")
    page.locator("details.menu > summary").click()
    page.select_option("#language", "fr")
    page.click("dialog >> text=Stay here")
    page.wait_for_selector("dialog", state="detached")
    assert page.evaluate("document.documentElement.lang") == "en" and field.input_value() == "3.71"
    page.locator("details.menu > summary").click()
    assert page.input_value("#language") == ""
    page.select_option("#language", "fr")
    page.click("dialog button.danger")
    until(page, "document.documentElement.lang === 'fr'")
    wait_for(lambda: page.inner_text("#title") == "Alertes", 15, "in French")
