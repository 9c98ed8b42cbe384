"""MQTT: status, settings, and the test of a connection."""

import socket

import pytest

from tests.browser.admin import card, config, field, log_in, said, set_password
from tests.browser.conftest import axe, overflow, shot, until
from tests.integration.parts import wait_for

REFUSED = ("Failed to load resource",)
SIZES = {"phone": (360, 780), "wall": (1920, 1080)}


def open_mqtt(open_page, login=False, **options):
    page = open_page("#/mqtt", **options)
    if login:
        log_in(page)
    until(page, "() => document.querySelector('#view-mqtt form') && document.querySelector('#view-mqtt .figures')")
    return page


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("lang, theme", [("en", "light"), ("fr", "dark")])
def test_it_fits_and_reads_well(running, open_page, size, lang, theme):
    page = open_mqtt(open_page, size=SIZES[size], lang=lang, theme=theme)
    assert overflow(page) == 0
    shot(page, f"mqtt-{size}-{theme}-{lang}")
    assert axe(page) == ""
    assert ("désactivé" in card(page, "status").inner_text()) == (lang == "fr")


def test_good_and_bad_settings(running, open_page):
    page = open_mqtt(open_page, allow=REFUSED)
    form = card(page, "settings")
    field(page, "mqtt.broker_uri").fill("http://broker")
    form.get_by_role("button", name="Save").click()
    wait_for(lambda: "must start with mqtt://" in said(page, "mqtt.broker_uri"))
    field(page, "mqtt.topics.status").fill("a/#")
    field(page, "mqtt.broker_uri").fill("")
    form.get_by_role("button", name="Save").click()
    wait_for(lambda: "must not hold" in said(page, "mqtt.topics.status"))
    field(page, "mqtt.topics.status").fill("boat/{id}/status")
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    field(page, "mqtt.broker_uri").fill(f"mqtt://127.0.0.1:{port}")
    field(page, "mqtt.password").fill("secret")
    form.get_by_role("button", name="Save").click()
    wait_for(lambda: config(running.gateway)["mqtt"]["topics"]["status"] == "boat/{id}/status")
    wait_for(lambda: field(page, "mqtt.port").input_value() == str(port))  # it came with the address
    assert field(page, "mqtt.password").input_value() == ""
    assert field(page, "mqtt.password").get_attribute("placeholder") == "set, unchanged"
    wait_for(lambda: "not connected" in card(page, "status").inner_text(), 20)
    wait_for(lambda: "Last error\nnone" not in card(page, "status").inner_text(), 30)
    form.get_by_role("button", name="Remove").click()
    form.get_by_role("button", name="Save").click()
    wait_for(lambda: config(running.gateway)["mqtt"]["password"] == "")


def test_the_test_says_where_it_fails(running, open_page):
    page = open_mqtt(open_page, allow=REFUSED)
    form = card(page, "settings")
    test = form.get_by_role("button", name="Test the connection")
    test.click()
    wait_for(lambda: "set an admin password" in form.inner_text())
    set_password(running.gateway)
    page = open_mqtt(open_page, login=True)
    form = card(page, "settings")
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    field(page, "mqtt.broker_uri").fill(f"mqtt://127.0.0.1:{port}")
    form.get_by_role("button", name="Test the connection").click()
    wait_for(lambda: "✕ Broker reached" in form.inner_text(), 30)
    assert config(running.gateway)["mqtt"]["port"] != port  # only tried
    good = {"success": True, "stage": "ok", "error": "", "verified": False}
    page.route("**/api/mqtt/test", lambda route: route.fulfill(json=good))
    form.get_by_role("button", name="Test the connection").click()
    wait_for(lambda: "The connection works" in form.inner_text() and "✓ User and password" in form.inner_text())
