"""The page of the first set-up in a real browser of a telephone's size, against a gateway whose radio is a stand-in."""

import json

import pytest

from tests.browser.conftest import axe, overflow, shot
from tests.integration.parts import wait_for
from tests.integration.test_wifi import KEY, air, state_of  # noqa: F401
from tools.processes import REBOOT

PHONE = (360, 740)


@pytest.fixture
def gateway(parts, air):  # noqa: F811
    gateway = parts.start_gateway()
    wait_for(lambda: state_of(gateway)["mode"] == "ap", what="the access point")
    return gateway


def test_set_up_in_english(gateway, air, open_page):  # noqa: F811
    air.set(1, House={"password": KEY, "rssi": -48}, **{"A name of thirty-two bytes, yes!": {"rssi": -80}})
    page = open_page(gateway=gateway, size=PHONE, wait=None, allow=["400", "503"])
    page.goto("/portal.html")
    page.get_by_role("button", name="House").click()
    assert overflow(page) == 0
    assert not axe(page)
    shot(page, "portal-en")
    assert page.locator("#ssid").input_value() == "House"
    save = page.get_by_role("button", name="Save and connect")

    page.locator("#key").fill("short")
    save.click()
    assert "admin password now or later" in page.locator("#error").inner_text()
    page.get_by_label("Set it now").check()
    page.locator("#admin-password").fill("1234567")
    save.click()
    assert "8 to 64" in page.locator("#error").inner_text()
    page.locator("#admin-password").fill("pässword 1")
    save.click()
    assert "password of the network" in page.locator("#error").inner_text()
    assert not gateway.status()["password_set"], "nothing is saved before all is well"

    page.locator("#key").fill("not the password")
    page.get_by_text("Pins", exact=True).click()
    page.locator("#pin-ctx").fill("8")
    save.click()
    page.locator("#error", has_text="can_tx_pin").wait_for()  # the API's own text
    shot(page, "portal-en-refused")
    assert gateway.status()["password_set"], "it came first, and this page knows it"
    page.locator("#pin-ctx").fill("")
    page.locator("#chemistry").select_option("lfp")
    save.click()
    page.get_by_text("wrong password").first.wait_for(timeout=30_000)
    assert overflow(page) == 0

    page.locator("#key").fill(KEY)
    save.click()
    page.locator("#result .good").wait_for(timeout=30_000)
    result = page.locator("#result").inner_text()
    assert "Connected to House" in result and "http://tinybms-gw.local/" in result and "http://192.168.1.50/" in result
    assert overflow(page) == 0
    shot(page, "portal-en-connected")
    config = gateway.http("/api/config").json
    assert config["wifi"]["ssid"] == "House" and config["charge"]["chemistry"] == "lfp" and config["can"]["tx_pin"] == 5
    assert gateway.http("/api/config", "POST", {"wifi_ssid": "x"}).status == 401


def test_set_up_in_french_and_later_with_a_password(parts, gateway, air, open_page):  # noqa: F811
    air.set(1, Maison={})
    page = open_page(gateway=gateway, size=PHONE, lang="fr", theme="dark", wait=None, allow=["401", "503", "ERR_"])
    page.goto("/portal.html")
    assert page.locator("html").get_attribute("lang") == "fr"
    page.get_by_role("button", name="Maison").wait_for()
    page.get_by_label("Nom du réseau").fill("Maison")
    page.get_by_label("Plus tard").check()
    assert overflow(page) == 0
    assert not axe(page)
    shot(page, "portal-fr")
    page.get_by_role("button", name="Enregistrer et connecter").click()
    page.locator("#result .good").wait_for(timeout=30_000)
    assert "Connecté à Maison" in page.locator("#result").inner_text()
    words = page.locator("body").inner_text()
    for english in ("password", "network", "Search", "Connected", "Later", "gateway"):
        assert english not in words, english
    assert not gateway.status()["password_set"]

    assert gateway.http("/api/auth/password", "POST", {"password": "admin123"}).json["success"]
    page.goto("/portal.html")
    field = page.get_by_role("textbox", name="Mot de passe administrateur")
    field.fill("wrong one")
    page.get_by_role("button", name="Se connecter").click()
    page.get_by_text("Mauvais mot de passe.").wait_for()
    field.fill("admin123")
    page.get_by_role("button", name="Se connecter").click()
    page.get_by_role("button", name="Maison").wait_for()
    assert page.locator("#admin").is_hidden()
    page.locator("#chemistry").select_option("nmc")
    page.locator("#board").select_option("esp32-can-x2")
    page.get_by_role("button", name="Enregistrer et connecter").click()
    page.get_by_text("La passerelle redémarre").wait_for()
    stored = json.loads((parts.data / "config.json").read_text())["values"]
    assert stored["charge.chemistry"] == "nmc" and stored["can.tx_pin"] == 7, "the board brings its pins"
    assert gateway.child.wait() == REBOOT
