"""TinyBMS settings: read, change, review, write, read back against the simulated BMS, and when it goes away."""

import pytest

from tests.browser.admin import BASIC, log_in, set_password
from tests.browser.conftest import axe, overflow, shot, until
from tests.integration.parts import wait_for

REFUSED = ("Failed to load resource",)
SIZES = {"phone": (360, 780), "wall": (1920, 1080)}


def open_bms(open_page, login=True, **options):
    page = open_page("#/bms", **options)
    if login:
        log_in(page)
    until(page, "() => document.querySelectorAll('#view-bms .field').length > 30")
    return page


def register(parts, key):
    found = parts.http("/api/registers?lang=en", headers=BASIC).json["registers"]
    return next(one for one in found if one["key"] == key)


def result(page, label):
    return page.locator("dialog tbody tr", has_text=label).locator(".result").inner_text()


def test_without_a_password_it_says_so(running, open_page):
    page = open_bms(open_page, login=False, allow=REFUSED)
    page.fill("#r-allowed_disbalance_mv", "20")
    page.get_by_role("button", name="Review changes").click()
    page.locator("dialog").get_by_role("button", name="Write").click()
    wait_for(lambda: "password" in result(page, "Allowed disbalance"))
    page.locator("dialog").get_by_role("button", name="Close").click()
    assert page.input_value("#r-allowed_disbalance_mv") == "20"


def test_review_write_and_read_back(running, open_page):
    set_password(running.gateway)
    page = open_bms(open_page, allow=REFUSED)
    assert page.input_value("#r-fully_charged_mv") == str(register(running, "fully_charged_mv")["value"])
    assert page.get_by_role("button", name="Review changes").is_disabled()
    # the first needs the second before it: full < over-voltage
    page.fill("#r-fully_charged_mv", "3780")
    page.fill("#r-over_voltage_mv", "3850")
    page.fill("#r-capacity_cah", "230.5")
    page.select_option("#r-charge_restart_enabled", "1")
    assert "4 changes" in page.inner_text("#view-bms .bar")
    page.get_by_role("button", name="Review changes").click()
    dialog = page.locator("dialog")
    text = dialog.inner_text()
    assert "3,600 mV → 3,780 mV" in text and "280 Ah → 230.5 Ah" in text and "endangers" in text
    shot(page, "bms-review", full=False)
    assert axe(page) == ""
    assert register(running, "capacity_cah")["value"] == 28000  # nothing yet
    dialog.get_by_role("button", name="Write").click()
    wait_for(lambda: "All 4 changes" in dialog.inner_text(), 30)
    assert "reads 230.5 Ah" in result(page, "capacity")
    dialog.get_by_role("button", name="Close").click()
    assert (
        register(running, "fully_charged_mv")["value"] == 3780 and register(running, "capacity_cah")["value"] == 23050
    )
    wait_for(lambda: "No changes" in page.inner_text("#view-bms .bar"), 10)


def test_bad_input_and_what_the_bms_refuses(running, open_page):
    set_password(running.gateway)
    page = open_bms(open_page, allow=REFUSED)
    page.fill("#r-series_cells", "99")
    page.get_by_role("button", name="Review changes").click()
    assert "4 to 16" in page.inner_text("#r-series_cells-said") and not page.locator("dialog").count()
    page.get_by_role("button", name="Discard").click()
    page.fill("#r-under_voltage_mv", "3400")  # above "fully discharged"
    page.fill("#r-maximum_cycles", "5000")
    page.get_by_role("button", name="Review changes").click()
    page.locator("dialog").get_by_role("button", name="Write").click()
    wait_for(lambda: "1 of 2" in page.locator("dialog").inner_text(), 30)
    assert "must be at most" in result(page, "Under-voltage") and "reads 5,000" in result(page, "Maximum cycles")
    page.locator("dialog").get_by_role("button", name="Close").click()
    wait_for(lambda: "1 change" in page.inner_text("#view-bms .bar"), 10)
    assert page.input_value("#r-under_voltage_mv") == "3400"


def test_what_restarts_the_bms_asks_twice(running, open_page):
    set_password(running.gateway)
    page = open_bms(open_page)
    page.select_option("#r-operation_mode", label="single port")
    page.get_by_role("button", name="Review changes").click()
    page.locator("dialog").get_by_role("button", name="Write").click()
    second = page.locator("dialog", has_text="goes dark")
    second.wait_for()
    second.get_by_role("button", name="Cancel").click()
    page.locator("dialog").get_by_role("button", name="Cancel").click()
    assert register(running, "operation_mode")["value"] == 0


def test_nothing_is_lost_when_the_bms_goes_away(running, open_page):
    set_password(running.gateway)
    page = open_bms(open_page, allow=REFUSED)
    page.fill("#r-allowed_disbalance_mv", "33")
    running.control.call("fault", name="silence")
    try:
        page.wait_for_selector("#view-bms .notice:not([hidden])", timeout=15_000)
        assert "stays" in page.inner_text("#view-bms .notice")
        page.get_by_role("button", name="Review changes").click()
        page.locator("dialog").get_by_role("button", name="Write").click()
        wait_for(lambda: "✕" in result(page, "Allowed disbalance"), 20)
        page.locator("dialog").get_by_role("button", name="Close").click()
        assert page.input_value("#r-allowed_disbalance_mv") == "33"
    finally:
        running.control.call("clear")
    page.wait_for_selector("#view-bms .notice[hidden]", state="attached", timeout=20_000)
    assert page.input_value("#r-allowed_disbalance_mv") == "33" and page.input_value("#r-series_cells") == "16"


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("lang, theme", [("en", "light"), ("fr", "dark")])
def test_it_fits_and_reads_well(running, open_page, size, lang, theme):
    page = open_bms(open_page, login=False, size=SIZES[size], lang=lang, theme=theme)
    assert overflow(page) == 0
    shot(page, f"bms-{size}-{theme}-{lang}")
    assert axe(page) == ""
    assert ("Tension cellule" in page.inner_text("main")) == (lang == "fr")
