"""The rescue page as one module that needs no slot: firmware/rescue.py with the bundle reader in it."""

from pathlib import Path

from tools.bundle import Bundler

ROOT = Path(__file__).resolve().parent.parent
PATH = ROOT / "firmware" / "rescue.py"
_MEMBERS = ("system.archive", "system.manifest", "system.bundle", "rescue")


def source():
    """The text of rescue.py for a board."""
    names = [f"firmware.{member}" for member in _MEMBERS]
    sources = {name: (ROOT / (name.replace(".", "/") + ".py")).read_text() for name in names}
    sources["boot"] = "from firmware.rescue import run\n"  # it calls it by this name
    made = Bundler(sources, {"firmware.rescue": names}).result()
    assert made["boot"].startswith("from firmware.rescue import run as run"), made["boot"]
    return made["firmware.rescue"]
