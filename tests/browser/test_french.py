"""A page in French shows in French what the gateway says in English: reasons of limits, why the BMS is silent, refusals."""

import re

from tests.browser.conftest import shot
from tests.integration.parts import wait_for

ENGLISH = re.compile(r"\b(must|cell|at|no answer|trip limit|rising|absorption,|below|the)\b")


def test_reasons_of_limits_and_silence(running, open_page):
    running.gx()  # somebody acknowledges on CAN, so limits are sent
    overview, uart = open_page("#/overview", lang="fr"), open_page("#/uart", lang="fr")
    reasons = lambda: [text.strip() for text in overview.locator(".limits .why").all_inner_texts()]  # noqa: E731
    wait_for(lambda: re.search("seuil|monte vers|cellule|sonde", " ".join(reasons())), 15, "a reason")
    assert not any(ENGLISH.search(text) for text in reasons()), reasons()
    running.control.call("fault", name="silence")
    try:
        wait_for(lambda: "pas de réponse" in uart.inner_text("#view-uart header .badge"), 15, "why it is silent")
        wait_for(lambda: "pas de lecture valide du BMS depuis" in " ".join(reasons()), 15, "why nothing is charged")
        shot(overview, "french-silence")
    finally:
        running.control.call("clear")
    running.wait_connected()


def test_what_is_refused(running, open_page):
    page = open_page("#/alerts", lang="fr", allow=("Failed to load resource",))
    page.fill("#alert-temperature_max_c", "-10")  # in its range, but below the minimum
    page.locator(".config button.primary").click()
    wait_for(lambda: page.get_attribute("#alert-temperature_min_c", "aria-invalid") == "true", 15, "the API says no")
    beside, below = page.inner_text("#alert-temperature_min_c-said"), page.inner_text(".config form > .said")
    assert "doit rester sous alerts_temperature_max_c (-10)" in beside and not ENGLISH.search(beside)
    assert below.startswith("Configuration invalide: ") and not ENGLISH.search(below)
    shot(page, "french-refused")
