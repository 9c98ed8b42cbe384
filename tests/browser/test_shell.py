"""The dashboard's frame: navigation, languages, themes, connection, login."""

import pytest

from tests.browser.conftest import until
from tools.openapi import TARGET

VIEWS = [path.stem for path in sorted((TARGET.parent / "src" / "views").glob("*.js"))]


@pytest.mark.parametrize("view", VIEWS)
def test_every_view_opens_in_both_languages(open_page, view):
    titles = set()
    for lang in ("en", "fr"):
        page = open_page(f"#/{view}", lang=lang)
        until(page, "() => document.querySelector('main > .view').childElementCount > 0")
        assert page.evaluate("document.documentElement.lang") == lang
        titles.add(page.inner_text("#title"))
    assert titles and "title" not in titles
