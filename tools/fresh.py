"""Whether build/CHIP is still what the sources would give: whoever starts a gateway asks, and to build takes ten seconds.

build/.CHIP.done.json holds a digest of everything that a build reads, one of what it wrote, and its sizes.
"""

import hashlib
import json
import os
import sys
from pathlib import Path

from tools.names import KEEPERS

ROOT = Path(__file__).resolve().parent.parent
_READ = ("boot.py", "main.py", "firmware", "lib", "tools", "web", *KEEPERS)
_BESIDE = ("boot.py", "main.py", "rescue.mpy")  # what a build writes beside the slot


def _digest(root, paths):
    digest = hashlib.sha256()
    for path in paths:
        data = path.read_bytes()
        digest.update(f"{path.relative_to(root).as_posix()} {len(data)}\n".encode() + data)
    return digest.hexdigest()


def inputs(*programs):
    """Digest of all files that a build reads, and of which Python, packages and `programs` (paths) it is made with."""
    paths = []
    for name in _READ:
        path = ROOT / name
        found = [path] if path.is_file() else path.rglob("*")
        paths += [file for file in found if "__pycache__" not in file.parts and file.is_file()]
    made_with = [sys.version]
    for path in [*map(Path, programs), *sorted((Path(sys.prefix) / "npm").rglob(".version"))]:
        about = path.stat()
        made_with.append(f"{path} {about.st_size} {about.st_mtime_ns}")
    return _digest(ROOT, sorted(paths)) + hashlib.sha256("\n".join(made_with).encode()).hexdigest()


def _outputs(out):
    """Digest of what lies in build/CHIP; None when there is no whole build."""
    paths = [out / name for name in _BESIDE]
    if not all(path.is_file() for path in paths):
        return None
    slot = out / "slot_a"
    return _digest(out, paths + sorted(path for path in slot.rglob("*") if path.is_file() and path.suffix != ".new"))


def _place(out):
    return out.with_name(f".{out.name}.done.json")


def recall(out, key):
    """The sizes that `remember` was given, when the sources and all of build/CHIP are as they were then; else None.

    A build that somebody has changed is forgotten, with the stamps of its parts: all of it is made anew.
    """
    try:
        done = json.loads(_place(out).read_text())
    except (OSError, ValueError):
        return None
    if done["outputs"] != _outputs(out):
        for path in (_place(out), out.with_name(f".{out.name}.json")):
            path.unlink(missing_ok=True)
        return None
    return done["parts"] if done["inputs"] == key else None


def remember(out, key, parts):
    """Keep what `recall` gives."""
    temporary = _place(out).with_suffix(".new")
    temporary.write_text(json.dumps({"inputs": key, "outputs": _outputs(out), "parts": parts}))
    os.replace(temporary, _place(out))
