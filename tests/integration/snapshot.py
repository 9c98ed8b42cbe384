"""A copy of the sources to build from, so that nothing changes meanwhile."""

import shutil

from tools.build import ROOT
from tools.names import KEEPERS

_SKIP = shutil.ignore_patterns("__pycache__", "*.new")


def snapshot(directory):
    """Copy what a build needs to `directory`, which is made."""
    directory.mkdir(parents=True)
    for name in ("firmware", "tools", "lib", "web"):
        shutil.copytree(ROOT / name, directory / name, ignore=_SKIP)
    for path in ROOT.glob("*.py"):
        shutil.copy(path, directory)
    for name in KEEPERS:  # programs whose names tools/names.py leaves alone
        (directory / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / name, directory / name)
    return directory
