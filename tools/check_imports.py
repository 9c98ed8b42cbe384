"""Hold the imports of firmware/ against the plan: `python -m tools.check_imports`; one line a breach, exit code 1.

`app` and its `start` import rooms. A room imports itself, `bus`, `live`, `config`, `lazy` and the standard library; what it has
firmware/lazy.py load by name counts as an import. Each third-party library belongs to one room.
Only the board room, `can/twai*`, `net` and the rescue page import `machine`, `network`, `esp32`, `bluetooth`.
"""

import ast
import sys
from pathlib import Path

from tools.by_name import is_by_name

ROOT = Path(__file__).resolve().parent.parent
HARDWARE = {"machine", "network", "esp32", "bluetooth"}
SHARED = {"bus", "live", "config", "lazy"}
LIBRARIES = {"microdot": "http", "umqtt": "mqtt", "aioble": "net"}
# What a room has loaded of another all the same, for a moment: code too large to stay, and nothing in it to hand over
LOADED = {
    "bus": {"system.bus_metrics", "system.queues"},  # its own figures and queues
    "http": {"history.thin", "system.health", "system.slots", "system.update"},  # history, system/info, ota
    "mqtt": {"net.resolver"},  # only who has a broker needs it
}


def _tree(path):
    return ast.walk(ast.parse(path.read_text()))


def imports(path):
    """(line, dotted name) of each import, wherever it stands."""
    for node in _tree(path):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield node.lineno, alias.name
        elif isinstance(node, ast.ImportFrom):
            for alias in node.names:
                yield node.lineno, f"{'.' * node.level}{node.module or ''}.{alias.name}"


def loaded(path):
    """(line, name without "firmware.") of each module of a room that is loaded or dropped by a name that stands there."""
    for node in _tree(path):
        if is_by_name(node):
            for part in node.args:
                if isinstance(part, ast.Constant) and isinstance(part.value, str) and "." in part.value:
                    yield node.lineno, part.value


def may_touch_hardware(inside):
    return inside.parts[0] in ("board", "net", "rescue") or (
        inside.parts[0] == "can" and inside.stem.startswith("twai")
    )


def breaches(firmware):
    """The breaches below `firmware`, a line of text each."""
    for path in sorted(firmware.rglob("*.py")):
        inside = path.relative_to(firmware)
        room = inside.parts[0].removesuffix(".py")
        for line, name in imports(path):
            parts = name.split(".")
            where = f"firmware/{inside}:{line}"
            if parts[0] in HARDWARE and not may_touch_hardware(inside):
                yield f"{where}: {parts[0]} belongs to board/, net/ and can/twai"
            if not parts[0]:
                yield f"{where}: tools/flat.py does not follow a relative import"
            if LIBRARIES.get(parts[0], room) != room:
                yield f"{where}: {parts[0]} belongs to {LIBRARIES[parts[0]]}/"
            if parts[0] != "firmware" or room in ("app", "start") or len(parts) < 2:
                continue
            if room == "rescue" and parts[1] == "system":
                continue
            if parts[1] != room and parts[1] not in SHARED and not (room == "board" and parts[1] == "can"):
                yield f"{where}: room {room} must not know firmware.{parts[1]}"
        for line, name in loaded(path) if room not in ("app", "start") else ():
            if name.split(".")[0] not in (room, *SHARED) and name not in LOADED.get(room, ()):
                yield f"firmware/{inside}:{line}: room {room} must not load firmware.{name}"


def main():
    found = list(breaches(ROOT / "firmware"))
    for line in found:
        print(line)
    sys.exit(1 if found else 0)


if __name__ == "__main__":
    main()
