"""Settings: forms of the schema, the password, WiFi, pins, backup and restore."""

import json
import time

import pytest

from tests.browser.admin import card, config, field, log_in, said, set_password
from tests.browser.conftest import axe, overflow, shot, until
from tests.integration.parts import wait_for

REFUSED = ("Failed to load resource",)
READY = "() => document.querySelectorAll('#view-settings form').length >= 8"
SIZES = {"phone": (360, 780), "wall": (1920, 1080)}


def open_settings(open_page, login=False, **options):
    page = open_page("#/settings", **options)
    if login:
        log_in(page)
    until(page, READY)
    return page


def test_every_key_of_the_schema_is_somewhere(running, open_page):
    page = open_settings(open_page)
    keys = {row["key"] for row in running.http("/api/config/schema").json}
    there = set(page.evaluate("[...document.querySelectorAll('#view-settings form [name]')].map((one) => one.name)"))
    assert {key for key in keys - there if key.split(".")[0] not in ("mqtt", "alerts")} == set()
    assert not page.locator("label", has_text="charge.").count()  # each has words


def test_good_and_bad_input(running, open_page):
    page = open_settings(open_page, allow=REFUSED)
    charge = card(page, "charge")
    save = charge.get_by_role("button", name="Save")
    assert save.is_disabled()
    field(page, "charge.absorption_mv").fill("9")
    save.click()
    assert "1.2 to 4.5" in said(page, "charge.absorption_mv")
    assert field(page, "charge.absorption_mv").get_attribute("aria-invalid") == "true"
    assert config(running.gateway)["charge"]["absorption_mv"] == 0
    field(page, "charge.absorption_mv").fill("3.45")
    field(page, "charge.float_mv").fill("3.5")  # each is in its range, together they are not
    save.click()
    wait_for(lambda: "must be below" in said(page, "charge.float_mv"))
    shot(page, "settings-refused")
    field(page, "charge.float_mv").fill("3.35")
    field(page, "charge.chemistry").select_option(label="LFP (LiFePO₄), up to 3.65 V")
    save.click()
    wait_for(lambda: config(running.gateway)["charge"]["float_mv"] == 3350)
    assert config(running.gateway)["charge"]["chemistry"] == "lfp"
    until(page, "() => document.querySelector('#card-charge button.primary').disabled")
    field(page, "charge.rebulk_soc").fill("80")
    charge.get_by_role("button", name="Undo").click()
    assert field(page, "charge.rebulk_soc").input_value() == "90"


def test_leaving_with_changes_asks(running, open_page):
    page = open_settings(open_page)
    field(page, "system.hostname").fill("other")
    page.locator("#nav a[data-view=cells]").click()
    page.get_by_role("button", name="Stay here").click()
    assert field(page, "system.hostname").input_value() == "other"


def test_pins_say_what_they_do(running, open_page):
    page = open_settings(open_page)
    wait_for(lambda: "strapping pin" in card(page, "pins").inner_text())
    field(page, "can.tx_pin").fill("2")
    pins = card(page, "pins")
    pins.get_by_role("button", name="Save").click()
    dialog = page.locator("dialog")
    assert "CAN TX pin" in dialog.inner_text() and "GX" in dialog.inner_text()
    dialog.get_by_role("button", name="Cancel").click()
    assert config(running.gateway)["can"]["tx_pin"] == 5
    pins.get_by_role("button", name="Save").click()
    dialog.get_by_role("button", name="Save and restart").click()
    wait_for(lambda: config(running.gateway)["can"]["tx_pin"] == 2)
    wait_for(lambda: "restarts" in pins.inner_text())
    # this gateway runs with --no-restart
    wait_for(lambda: pins.get_by_role("button", name="Restart now").count() == 1, 30)
    assert "can_tx_pin 2" in pins.inner_text()


