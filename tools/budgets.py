"""What a build may weigh (DESIGN section 6), and what it weighs: printed by tools/build.py, which fails when a limit is broken.

KNOWN names the limits that are broken today, with the figure up to which a build is let through and the reason: it warns
instead, and fails when the figure grows further. Lower the figure when it has become better, remove the entry when it is kept.
"""

from dataclasses import dataclass

from tools.chips import BLOCK, LAYOUTS, MB

KB = 1024

# Modules that stay loaded from the start on, nobody connected, MQTT off: their code takes heap for ever. Everything else is
# loaded when it is needed and dropped. tests/integration/test_resident.py compares this with sys.modules of a running gateway.
_EVERYWHERE = """
    firmware/app firmware/alerts firmware/bms firmware/can firmware/history_energy
    firmware/history_history
"""
_ON_HOSTS = "firmware/board_host firmware/board_hostport firmware/can_slcan"
_ON_BOARDS = "firmware/board_esp32 firmware/net_wifi"  # the radio's driver: with a station configured

_INLINE = 128  # a file up to this size lies in its directory (tools/package.py)
_PAIR_BLOCKS, _PAIR_BYTES = 2, 1536  # a directory is pairs of blocks, which littlefs splits at 2 KB
_ENTRY = 16  # of a directory, beside the name
_MANIFEST_HEAD, _MANIFEST_ENTRY = 160, 78  # of manifest.json, beside the names
_SPOOL = 0.8  # an update file is at most so much of what it holds
_DATA_BLOCKS = 48  # history 141 KB, energy, alerts, configuration, and one of each while it is replaced
_ROOT_BLOCKS = 12  # superblock, boot.py, main.py, rescue.mpy, slots.json


@dataclass(frozen=True)
class Known:
    """A limit that is broken today: builds up to `figure` pass."""

    figure: int
    reason: str


KNOWN = {
    "flash ota": Known(
        600, "two slots do not fit: with an OTA image of MicroPython the application is updated over USB"
    ),
}


def resident(chip):
    """Paths of the modules that stay loaded on `chip` (a tools.chips.Chip), without suffix."""
    return (_EVERYWHERE + (_ON_HOSTS if chip.image_id is None else _ON_BOARDS)).split()


def blocks(sizes):
    """Blocks of flash that files {path: bytes} and their directories take."""
    directories = {"": 0}
    for path, size in sizes.items():
        parents = path.split("/")
        for depth in range(1, len(parents)):
            directories.setdefault("/".join(parents[:depth]), 0)
        directories["/".join(parents[:-1])] += _ENTRY + len(parents[-1]) + (size if size <= _INLINE else 0)
    files = sum(-(-size // (BLOCK - 4)) for size in sizes.values() if size > _INLINE)
    return files + _PAIR_BLOCKS * sum(max(1, -(-size // _PAIR_BYTES)) for size in directories.values())


def figures(sizes, chip):
    """[(name, figure, limit, unit)] of a slot with files `sizes` {path: bytes}, to which comes its manifest."""
    manifest = _MANIFEST_HEAD + sum(_MANIFEST_ENTRY + len(path) for path in sizes)
    slot = blocks({**sizes, "manifest.json": manifest})
    spool = -(-int(sum(sizes.values()) * _SPOOL) // BLOCK)
    if chip.image_id is None:  # the budgets are a board's
        return []
    rows = [("mpy that stay loaded", sum(sizes[f"{name}.mpy"] for name in resident(chip)), 40 * KB, "bytes")]
    for layout in LAYOUTS.values():
        need = 2 * slot + spool + _DATA_BLOCKS + _ROOT_BLOCKS
        rows.append((f"flash {layout.name}", need, (4 * MB - layout.vfs_offset) // BLOCK, "blocks"))
    return rows


def check(rows):
    """Print the figures against the limits; gives the names of the limits that are broken and not known to be."""
    broken = []
    for name, figure, limit, unit in rows:
        known = KNOWN.get(name)
        verdict = "kept"
        if figure > limit:
            verdict = "BROKEN"
            if known and figure <= known.figure:
                verdict = f"BROKEN, known (up to {known.figure}): {known.reason}"
            else:
                broken.append(name)
        print(f"  {name:24s} {figure:7d} of {limit:6d} {unit:6s}  {verdict}")
    return broken
