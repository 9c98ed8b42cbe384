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
    return Bundler(sources, {"firmware.rescue": names}).result()["firmware.rescue"]
