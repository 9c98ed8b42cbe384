"""tools/seldom.py and tools/tables.py: methods that lie in memory for the call only, and tables as bytes, compiled and run."""

import ast
import subprocess
from pathlib import Path

import pytest
from tools.build import ROOT, find_mpy_cross
from tools.by_name import Refused
from tools.processes import micropython
from tools.seldom import apart
from tools.tables import pack

LAZY = (ROOT / "firmware" / "lazy.py").read_text()
CLASS = """
from array import array
from micropython import const
from firmware.app import seldom
_SIZE = const(2)
_TWICE = const(2 * _SIZE)
TABLE = array("H", (1, 0x1234))
class Other:
    @seldom
    def __init__(self):
        self.of = None
class Part:
    @seldom
    def __init__(self, size, other=None):
        self.values = array("H", TABLE)
        self.size = size + _TWICE
        self.other = other or Other()
        self.other.of = self._told("made")
    @seldom
    def _told(self, text):
        return text + " of %d" % self.size
    @seldom
    async def late(self, text):
        return self._told(text)
    def value(self):
        return self.values[1]
"""
PROGRAM = """
import asyncio, gc, sys
sys.path.insert(0, ".")
from firmware import app, room
loaded = lambda: sorted(name for name in sys.modules if name.endswith("_seldom"))
assert not loaded()
part = room.Part(1)
assert loaded() == ["firmware.room_seldom"], loaded()
app.forget()
assert not loaded() and not hasattr(sys.modules["firmware"], "room_seldom")
assert part.value() == 0x1234 and part.other.of == "made of 5"
assert not loaded(), "what stays needs nothing"
assert asyncio.run(part.late("late")) == "late of 5" and loaded()
try:
    part.never_heard_of
    print("no error")
except AttributeError:
    print("done")
"""


def run(folder, sources, program):
    """Run `program` under MicroPython beside the compiled `sources` {dotted name: text}."""
    for name, text in {"firmware.__init__": "", **sources}.items():
        out = folder / (name.replace(".", "/") + ".mpy")
        out.parent.mkdir(exist_ok=True)
        source = out.with_suffix(".py.txt")
        source.write_text(text)
        subprocess.run([find_mpy_cross(), "-O3", "-s", name, "-o", out, source], check=True)
    return subprocess.run([micropython(), "-c", program], cwd=folder, capture_output=True, text=True)


def moved(text):
    sources = {Path("firmware/app.py"): LAZY, Path("firmware/room.py"): text}
    result, names = apart(sources, {path: str(path).replace("/", ".")[:-3] for path in sources})
    return {names[path]: source for path, source in result.items()}


def test_a_marked_method_is_there_for_the_call(tmp_path):
    sources = {name: pack(text) for name, text in moved(CLASS).items()}
    assert "def value" in sources["firmware.room"] and "_told" not in sources["firmware.room"]
    assert "seldom(" not in sources["firmware.app"].replace("_seldom_of(", ""), "the mark itself is gone"
    done = run(tmp_path, sources, PROGRAM)
    assert done.stdout.split() == ["done"], done.stderr + done.stdout


@pytest.mark.parametrize(
    ("before", "after", "why"),
    (
        ("return text", "return lambda: text", "would keep its module"),
        ("return text", "return [x for x in text]", "would keep its module"),
        ("class Part:", "class Part(Other):", "with a base"),
        ("def value(self):", "def __getattr__(self, name):", "beside a __getattr__"),
        ('self._told("made")', "self._told", "may only be called"),
        ("other or Other()", "Part(size=3)", "no arguments by name"),
        ("    @seldom\n    def __init__(self, size", "    def begin(self, size", "without __init__"),
        ("    @seldom\n    async", "    @property\n    @seldom\n    async", "another decorator"),
    ),
)
def test_what_cannot_be_moved_is_refused(before, after, why):
    assert before in CLASS
    with pytest.raises(Refused, match=why):
        moved(CLASS.replace(before, after))


def test_tables_are_bytes():
    text = pack(
        'from array import array\nA = array("H", (1, 0x1234, -1 & 0xFFFF))\nB = array("i", (1, 2))\nC = array("h", (X, 2))\n'
    )
    assert "b'\\x01\\x004\\x12\\xff\\xff'" in text and "(1, 2)" in text and "(X, 2)" in text
    ast.parse(text)
    assert pack("x = 1  # as it was\n") == "x = 1  # as it was\n"
