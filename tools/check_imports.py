"""Hold the imports of firmware/ against the plan: `python -m tools.check_imports`; one line a breach, exit code 1.

`app` and its `start` import rooms. A room imports itself, `bus`, `live`, `config`, `lazy` and the standard library.
Only the board room, `can/twai*`, `net` and the rescue page import `machine`, `network`, `esp32`, `bluetooth`.
"""

import ast
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
HARDWARE = {"machine", "network", "esp32", "bluetooth"}
SHARED = {"bus", "live", "config", "lazy"}


def imports(path):
    """(line, dotted name) of each import, wherever it stands."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield node.lineno, alias.name
        elif isinstance(node, ast.ImportFrom) and node.module:
            for alias in node.names:
                yield node.lineno, f"{node.module}.{alias.name}"


def may_touch_hardware(inside):
    return inside.parts[0] in ("board", "net", "rescue.py") or (
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
            if parts[0] != "firmware" or room in ("app", "start") or len(parts) < 2:
                continue
            if room == "rescue" and parts[1] == "system":
                continue
            if parts[1] != room and parts[1] not in SHARED and not (room == "board" and parts[1] == "can"):
                yield f"{where}: room {room} must not know firmware.{parts[1]}"


def main():
    found = list(breaches(ROOT / "firmware"))
    for line in found:
        print(line)
    sys.exit(1 if found else 0)


if __name__ == "__main__":
    main()
