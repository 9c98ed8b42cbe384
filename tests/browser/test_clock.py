"""A gateway whose clock is not set yet: times count from its start, and no page shows them as dates."""

import re

import pytest

from tests.browser.admin import BASIC, log_in, set_password
from tests.browser.conftest import axe, shot, until
from tests.browser.sources import changed
from tests.integration.parts import connected, wait_for

UNSET = {
    "board/host.py": [
        ("self.time_valid = True", "self.time_valid = False"),
        ('self.time_source = "host"', 'self.time_source = "none"'),
        ("self._epoch_offset = time.time_ns() // 1_000_000", "self._epoch_offset = 0"),
    ]
}
DATE = re.compile(r"19[67]\d|200\d|\bJan(uary)?\b|janv")  # as 0 is shown, or the epoch of an ESP32


@pytest.fixture
def parts(host_build, tmp_path):
    with connected(no_restart=True, heap="2M", root=changed(tmp_path, UNSET)) as parts:
        yield parts


def shown(page, view, there):
    """The words of a view, once `there` is in them."""
    page.evaluate("(view) => (location.hash = '#/' + view)", view)
    page.wait_for_selector(f"#view-{view}")
    return wait_for(
        lambda: (words := page.inner_text("#view-" + view)) and there in words and words, 20, f"{there} in {view}"
    )


@pytest.mark.parametrize("lang", ["en", "fr"])
def test_no_date_before_the_clock_is_set(parts, open_page, lang):
    since = {"en": "start\u00a0+\u00a00:", "fr": "démarrage\u00a0+\u00a00:"}[lang]
    set_password(parts.gateway)
    low = {"temperature_max_c": 5, "debounce_sec": 0}
    assert parts.http("/api/alerts/config", "POST", low, BASIC).status == 200
    page = open_page(gateway=parts.gateway, lang=lang)
    log_in(page)
    words = {"overview": shown(page, "overview", since)}  # of the alert
    assert {"en": "clock not set", "fr": "horloge non réglée"}[lang] in words["overview"]
    shot(page, f"clock-overview-{lang}")
    for view in ("alerts", "system"):  # `since` in the list and the log, in the lines of the log
        words[view] = shown(page, view, since)
    words["history"] = shown(page, "history", {"en": "clock is not set", "fr": "n’est pas réglée"}[lang])
    until(page, "() => /\\d/.test(document.querySelector('#view-history tbody td')?.textContent || '')")
    words["history"] = shown(page, "history", since)
    shot(page, f"clock-history-{lang}")
    words["uart"] = shown(page, "uart", "AA 03")
    for view, text in words.items():
        assert not DATE.search(text), (view, DATE.search(text), text)
    page.evaluate("location.hash = '#/system'")
    page.get_by_role("button", name={"en": "Set the clock", "fr": "Régler l’horloge"}[lang]).click()
    wait_for(lambda: parts.http("/api/system/info").json["time_valid"], 10, "the clock is set")
    page.evaluate("location.hash = '#/alerts'")
    until(page, "() => /\\d\\d:\\d\\d:\\d\\d/.test(document.querySelector('.active small')?.textContent || '')")
    wait_for(lambda: since not in page.inner_text(".active"), 20, "the alert has a date now")
    assert not DATE.search(page.inner_text("#view-alerts"))
    shown(page, "overview", {"en": "running", "fr": "en marche"}[lang])
    assert axe(page) == ""
