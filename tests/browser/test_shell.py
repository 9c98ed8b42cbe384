"""The dashboard's frame: navigation, languages, themes, connection, login."""

import re

import pytest

from tests.browser.conftest import axe, overflow, shot, until
from tests.integration.parts import connected, wait_for
from tools.openapi import TARGET

APP = (TARGET.parent / "src" / "app.js").read_text()
VIEWS = re.findall(r"^  (\w+): \(\) => (?:import|manage)\(", APP, re.MULTILINE)
PASSWORD = "correct horse"


@pytest.mark.parametrize("view", VIEWS)
def test_every_view_opens_in_both_languages(open_page, view):
    titles = set()
    for lang in ("en", "fr"):
        page = open_page(f"#/{view}", lang=lang, allow=("Failed to load resource",))
        until(page, "() => document.querySelector('main > .view').childElementCount > 0")
        assert page.evaluate("document.documentElement.lang") == lang
        titles.add(page.inner_text("#title"))
    assert titles and "title" not in titles


def test_language_and_theme_are_chosen_and_kept(open_page):
    page = open_page(lang="en", theme="light")
    page.click(".menu summary")
    page.select_option("#language", "fr")
    until(page, "() => document.documentElement.lang === 'fr'")
    wait_for(lambda: page.inner_text("#title") == "Aperçu", 10, "the view in French")
    assert "Cellules" in page.inner_text("#nav")
    page.click(".menu summary")
    page.select_option("#theme", "dark")
    assert page.evaluate("document.documentElement.dataset.theme") == "dark"
    page.reload()
    page.wait_for_selector("#link[data-state=live]")
    wait_for(lambda: page.inner_text("#title") == "Aperçu", 10, "the view in French again")
    assert page.evaluate("getComputedStyle(document.documentElement).colorScheme") == "dark"


def test_one_can_go_everywhere_with_the_keyboard(open_page):
    page = open_page()
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.id") == "skip"
    page.focus("#nav a[data-view=cells]")
    page.keyboard.press("Enter")
    page.wait_for_selector("#view-cells")
    assert page.evaluate("document.activeElement.id") == "title"  # a reader says where one is
    assert page.get_attribute("#nav a[data-view=cells]", "aria-current") == "page"
    assert "Cells" in page.title()
    page.go_back()
    page.wait_for_selector("#view-overview")


def test_the_bar_of_a_phone_leads_to_every_view(open_page):
    page = open_page(size=(360, 740))
    assert not page.is_visible("#nav a[data-view=system]")
    page.click("#more")
    assert page.get_attribute("#more", "aria-expanded") == "true" and overflow(page) == 0
    shot(page, "phone-more", full=False)
    assert axe(page) == ""
    page.click("#nav a[data-view=system]")
    page.wait_for_selector("#view-system")
    assert page.get_attribute("#more", "aria-expanded") == "false"


def test_an_unknown_address_shows_the_overview(open_page):
    page = open_page("#/overview")
    page.evaluate("location.hash = '#/nothing'")
    until(page, "() => document.querySelector('#view-overview')")


def test_only_one_socket_whatever_is_opened(open_page):
    page = open_page(wait=None, allow=("Failed to load resource",))
    sockets = []
    page.on("websocket", lambda socket: sockets.append(socket.url))
    page.goto("/")
    for view in ("cells", "can", "uart", "alerts", "overview"):
        page.evaluate(f"location.hash = '#/{view}'")
        page.wait_for_selector(f"#view-{view}")
    page.wait_for_selector("#link[data-state=live]")
    assert len(sockets) == 1 and sockets[0].endswith("/ws/page")


@pytest.fixture
def locked(host_build):
    """A gateway with a password."""
    with connected(no_restart=True) as parts:
        assert parts.http("/api/auth/password", "POST", {"password": PASSWORD}).status == 200
        yield parts


def test_the_password_is_asked_for_and_checked(locked, open_page):
    page = open_page(gateway=locked.gateway, allow=("Failed to load resource",))
    page.click(".menu summary")
    page.click(".menu .panel button")
    page.fill("#login-password", "wrong")
    page.keyboard.press("Enter")
    wait_for(lambda: "Wrong password" in page.inner_text("dialog .said"), 10, "what the gateway said")
    assert axe(page) == ""
    page.fill("#login-password", PASSWORD)
    page.keyboard.press("Enter")
    page.wait_for_selector("dialog", state="detached")
    until(page, "() => document.querySelector('#toasts').innerText.includes('Logged in')")
    page.reload()  # kept until the tab is closed
    page.wait_for_selector("#link[data-state=live]")
    page.click(".menu summary")
    assert page.inner_text(".menu .panel button") == "Log out"


def test_without_a_password_it_is_said(running, open_page):
    page = open_page()
    page.wait_for_selector("#first[data-key=nopassword]")
    page.click(".menu summary")
    page.select_option("#language", "fr")
    until(page, "() => document.querySelector('#first').innerText.includes('mot de passe')")
    page.click("#first a")
    page.wait_for_selector("#view-setup")


def test_safe_mode_is_said_above_every_view(parts, open_page, host_build):
    """Three watchdog resets: only configuration, network, HTTP and update run. Every view opens and says what it lacks."""
    for cause in ("POWER_ON", "WATCHDOG", "WATCHDOG", "WATCHDOG"):
        gateway = parts.start_gateway(own_root=True, reset_cause=cause)
        gateway.http("/api/system/info")
        if parts.gateway.http("/api/system/info").json["safe_mode"]:
            break
        gateway.child.process.kill()
        gateway.child.wait()
    page = open_page(gateway=gateway, wait=None, allow=("Failed to load resource",))
    page.goto("/")
    page.wait_for_selector("#first[data-key=safemode] >> text=nothing is sent to the GX")
    for view in VIEWS:
        page.evaluate("(view) => (location.hash = '#/' + view)", view)
        page.wait_for_selector(f"#view-{view}")
        until(page, "() => document.querySelector('main > .view').innerText.length > 40")
        shot(page, f"safemode-{view}")
    page.click("#first a")
    page.wait_for_selector("#view-system >> text=three watchdog resets")
