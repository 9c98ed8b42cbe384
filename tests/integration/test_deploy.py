"""make deploy against a stand-in of a board: real boot.py, real littlefs, a watchdog that bites, a power that fails."""

import hashlib
import json
import shutil

import pytest

from tests.integration.board_stand_in import StandIn
from tools.board import Board, BoardError
from tools.build import ROOT
from tools.chips import CHIPS
from tools.deploy import chip_of, deploy, find_chip, local_files
from tools.manifest import files_of, manifest
from tools.package import image

SIZE = 64 * 4096


def make_tree(directory, texts):
    """A small build directory: boot.py and main.py as they are, a slot of the files `texts`."""
    for name in ("boot.py", "main.py"):
        directory.mkdir(exist_ok=True)
        shutil.copy(ROOT / name, directory)
    for name, text in texts.items():
        path = directory / "slot_a" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(text)
    (directory / "slot_a" / "manifest.json").write_bytes(manifest(directory / "slot_a", CHIPS["esp32"]))
    return directory


OLD = {"firmware/app.mpy": b"old app", "firmware/room/part.mpy": b"part" * 1200,
       "www/index.html.gz": b"page", "www/gone.gz": b"x" * 300}  # fmt: skip
NEW = {"firmware/app.mpy": b"new app" * 700, "firmware/room/part.mpy": OLD["firmware/room/part.mpy"],
       "firmware/new/deep/one.mpy": b"one", "lib/two.mpy": bytes(range(256)) * 9}  # fmt: skip


@pytest.fixture
def trees(tmp_path):
    return make_tree(tmp_path / "old", OLD), make_tree(tmp_path / "new", NEW)


@pytest.fixture
def flash(tmp_path, trees):
    """The flash of a board with the old application on trial in the other slot, settings, and what an old deploy left."""
    old = trees[0]
    (old / "slots.json").write_text(json.dumps({"active": "slot_b", "trial": 1}))
    (old / "data").mkdir()
    (old / "data" / "config.json").write_text("{}")
    path = tmp_path / "flash"
    path.write_bytes(image(old, SIZE)[0])
    return path


def check_new(board, files):
    """The board has these files, nothing else in its slot, and still its settings."""
    found = board.hashes("/slot_a", "/boot.py", "/main.py", "/slots.json", "/data")
    wanted = {path: hashlib.sha256(data).hexdigest() for path, data in files.items()}
    wanted["/data/config.json"] = hashlib.sha256(b"{}").hexdigest()
    assert found == wanted
    assert board.directories("/slot_a") == sorted(["/slot_a/firmware", "/slot_a/firmware/new", "/slot_a/firmware/new/deep",
                                                   "/slot_a/firmware/room", "/slot_a/lib"], reverse=True)  # fmt: skip


def quiet(*words):
    pass


def test_changed_files_only_and_the_watchdog_does_not_bite(flash, trees):
    files = local_files(trees[1])
    with StandIn(flash) as stand_in, Board(stand_in.url) as board:
        assert stand_in.running
        board.maintenance()
        assert find_chip(board) == "esp32"
        said = []
        assert deploy(board, files, said.append) == 4  # three and the manifest
        assert sorted(line.split()[1] for line in said) == sorted(
            f"/slot_a/{name}" for name in NEW if NEW[name] != OLD.get(name)
        )
        check_new(board, files)
        assert deploy(board, files, quiet) == 0
        board.reset()
        assert (stand_in.resets, stand_in.bites) == (2, 0)


def test_the_stand_in_bites_whoever_forgets_the_watchdog(flash):
    with StandIn(flash, watchdog_s=0.3) as stand_in, Board(stand_in.url) as board:
        board.connect()
        with pytest.raises(BoardError, match="stopped answering"):
            board.run("import time\ntime.sleep(2)", seconds=1)
        assert stand_in.bites == 1


def test_a_board_without_any_file(tmp_path, trees):
    empty = tmp_path / "empty"
    (empty / "data").mkdir(parents=True)
    (empty / "data" / "config.json").write_text("{}")
    path = tmp_path / "flash"
    path.write_bytes(image(empty, SIZE)[0])
    files = local_files(trees[1])
    with StandIn(path) as stand_in, Board(stand_in.url) as board:
        board.maintenance()
        assert deploy(board, files, quiet) == len(files)
        check_new(board, files)
        assert not board.hashes("/maintenance")


def test_a_cut_leaves_no_slot_that_looks_whole_and_the_next_deploy_finishes(flash, trees, tmp_path):
    new, start = local_files(trees[1]), flash.read_bytes()
    cuts = 0
    for cut in (5, 14, 25, 40):
        flash.write_bytes(start)
        with StandIn(flash) as stand_in, Board(stand_in.url) as board:
            board.maintenance()  # each start of the stand-in counts its blocks afresh
            stand_in.cut = cut
            board.soft_reset()
            try:
                deploy(board, new, quiet)
            except BoardError:
                cuts += 1
            stand_in.cut = 0
            board.maintenance()
            there = board.hashes("/slot_a")
            if "/slot_a/manifest.json" in there:
                said = json.loads(board.run("print(open('/slot_a/manifest.json').read())"))["files"]
                assert {f"/slot_a/{name}": digest for name, (digest, _) in said.items()}.items() <= there.items(), cut
            deploy(board, new, quiet)
            check_new(board, new)
    assert cuts >= 3


def test_nothing_answers():
    with pytest.raises(BoardError, match="no MicroPython prompt"):
        Board("socket://127.0.0.1:9").connect(seconds=0)


def test_chips():
    assert chip_of("Generic ESP32 module with ESP32") == "esp32"
    assert chip_of("Generic ESP32S3 module with ESP32S3") == "esp32s3"
    assert chip_of("Generic ESP32C3 module with ESP32-C3") == "esp32c3"
    assert chip_of("Generic ESP32S2 module with ESP32S2") is None
    assert chip_of("Raspberry Pi Pico with RP2040") is None


def test_files_of_leaves_out_what_is_being_written(trees):
    (trees[0] / "slot_a" / "lib.mpy.new").write_bytes(b"")
    assert sorted(files_of(trees[0] / "slot_a")) == sorted(OLD)
