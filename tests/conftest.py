"""What pytest needs for all tests: unit tests run under MicroPython, and a run that must not skip."""

import ast
import os
import signal
import subprocess
import tempfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
UNIT = ROOT / "tests" / "unit"
MICROPYTHON = os.environ.get("MICROPYTHON") or str(ROOT / ".venv" / "bin" / "micropython")
TIMEOUT_S = 600  # against a hang: the longest file takes 20 s of a free processor
# The files that take longest, the longest first: workers are given whole files in this order, and none gets a long one last
LONGEST = """
    integration/test_openapi integration/test_update integration/test_soak integration/test_run integration/test_chaos
    browser/test_leaks integration/test_kills browser/test_shell browser/test_overview integration/test_bench
    integration/test_alerts browser/test_can_uart integration/test_history integration/test_http_hostile
    integration/test_fuzz integration/test_auth integration/test_failures integration/test_slots integration/test_image
    integration/test_32bit browser/test_settings browser/test_mqtt browser/test_alerts browser/test_history
    integration/test_build integration/test_api_contract integration/test_charge_closed_loop integration/test_can_rows
    integration/test_mqtt_failures unit/test_history_powercut unit/test_history integration/test_deploy
    integration/test_device integration/test_resident
""".split()

if (
    signal.getsignal(signal.SIGINT) is signal.SIG_IGN
):  # started in the background: what the tests start must hear Ctrl-C again
    signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_addoption(parser):
    parser.addoption("--fail-on-skip", action="store_true", help="a skipped test fails the run (CI)")


def pytest_sessionfinish(session, exitstatus):
    reporter = session.config.pluginmanager.get_plugin("terminalreporter")
    if session.config.getoption("--fail-on-skip") and reporter and reporter.stats.get("skipped") and exitstatus == 0:
        session.exitstatus = 1


def pytest_collection_modifyitems(items):
    place = {name: i for i, name in enumerate(LONGEST)}
    items.sort(key=lambda item: place.get(item.path.relative_to(ROOT / "tests").with_suffix("").as_posix(), len(place)))


def pytest_pycollect_makemodule(module_path, parent):
    return MicroPythonFile.from_parent(parent, path=module_path) if module_path.parent == UNIT else None


class MicroPythonFile(pytest.File):
    """A file of tests/unit: each `test_*` function is an item; the file runs once, in a MicroPython process."""

    def collect(self):
        self.results = None
        for node in ast.parse(self.path.read_text()).body:
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.name.startswith("test_"):
                yield MicroPythonItem.from_parent(self, name=node.name)

    def run(self):
        """{test: "" or the traceback}; the whole output under None."""
        if self.results is None:
            output = self._output()
            self.results = {None: output}
            name = None
            for line in output.splitlines():
                verdict, _, rest = line.partition(" ")
                if verdict in ("ok", "FAIL"):
                    name = rest
                    self.results[name] = "" if verdict == "ok" else "failed"
                elif name and line.startswith("  "):
                    self.results[name] += "\n" + line
        return self.results

    def _output(self):
        command = [MICROPYTHON, "-X", "heapsize=16M", "tests/unit/run.py", str(self.path.relative_to(ROOT))]
        with tempfile.TemporaryDirectory(prefix="tinybms-unit-") as directory:  # the tests leave their files there
            environment = dict(os.environ, MICROPYPATH=f"{ROOT}:{ROOT}/lib:.frozen", TMPDIR=directory)
            try:
                done = subprocess.run(
                    command, cwd=ROOT, env=environment, capture_output=True, text=True, errors="replace", timeout=TIMEOUT_S
                )  # fmt: skip
                return done.stdout + done.stderr
            except subprocess.TimeoutExpired as error:
                return f"{(error.stdout or b'').decode(errors='replace')}\nno end after {TIMEOUT_S} s"


class MicroPythonItem(pytest.Item):
    def runtest(self):
        results = self.parent.run()
        if self.name not in results:
            pytest.fail(f"did not run under MicroPython:\n{results[None][-4000:]}", pytrace=False)
        if results[self.name]:
            pytest.fail(results[self.name], pytrace=False)

    def reportinfo(self):
        return self.path, None, f"{self.path.stem}::{self.name}"
