"""The rescue page as one module that needs no slot: firmware/rescue/ with the bundle reader in it."""

from pathlib import Path

from tools.bundle import Bundler

ROOT = Path(__file__).resolve().parent.parent
FOLDER = ROOT / "firmware" / "rescue"
_MEMBERS = ("system.archive", "system.manifest", "system.bundle", "rescue.form", "rescue")


def source():
    """The text of rescue.py for a board."""
    names = [f"firmware.{member}" for member in _MEMBERS]
    places = {name: ROOT / name.replace(".", "/") for name in names}
    sources = {
        name: (place / "__init__.py" if place.is_dir() else place.with_suffix(".py")).read_text()
        for name, place in places.items()
    }
    sources["boot"] = "from firmware.rescue import run\n"  # it calls it by this name
    made = Bundler(sources, {"firmware.rescue": names}).result()
    assert made["boot"].startswith("from firmware.rescue import run as run"), made["boot"]
    return made["firmware.rescue"]
