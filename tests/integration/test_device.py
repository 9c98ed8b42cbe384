"""make test-device against the stand-in of a board: copies, runs, tells results apart, cleans up."""

import pytest

from tests.integration.board_stand_in import StandIn
from tools import device
from tools.board import Board
from tools.build import ROOT
from tools.chips import CHIPS
from tools.package import image

NEEDED = (
    "firmware/__init__", "firmware/live", "firmware/lazy", "firmware/bus", "firmware/bms/", "firmware/can/",
    "firmware/board/__init__", "tests/__init__", "tests/unit/__init__", "tests/unit/run", "tests/unit/help", "device_agent",
)  # fmt: skip
TESTS = {
    "test_good": "def test_one(): pass\nasync def test_two(): assert 2 > 1\n",
    "test_bad": "def test_one(): pass\ndef test_two(): assert 1 > 2, 'so small'\n",
    "test_large": "def test_one(): bytearray(1 << 40)\n",
    "test_elsewhere": "import no_such_module\ndef test_one(): pass\n",
}


@pytest.fixture
def flash(tmp_path):
    """The flash of a board with our boot.py, main.py, and settings."""
    root = tmp_path / "root"
    (root / "data").mkdir(parents=True)
    for name in ("boot.py", "main.py"):
        (root / name).write_bytes((ROOT / name).read_bytes())
    (root / "data" / "config.json").write_text("{}")
    path = tmp_path / "flash"
    path.write_bytes(image(root, 1 << 20)[0])
    return path


def test_report(flash, tmp_path, monkeypatch):
    chosen = {name: path for name, path in device.sources(CHIPS["host"]).items() if name.startswith(NEEDED)}
    for name, text in TESTS.items():
        path = tmp_path / f"{name}.py"
        path.write_text(text)
        chosen[f"tests/unit/{name}.py"] = path
    monkeypatch.setattr(device, "sources", lambda chip: chosen)
    lines = []
    with StandIn(flash) as stand_in, Board(stand_in.url) as board:
        board.maintenance()
        files = device.compiled(CHIPS["host"])  # the stand-in runs machine code of this computer
        device.copy(board, files, lines.append)
        assert board.hashes("/test").keys() == files.keys()
        device.copy(board, files, lines.append)
        assert lines[-1] == "Copying 0 files ..."
        bad = device.report(board, "esp32", [*TESTS], (5, 4), lines.append)
        board.soft_reset()
        device.clean(board)
        assert board.hashes("/").keys() == {"/boot.py", "/main.py", "/data/config.json"}
        assert not stand_in.bites
    text = "\n".join(lines)
    assert bad == 1
    for name, verdict in zip(TESTS, ("pass", "FAIL", "no memory", "not for a board"), strict=True):
        assert any(line.startswith(f"| {name} (") and line.endswith(f"| {verdict} |") for line in lines), text
    assert "Generic ESP32 module with ESP32" in text and "heap: " in text and "so small" in text
    assert "| CRC of a poll reply (117 bytes) | " in text and "| TWAI self-test inside the chip | " in text


def test_sources_are_all_there_and_compile(monkeypatch):
    sources = {name: device.sources(CHIPS[name]) for name in ("esp32", "esp32c3")}
    monkeypatch.setattr(device, "sources", lambda chip: sources[chip.name])
    for name, chosen in sources.items():
        assert {"tests/unit/test_bms_codec.py", "firmware/bms/crc.py", "lib/microdot/microdot.py"} < set(chosen)
        assert len(device.compiled(CHIPS[name])) == len(chosen)
    assert "lib/umqtt/simple.py" not in sources["esp32"]  # frozen there
