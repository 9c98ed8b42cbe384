"""Fixtures of the browser tests: a gateway from build/host, Chromium, and pages whose console must stay clean.

`open_page("#/cells", size=(360, 740), lang="fr", theme="dark")` opens the dashboard of the gateway of the module (`running`) and
waits for the view. What a page writes to its console as an error, and what it throws, fails the test at its end;
`allow=("text",)` names what is expected ("Failed to load resource" when a form is refused on purpose).

BROWSER_SLOWDOWN=4 in the environment makes the pages four times slower: what a test reads too early is found that way.
"""

import os
import re
import sys
from pathlib import Path

import pytest
from playwright.sync_api import Error, sync_playwright

from tests.integration.parts import wait_for
from tests.integration.conftest import host_build, parts, pytest_runtest_makereport, running  # noqa: F401
from tests.packages import require_package
from tools.processes import ROOT

SCREENSHOTS = ROOT / "build" / "screenshots"
AXE = Path(sys.prefix) / "npm" / "axe-core" / "axe.min.js"
WAIT_MS = 15_000  # this machine may be busy
SLOWDOWN = float(os.environ.get("BROWSER_SLOWDOWN", "1"))


@pytest.fixture(scope="session")
def chromium():
    """A Chromium for all tests of the session."""
    binary = require_package("chromium", "chromium")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=binary, args=["--no-sandbox", "--disable-gpu"])
        yield browser
        browser.close()


class Errors:
    """What the pages of a test complained about."""

    def __init__(self):
        self.found = []
        self.allowed = []

    def watch(self, page, allow):
        self.allowed += allow
        page.on("console", lambda message: message.type == "error" and self.found.append(message.text))
        page.on("pageerror", lambda error: self.found.append(str(error)))

    def check(self):
        left = [text for text in self.found if not any(word in text for word in self.allowed)]
        assert not left, "the page's console: " + "\n".join(left)


@pytest.fixture
def open_page(chromium, request):
    """Gives `open(hash, gateway=, size=, lang=, theme=, allow=, wait=, **options of a context)`, which gives a page."""
    errors, contexts = Errors(), []

    def open_one(
        hash="#/overview", gateway=None, size=(1280, 800), lang="en", theme="light", allow=(), wait=True, **options
    ):  # fmt: skip
        if gateway is None:
            gateway = request.getfixturevalue("running").gateway
        context = chromium.new_context(
            viewport={"width": size[0], "height": size[1]}, locale={"en": "en-GB", "fr": "fr-FR"}[lang],
            color_scheme=theme, base_url=gateway.url, **options,
        )  # fmt: skip
        context.set_default_timeout(WAIT_MS)
        contexts.append(context)
        page = context.new_page()
        if SLOWDOWN > 1:
            context.new_cdp_session(page).send("Emulation.setCPUThrottlingRate", {"rate": SLOWDOWN})
        errors.watch(page, list(allow))
        if wait is not None:
            page.goto("/" + hash)
        if wait:
            page.wait_for_selector(f"#view-{re.split('[/?]', hash.removeprefix('#/'))[0]}")
            page.wait_for_selector("#link[data-state=live]")
        return page

    yield open_one
    for context in contexts:
        context.close()
    errors.check()


def shot(page, name, full=True):
    """A screenshot as test output: build/screenshots/NAME.png."""
    SCREENSHOTS.mkdir(parents=True, exist_ok=True)
    page.screenshot(path=SCREENSHOTS / f"{name}.png", full_page=full)


def until(page, expression, arg=None, seconds=15):
    """Wait until the JavaScript expression (or function of `arg`) is true in the page, and give its value.

    What it looks at may not be there yet. page.wait_for_function would need `eval`, which the page's CSP forbids.
    """

    def look():
        try:
            return page.evaluate(expression, arg)
        except Error as error:
            if "properties of null" in error.message or "properties of undefined" in error.message:
                return False
            raise

    return wait_for(look, seconds, expression)


def overflow(page):
    """By how many pixels the page is wider than its window: 0 when it does not scroll sideways."""
    return page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")


def axe(page):
    """The serious and critical findings of axe-core, as text; "" when there are none."""
    assert AXE.exists(), "axe-core is missing; run `make deps`"
    if not page.evaluate("typeof axe === 'object'"):
        page.evaluate(AXE.read_text() + "; undefined")
    found = page.evaluate("axe.run(document, {resultTypes: ['violations']}).then((result) => result.violations)")
    return "\n".join(
        f"{one['impact']}: {one['id']}: {one['help']}: {'; '.join(str(node['html'])[:160] for node in one['nodes'][:4])}"
        for one in found
        if one["impact"] in ("serious", "critical")
    )
