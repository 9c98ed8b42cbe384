"""DESIGN 5: the first 0x351 comes soon after a restart, before anything is loaded that the battery does not need; and the HTTP
server is not loaded before somebody asks."""

import time
from pathlib import Path

import pytest

from tests.integration.parts import Gateway, wait_for
from tools.processes import HOST_BUILD, Child, gateway_command

pytestmark = pytest.mark.usefixtures("host_build")

PROBE = Path(__file__).with_name("probe_imports.py")
# What the start may load before it, besides what MicroPython itself brings
REQUIRED = (
    "firmware",
    "firmware.app",
    "firmware.app_seldom",
    "firmware.start",
    "firmware.system_health",
)
ROOMS = ("firmware.board_", "firmware.bms", "firmware.can", "firmware.config")
NEVER = ("firmware.http", "firmware.alerts", "firmware.history", "firmware.mqtt", "firmware.net_", "microdot")


def test_only_what_is_required_before_the_first_frame(parts):
    parts.start_sim(scenario="normal")
    parts.start_can()
    bus = parts.bus()
    command = gateway_command(parts.uart_url, parts.can_url, parts.data)
    command[command.index("main.py")] = str(PROBE)
    started = time.time()
    child = Child("gateway", command, parts.directory / "gateway.log", cwd=HOST_BUILD)
    parts.children.append(child)
    bus.wait(0x351, 20)
    first = time.time()
    gateway = Gateway(child)
    time.sleep(1)
    asked = time.time()
    gateway.status()
    wait_for(
        lambda: [line for line in child.lines if line.startswith("import microdot ")], what="what it printed meanwhile"
    )
    time.sleep(0.5)
    imports = [line.split()[1:] for line in child.lines if line.startswith("import ")]
    before = [name for name, ms in imports if int(ms) / 1000 < first - 0.05]
    print(
        f"first 0x351 {first - started:.2f} s after the start of the process, {len(before)} modules before it: {before}"
    )
    assert first - started < 3
    assert "firmware.app" in before and "firmware.can" in before
    assert [name for name in before if name.startswith(NEVER)] == []
    ours = [name for name in before if name.startswith("firmware")]
    assert [name for name in ours if name not in REQUIRED and not name.startswith(ROOMS)] == []
    late = [name for name, ms in imports if int(ms) / 1000 >= asked]
    assert "firmware.http" in late and "microdot" in late, "what answers requests comes with the first one"
    for name in ("firmware.alerts", "firmware.history_history"):
        assert name in [name for name, _ in imports] and name not in late
