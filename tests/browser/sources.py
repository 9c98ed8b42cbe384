"""A gateway that runs from a copy of its sources with some lines changed: what only tests want is no option."""

import shutil

from tools.processes import HOST_BUILD, ROOT

MAIN = """import gc, sys
gc.threshold(8192)
sys.path[:0] = [{slot!r}, {slot!r} + "/lib"]
from firmware import app
app.main(sys.argv[1:])
"""


def changed(directory, changes):
    """Fill `directory`, for `start_gateway(root=directory, heap="2M")`. `changes`: {file below firmware/: [(old, new)]}."""
    slot = directory / "slot_a"
    shutil.copytree(ROOT / "firmware", slot / "firmware")
    shutil.copytree(ROOT / "lib", slot / "lib")
    shutil.copytree(HOST_BUILD / "slot_a" / "www", slot / "www")
    for name, lines in changes.items():
        path = slot / "firmware" / name
        text = path.read_text()
        for old, new in lines:
            assert text.count(old) == 1, f"{name}: {old!r}"
            text = text.replace(old, new)
        path.write_text(text)
    (directory / "main.py").write_text(MAIN.format(slot=str(slot)))
    return directory
