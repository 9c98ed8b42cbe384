"""First steps: what a new gateway needs."""

import pytest

from tests.browser.admin import BASIC, config, set_password
from tests.browser.conftest import axe, overflow, shot, until
from tests.integration.parts import wait_for

SIZES = {"phone": (360, 780), "wall": (1920, 1080)}


@pytest.fixture(autouse=True, scope="module")
def gx(running):
    """Somebody on the bus: without a GX nobody acknowledges, and the wiring is not done."""
    return running.gx()


def badges(page):
    return page.locator("#view-setup summary .badge").all_inner_texts()


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("lang, theme", [("en", "light"), ("fr", "dark")])
def test_it_fits_and_reads_well(running, open_page, size, lang, theme):
    page = open_page("#/setup", size=SIZES[size], lang=lang, theme=theme)
    until(page, "() => document.querySelectorAll('#view-setup ol > li').length === 4")
    assert overflow(page) == 0
    shot(page, f"setup-{size}-{theme}-{lang}")
    assert axe(page) == ""
    assert ("Premiers pas" in page.inner_text("#title")) == (lang == "fr")


def test_it_can_be_skipped(running, open_page):
    page = open_page("#/setup")
    page.get_by_role("button", name="Skip for now").click()
    page.wait_for_selector("#view-overview")


def test_step_by_step(running, open_page):
    page = open_page()
    page.get_by_role("link", name="Set a password").click()  # the notice leads here
    page.wait_for_selector("#view-setup")
    wait_for(lambda: badges(page) == ["to do", "to do", "done", "done"])
    assert "2 left" in page.inner_text(".intro")
    page.fill("#password-new", "correct horse")
    page.fill("#password-again", "correct horse")
    page.locator("#step-password").get_by_role("button", name="Set a password").click()
    wait_for(lambda: badges(page)[0] == "done", 30)
    page.wait_for_selector("#first[data-key=nochemistry] >> text=what cells")
    assert axe(page) == ""
    page.locator("#step-chemistry summary").click()
    page.select_option("#f-charge-chemistry", label="NMC (Li-ion), up to 4.20 V")
    page.locator("#step-chemistry").get_by_role("button", name="Save").click()
    wait_for(lambda: badges(page) == ["done"] * 4)
    assert config(running.gateway)["charge"]["chemistry"] == "nmc"
    assert "All done" in page.inner_text(".intro")
    page.wait_for_selector("#first", state="hidden")
    page.get_by_role("button", name="To the overview").click()
    page.wait_for_selector("#view-overview")


def test_the_chemistry_may_wait(running, open_page):
    """With a password set the notice asks for the cells, until somebody says "not now" in this browser."""
    set_password(running.gateway)
    assert running.http("/api/config", "POST", {"charge": {"chemistry": "auto"}}, BASIC).status == 200
    page = open_page()
    page.wait_for_selector("#first[data-key=nochemistry] a[href='#/setup']")
    page.get_by_role("button", name="Not now").click()
    page.wait_for_selector("#first", state="hidden")
    page.reload()
    page.wait_for_selector("#link[data-state=live]")
    page.wait_for_timeout(1500)  # a state has come
    assert page.is_hidden("#first")


def test_a_silent_bms_is_something_to_do(running, open_page):
    page = open_page("#/setup")
    until(page, "() => document.querySelectorAll('#view-setup ol > li').length === 4")
    running.control.call("fault", name="silence")
    try:
        wait_for(lambda: "BMS does not answer" in page.inner_text("#step-pins"), 20)
        assert badges(page)[3] == "to do"
    finally:
        running.control.call("clear")
    wait_for(lambda: badges(page)[3] == "done", 20)
