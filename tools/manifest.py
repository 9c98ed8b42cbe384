"""What a slot holds: `manifest.json` in its root and first in an update bundle. Read by boot.py, the update and the rescue page.

{"name": "tinybms-gw", "version": "0.1.0", "chip": "esp32", "family": "xtensawin", "micropython": "1.23.0",
 "files": {"firmware/app.mpy": ["<sha256 in hex>", <bytes>], ...}}
"""

import ast
import hashlib
import json
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
NAME = "tinybms-gw"
FILE = "manifest.json"
MICROPYTHON = "1.23.0"  # the first that reads .mpy of version 6.3 (esp32_micropython facts 2)


def application_version():
    """`VERSION` of firmware/app.py."""
    for node in ast.parse((ROOT / "firmware" / "app.py").read_text()).body:
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "VERSION":
            return ast.literal_eval(node.value)
    raise SystemExit("build: firmware/app.py has no VERSION")


def files_of(directory, every=False):
    """Sorted paths of the files below `directory`, relative to it: of a slot, without the manifest unless `every` is wanted."""
    found = (path.relative_to(directory).as_posix() for path in Path(directory).rglob("*") if path.is_file())
    return sorted(name for name in found if (every or name != FILE) and not name.endswith(".new"))


def manifest(slot, chip):
    """The bytes of the manifest for the files below `slot`."""
    files = {}
    for name in files_of(slot):
        data = (Path(slot) / name).read_bytes()
        files[name] = [hashlib.sha256(data).hexdigest(), len(data)]
    head = {"name": NAME, "version": application_version(), "chip": chip.name, "family": chip.family}
    return json.dumps({**head, "micropython": MICROPYTHON, "files": files}, separators=(",", ":")).encode()
