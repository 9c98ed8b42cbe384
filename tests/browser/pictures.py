"""Takes the README's pictures of the dashboard anew: `python -m tests.browser.pictures` (four minutes), into .pictures/.

A battery that charges beside a load that comes and goes, a GX, a password: what a finished installation shows.
"""

import time

from playwright.sync_api import sync_playwright

from tests.browser.admin import set_password
from tests.integration.parts import connected, wait_for
from tests.packages import require_package
from tools.processes import ROOT

PICTURES = ROOT / ".pictures"
BALANCED = 1 << 1 | 1 << 5 | 1 << 11  # cells 2, 6 and 12
BALANCING = 52  # register
LOADS = (5, 18, 30, 12, 48, 22, 8, 15)  # A, one after the other
STEP_S = 25


def main():
    binary = require_package("chromium", "chromium")
    with connected(no_restart=True, config={"charge": {"chemistry": "lfp"}}) as parts, sync_playwright() as playwright:
        parts.gx()
        set_password(parts.gateway)
        parts.control.call("set", register=BALANCING, value=BALANCED)
        browser = playwright.chromium.launch(executable_path=binary, args=["--no-sandbox", "--disable-gpu"])

        def page(view, height, theme):
            context = browser.new_context(
                viewport={"width": 1280, "height": height}, locale="en-GB", color_scheme=theme, base_url=parts.gateway.url
            )  # fmt: skip
            one = context.new_page()
            one.goto(f"/#/{view}")
            one.wait_for_selector(f"#view-{view}")
            one.wait_for_selector("#link[data-state=live]")
            return one

        overview, cells = page("overview", 860, "light"), page("cells", 820, "dark")
        for amps in LOADS:
            parts.control.call("model", load_a=amps)
            time.sleep(STEP_S)
        cells.locator("#view-cells .bars > li button").nth(6).click()
        wait_for(lambda: "trip limit" in overview.inner_text(".limits"), 60, "CCL and DCL have risen")
        wait_for(lambda: "Cell 7" in cells.inner_text(".trend"), 10, "the trend of a cell")
        overview.screenshot(path=PICTURES / "overview.png")
        cells.screenshot(path=PICTURES / "cells.png")
        browser.close()


if __name__ == "__main__":
    main()