def test_wifi_networks_are_chosen_from_a_list(running, open_page):
    page = open_settings(open_page, allow=REFUSED)
    wifi = card(page, "wifi")
    wifi.get_by_role("button", name="Look for networks").click()
    wait_for(lambda: "no WiFi of ours" in wifi.inner_text())  # a computer
    found = [{"ssid": "Boat", "rssi": -51, "security": "wpa2", "channel": 6}]
    page.route("**/api/wifi/scan", lambda route: route.fulfill(json={"networks": found}))
    wifi.get_by_role("button", name="Look for networks").click()
    wifi.get_by_role("button", name="Boat").click()
    assert field(page, "wifi.ssid").input_value() == "Boat"
    field(page, "wifi.password").fill("short")
    wifi.get_by_role("button", name="Save").click()
    assert "8 to 64" in said(page, "wifi.password")
    field(page, "wifi.password").fill("long enough")
    wifi.get_by_role("button", name="Save").click()
    assert "Boat" in page.locator("dialog").inner_text()
    page.locator("dialog").get_by_role("button", name="Change the network").click()
    wait_for(lambda: config(running.gateway)["wifi"]["ssid"] == "Boat")
    until(page, "() => document.querySelector('#f-wifi-password').placeholder === 'set, unchanged'")


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("lang, theme", [("en", "light"), ("fr", "dark")])
def test_it_fits_and_reads_well(running, open_page, size, lang, theme):
    page = open_settings(open_page, size=SIZES[size], lang=lang, theme=theme)
    time.sleep(0.3)
    assert overflow(page) == 0
    shot(page, f"settings-{size}-{theme}-{lang}")
    assert axe(page) == ""
    assert ("Chimie" in page.inner_text("main")) == (lang == "fr")


def test_the_password(running, open_page):
    page = open_settings(open_page, allow=REFUSED)
    access = card(page, "access")
    page.fill("#password-new", "short")
    page.fill("#password-again", "shirt")
    access.get_by_role("button", name="Set a password").click()
    assert "8 to 64" in page.inner_text("#password-new-said") and "same" in page.inner_text("#password-again-said")
    for name in ("new", "again"):
        page.fill(f"#password-{name}", "correct horse")
    access.get_by_role("button", name="Set a password").click()
    wait_for(lambda: "A password is set" in access.inner_text())
    field(page, "auth.allowed_hosts").fill("gateway.lan")
    access.get_by_role("button", name="Save").click()  # without being asked: the page knows it
    wait_for(lambda: config(running.gateway)["auth"]["allowed_hosts"] == "gateway.lan")
    page.evaluate("sessionStorage.clear()")
    page.reload()
    until(page, READY)
    field(page, "auth.allowed_hosts").fill("")
    access.get_by_role("button", name="Save").click()
    page.fill("#login-password", "correct horse")
    page.locator("dialog").get_by_role("button", name="Log in").click()
    wait_for(lambda: config(running.gateway)["auth"]["allowed_hosts"] == "")


def test_backup_and_restore(running, open_page, tmp_path):
    set_password(running.gateway)
    page = open_settings(open_page, login=True, allow=REFUSED)
    with page.expect_download() as waiting:
        card(page, "backup").get_by_role("button", name="Download backup").click()
    saved = json.loads(waiting.value.path().read_text())
    assert saved["format"] == "tinybms-gw-config" and waiting.value.suggested_filename.endswith(".json")

    def restore(content):
        file = tmp_path / "backup.json"
        file.write_text(content)
        page.set_input_files("#restore-file", file)

    restore("nothing")
    wait_for(lambda: "not JSON" in card(page, "backup").inner_text())
    restore("{}")
    wait_for(lambda: "no backup of a TinyBMS-GW" in card(page, "backup").inner_text())
    restore(json.dumps(saved))
    wait_for(lambda: "nothing to change" in card(page, "backup").inner_text())
    saved["config"]["charge"]["rebulk_soc"] = 1
    restore(json.dumps(saved))
    page.locator("dialog").get_by_role("button", name="Restore").click()
    wait_for(lambda: "charge_rebulk_soc" in card(page, "backup").inner_text())  # the gateway refuses it
    saved["config"]["charge"]["rebulk_soc"] = 77
    saved["config"]["system"]["hostname"] = "boat"
    restore(json.dumps(saved))
    page.wait_for_selector("dialog tbody tr")
    lines = page.locator("dialog tbody tr").all_inner_texts()
    assert len(lines) == 2 and any("90 %" in line and "77 %" in line for line in lines), lines
    shot(page, "settings-restore", full=False)
    page.locator("dialog").get_by_role("button", name="Restore").click()
    wait_for(lambda: config(running.gateway)["system"]["hostname"] == "boat")
    until(page, READY)
    wait_for(lambda: field(page, "charge.rebulk_soc").input_value() == "77")
