"""What a user puts on a board, made from build/CHIP: `python -m tools.package image|bundle CHIP`.

    image    build/tinybms-gw-<version>-<chip>.img      a littlefs of everything for the place that MicroPython mounts at /
    bundle   build/tinybms-gw-<version>-<chip>.bundle   the slot alone, for POST /api/ota: gzip (window 4 KB) of an ustar archive,
                                                        manifest.json first
The same sources give the same bytes.
"""

import argparse
import io
import tarfile
import zlib
from pathlib import Path

from tools.build import ROOT, build, put, report
from tools.chips import BLOCK, CHIPS, LAYOUTS, MB
from tools.manifest import FILE as MANIFEST
from tools.manifest import NAME, application_version, files_of

_WINDOW_BITS = 12  # 4 KB: what a board can spare while it unpacks
_GZIP = 16  # asks zlib for a gzip header, which then holds no time
# As MicroPython mounts its VfsLfs2 (extmod/vfs_lfs.c): a file in the directory itself must not be larger than its cache
_READ = _PROG = _LOOKAHEAD = 32
_CACHE = 4 * _READ
_DISK_VERSION = 0x00020000  # every MicroPython can mount it; newer ones write 2.1 from the first change on


def image(directory, size):
    """A littlefs of `size` bytes with the files below `directory`. SystemExit when they do not fit. Needs `make deps-board`."""
    try:
        from littlefs import LittleFS, LittleFSError
    except ImportError:
        raise SystemExit("package: littlefs-python is missing; run `make deps-board`") from None
    files = LittleFS(
        block_size=BLOCK, block_count=size // BLOCK, read_size=_READ, prog_size=_PROG, cache_size=_CACHE,
        lookahead_size=_LOOKAHEAD, disk_version=_DISK_VERSION,
    )  # fmt: skip
    try:
        for name in files_of(directory, every=True):
            for parent in list(Path(name).parents)[-2::-1]:
                if parent.name not in files.listdir(parent.parent.as_posix()):
                    files.mkdir(parent.as_posix())
            with files.open(name, "wb") as file:
                file.write((Path(directory) / name).read_bytes())
    except LittleFSError as error:
        raise SystemExit(f"package: the application does not fit into {size // 1024} KB: {error}") from None
    return bytes(files.context.buffer), files.used_block_count


def bundle(slot):
    """The update file of the slot directory `slot`, as bytes."""
    tar = io.BytesIO()
    with tarfile.open(fileobj=tar, mode="w", format=tarfile.USTAR_FORMAT) as archive:
        for name in (MANIFEST, *files_of(slot)):
            member = tarfile.TarInfo(name)  # with time 0, owner 0, mode 0644
            data = (Path(slot) / name).read_bytes()
            member.size = len(data)
            archive.addfile(member, io.BytesIO(data))
    packer = zlib.compressobj(9, zlib.DEFLATED, _GZIP + _WINDOW_BITS)
    return packer.compress(tar.getvalue()) + packer.flush()


def target(chip, suffix):
    return ROOT / "build" / f"{NAME}-{application_version()}-{chip}{suffix}"


def make_image(chip, layout="4mb", flash_mb=4):
    """Build `chip` and write its image; gives (path, offset in flash). Its name tells a layout or size that is not the usual."""
    place = LAYOUTS[layout]
    size = flash_mb * MB - place.vfs_offset
    report(chip, build(chip))
    data, used = image(ROOT / "build" / chip, size)
    special = ("" if layout == "4mb" else f"-{layout}") + ("" if flash_mb == 4 else f"-{flash_mb}mb")
    path = target(chip, f"{special}.img")
    put(path, data)
    print(f"{path.relative_to(ROOT)}: {used} of {size // BLOCK} blocks of 4 KB used")
    return path, place.vfs_offset


def make_bundle(chip):
    report(chip, build(chip))
    path = target(chip, ".bundle")
    put(path, bundle(ROOT / "build" / chip / "slot_a"))
    print(f"{path.relative_to(ROOT)}: {path.stat().st_size} bytes; in the dashboard under System, or")
    print(f"  curl -u admin -F firmware=@{path.relative_to(ROOT)} http://GATEWAY/api/ota")
    return path


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("what", choices=("image", "bundle"))
    parser.add_argument("chip", choices=[name for name, chip in CHIPS.items() if chip.family])
    parser.add_argument(
        "--layout", choices=LAYOUTS, default="4mb", help="partitions of the official image (default 4mb)"
    )
    parser.add_argument("--flash-mb", type=int, choices=(4, 8, 16, 32), default=4, help="size of the flash (default 4)")
    options = parser.parse_args()
    if options.what == "bundle":
        make_bundle(options.chip)
        return
    path, offset = make_image(options.chip, options.layout, options.flash_mb)
    if options.chip != "host":
        print("With the official MicroPython on the board already (`make flash` does both):")
        print(f"  esptool --chip {options.chip} --port PORT write-flash {offset:#x} {path.relative_to(ROOT)}")


if __name__ == "__main__":
    main()
