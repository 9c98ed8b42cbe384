"""Fixtures of the integration tests."""

import subprocess
import sys

import pytest

from tests.integration.parts import Parts, connected
from tools.processes import ROOT


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item, call):
    """Show what the processes said when a test with `parts` fails."""
    outcome = yield
    report = outcome.get_result()
    parts = getattr(item, "funcargs", {}).get("parts")
    if report.failed and parts is not None:
        report.sections.append(("processes", parts.logs()))


@pytest.fixture
def parts():
    """A `Parts` of its own for the test."""
    parts = Parts()
    try:
        yield parts
    finally:
        parts.stop()


@pytest.fixture(scope="session")
def host_build():
    """build/host, as new as the sources. Tests that start a gateway ask for it."""
    done = subprocess.run(
        [sys.executable, "-m", "tools.build", "host"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return ROOT / "build" / "host"


@pytest.fixture(scope="module")
def running(host_build):
    """A gateway with everything for all tests of a file, which answers a restart without doing it."""
    with connected(no_restart=True) as parts:
        yield parts
