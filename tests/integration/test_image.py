"""The image of the file system boots and serves what build/host serves; those of the chips hold the same application."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from littlefs import LittleFS

from tests.integration.parts import Gateway, wait_for
from tests.integration.snapshot import snapshot
from tools.budgets import _INLINE, resident
from tools.build import ROOT
from tools.check_imports import imports
from tools.chips import BLOCK, CHIPS, LAYOUTS, MB
from tools.flat import flat
from tools.manifest import files_of
from tools.package import image
from tools.processes import micropython

DRIVER = Path(__file__).with_name("image_driver.py")
MAC = "02aabbccddee"
ARCH = {"x64": 2, "xtensawin": 10, "rv32imc": 11}  # in bits 2-5 of the third byte of an .mpy file
CHIP_NAMES = [name for name, chip in CHIPS.items() if chip.image_id is not None]
EXACT = (
    "/", "/api/openapi.json", "/api/config", "/api/config/schema", "/api/registers", "/api/alerts/config", "/api/mqtt/config",
)  # fmt: skip
SHAPE = (
    "/api/status", "/api/can/status", "/api/can/limits", "/api/system/info", "/api/system/tasks", "/api/metrics/runtime",
    "/api/alerts/statistics", "/api/history/files", "/api/energy", "/api/mqtt/status", "/api/auth/status",
)  # fmt: skip


@pytest.fixture(scope="module")
def builds(tmp_path_factory):
    """{chip: directory} of a build of every chip from the same sources."""
    root = snapshot(tmp_path_factory.mktemp("builds") / "root")
    command = [sys.executable, "-m", "tools.build", "--all"]
    done = subprocess.run(command, cwd=root, env={**os.environ, "PYTHONPATH": ""}, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    return {name: root / "build" / name for name in ("host", *CHIP_NAMES)}


def read_image(data):
    """{path: bytes} of a littlefs."""
    files = LittleFS(block_size=BLOCK, block_count=len(data) // BLOCK, mount=False)
    files.context.buffer[:] = data
    files.mount()
    found = {}
    for directory, _, names in files.walk("/"):
        for name in names:
            path = f"{directory.rstrip('/')}/{name}"
            with files.open(path, "rb") as file:
                found[path[1:]] = file.read()
    return found


def shape(value):
    """The names and kinds of a JSON value; a number may be absent."""
    if isinstance(value, dict):
        return {key: shape(item) for key, item in sorted(value.items())}
    if isinstance(value, list):
        return [shape(value[0])] if value else []
    if value is None or (isinstance(value, int | float) and not isinstance(value, bool)):
        return "number or null"
    return type(value).__name__


def answers(gateway, build):
    exact = {path: gateway.http(path).body for path in EXACT}
    for name in sorted(files_of(build / "slot_a" / "www")):
        exact["/" + name.removesuffix(".gz")] = gateway.http("/" + name.removesuffix(".gz")).body
    return exact, {path: (reply := gateway.http(path)).status and shape(reply.json) for path in SHAPE}


def test_the_host_image_boots_and_serves_the_same(parts, builds, tmp_path):
    parts.start_sim()
    parts.start_can()
    parts.gx()
    (parts.data / "mac").write_bytes(bytes.fromhex(MAC))
    options = ["--uart", parts.uart_url, "--can", parts.can_url, "--port", "0"]

    def settled():
        status = parts.gateway.status()
        limits = parts.http("/api/can/limits").json
        return status["battery"]["status"] != "DISCONNECTED" and limits["cvl_mv"] is not None

    def ask(name, command):
        child = parts.start(name, [micropython(), "-X", "heapsize=8M", *command], cwd=builds["host"])
        parts.gateway = Gateway(child)
        wait_for(settled, 40, f"limits of the {name}")
        return answers(parts.gateway, builds["host"]), child

    wanted, child = ask("gateway", ["main.py", *options, "--data", parts.data])
    child.stop()
    path = tmp_path / "host.img"
    path.write_bytes(image(builds["host"], 2 * MB)[0])
    found, child = ask("image", [DRIVER, path, MAC, *options])
    assert found[1] == wanted[1]
    for name, body in wanted[0].items():
        assert found[0][name] == body, name
    # it writes into its image: what it was given survives a look from inside
    assert parts.http("/api/config", "POST", {"system": {"hostname": "from-image"}}).status == 200
    assert parts.http("/api/config").json["system"]["hostname"] == "from-image"


@pytest.mark.parametrize("chip", CHIP_NAMES)
def test_a_chip_image_holds_the_application_of_the_host(builds, chip):
    files = read_image(image(builds[chip], 2 * MB)[0])
    assert files == {name: (builds[chip] / name).read_bytes() for name in files_of(builds[chip], every=True)}
    host = {name: (builds["host"] / name).read_bytes() for name in files_of(builds["host"], every=True)}
    for mine, other, chip_of_mine in ((files, host, chip), (host, files, "host")):
        extra = [name.removeprefix("slot_a/") for name in set(mine) - set(other)]
        other_chip = CHIPS["host" if chip_of_mine == chip else chip]
        assert all(name.startswith(other_chip.left_out) for name in extra), extra
        assert not [name for name in mine if name.removeprefix("slot_a/").startswith(CHIPS[chip_of_mine].left_out)]
    native = set()
    for name in set(files) & set(host) - {"slot_a/manifest.json"}:
        arch = files[name][2] >> 2 if name.endswith(".mpy") else 0
        if arch:
            assert arch == ARCH[CHIPS[chip].family] and host[name][2] >> 2 == ARCH["x64"]
            native.add(name)
        else:
            assert files[name] == host[name], name
    assert native == {"slot_a/firmware/bms.mpy", "slot_a/firmware/can.mpy"}
    manifest = json.loads(files["slot_a/manifest.json"])
    assert manifest["chip"] == chip and manifest["family"] == CHIPS[chip].family
    assert set(manifest["files"]) == set(files_of(builds[chip] / "slot_a"))


def test_what_stays_loaded_is_there_on_every_chip(builds):
    for name in CHIP_NAMES:
        for module in resident(CHIPS[name]):
            assert (builds[name] / "slot_a" / f"{module}.mpy").exists(), (name, module)


def test_nothing_that_a_chip_keeps_imports_at_once_what_it_leaves_out():
    for path in sorted((ROOT / "firmware").rglob("*.py")):
        name = path.relative_to(ROOT).as_posix()
        name = flat(name.replace("/", ".")).replace(".", "/", 1)
        at_once = [flat(dotted).replace(".", "/") for _, dotted in imports(path) if dotted.startswith("firmware.")]
        for chip in CHIPS.values():
            if name.startswith(chip.left_out) or name.startswith("firmware/board_"):
                continue  # the room that knows both kinds
            assert not [module for module in at_once if module.startswith(chip.left_out)], (chip.name, name)


def test_layouts_and_sizes(builds):
    """What is a file to MicroPython has to lie inside a cache of 128 bytes or in blocks of its own; and the estimate is right."""
    from tools.budgets import blocks

    slot = builds["esp32"] / "slot_a"
    sizes = {name: (slot / name).stat().st_size for name in files_of(slot, every=True)}
    for layout in LAYOUTS.values():
        data, used = image(builds["esp32"], 4 * MB - layout.vfs_offset)
        assert len(data) == 4 * MB - layout.vfs_offset
        assert abs(used - blocks(sizes) - 6) <= 6
    assert _INLINE == 128
    with pytest.raises(SystemExit, match="does not fit into 256 KB"):
        image(builds["esp32"], 256 * 1024)
