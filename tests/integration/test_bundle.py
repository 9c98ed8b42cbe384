"""What tools/bundle.py makes of sources before they are compiled: fewer modules, the same meaning."""

import ast
import builtins
import sys
import types

import pytest
from tools.build import ROOT
from tools.bundle import BUNDLES, Bundler, Refused, bundle
from tools.flat import flat, flatten
from tools.inline import apply, inline_tree, module_name
from tools.minify import minify
from tools.scopes import Scopes

# what MicroPython and its viper code know beside Python's builtins
KNOWN = {"const", "micropython", "ptr8", "ptr16", "ptr32", "uint", "__name__", "__file__", *dir(builtins)}

SOURCES = {
    "room": "",
    "room.low": """
import os
from array import array
from micropython import const
_SIZE = const(3)
core = "low core"
def text(value, size=_SIZE):
    return "low %s %s" % (value, size)
def later(status): return [status for status in (status, core)]
class Low:
    text = 5
    def both(self): return self.text, text(1)
def count():
    global _count
    _count += 1
    return _count
_count = 0
""",
    "room.high": """
import os as system
from other import core
from micropython import const
from room import low as _low
from room.low import Low as Base, text as shown
_SIZE = const(7)
def text(low): return shown(low, size=_SIZE), _low.later(low), core.VALUE, system.sep
def leaf(): return "high leaf"
class High(Base):
    def get(self, shown): return shown, _low.core, text(0), [leaf() for text in (1,)]
def load():
    from room import leaf
    return leaf.inside()
def counted(): return _low.count(), _low.count()
""",
    "room.leaf": """
from room.low import text, Low
def inside(): return text("leaf"), Low().both()
""",
    "other": "VALUE = 9\nclass core:\n    VALUE = 9\n",
    "outer": """
from room import high as upper
from room.low import text as t, count
def f():
    from room.high import text, leaf
    return text(2), leaf(), t(3), upper.High().get(4), upper.load(), leaf(), upper.counted(), count()
""",
}


def run(sources):
    """The value of outer.f() in modules of these sources."""
    made = {name: types.ModuleType(name) for name in [*sources, "micropython"]}
    made["micropython"].const = lambda value: value
    made["room"].__path__ = []
    old = {name: sys.modules.get(name) for name in made}
    sys.modules.update(made)
    try:
        for name in ("other", "room", "room.low", "room.high", "room.leaf", "outer"):
            if name in sources:
                exec(sources[name], made[name].__dict__)
                package, _, leaf = name.rpartition(".")
                if package:
                    setattr(made[package], leaf, made[name])
        return made["outer"].f()
    finally:
        for name, module in old.items():
            sys.modules.pop(name)
            if module:
                sys.modules[name] = module


@pytest.mark.parametrize("home", ["room", "room.high"])
def test_a_bundle_means_what_its_members_meant(home):
    result = Bundler(SOURCES, {home: ["room.low", "room.high"]}).result()
    assert set(result) == set(SOURCES) - {"room.low", "room.high"} | {home}
    assert run(result) == run(SOURCES)
    assert "later" not in result[home] and "counted" in result[home]  # only what others ask for keeps its name


@pytest.mark.parametrize(
    "member, text, why",
    [
        ("room.leaf", "import room.low", "needs"),
        ("room.leaf", "from room.low import missing", "has no missing"),
        ("room.leaf", "from room.high import core", "has no core"),  # only passed on
        ("room.leaf", "from room.low import _SIZE", "has no _SIZE"),
        ("room.leaf", "from room import low\nkept = [low]", "more than the module"),
        ("room.leaf", "_NAMES = ('low', 'leaf')", "by name"),
        ("room.leaf", "_TABLE = ' way=leaf path=low '", "by name"),
        ("room.high", "from room import low\nx = low", "more than the module"),
        ("room.high", "from room.low import nothing", "has no nothing"),
        ("room.high", "from room import leaf", "before it is there"),
        ("room.high", "def f():\n    from room.low import text", "inside a function"),
        ("room.high", "from room import low\nx = low.os", "of its own"),
        ("room.high", "import os.path", "cannot follow"),
        ("room", "x = 1", "code of its own"),
    ],
)
def test_what_cannot_be_followed_is_refused(member, text, why):
    sources = SOURCES | {"outer": "", member: text}
    with pytest.raises(Refused, match=why):
        Bundler(sources, {"room": ["room.low", "room.high"]}).result()


def test_a_module_that_is_loaded_by_name_is_no_member():
    sources = {"firmware": "", "firmware.a": "x = 1", "firmware.b": "from firmware import lazy\nlazy.once('a')"}
    with pytest.raises(Refused, match="by name"):
        Bundler(sources, {"firmware": ["firmware.a"]}).result()


def test_every_name_of_the_bundles_is_defined():
    sources = inline_tree(ROOT / "firmware", ROOT)
    sources, names = flatten(sources, {path: module_name(path, ROOT) for path in sources})
    result = bundle(minify(sources, names, apply), names)
    texts = {names[path]: text for path, text in result.items()}
    homes = {flat(f"firmware.{name}".rstrip(".")) for name in BUNDLES}
    found = {home: Scopes(ast.parse(texts[home])) for home in homes}
    for home, scopes in found.items():
        assert not scopes.uses.keys() - scopes.bound - KNOWN, home
    for name, text in texts.items():  # what they ask of a bundle is there
        for node in ast.walk(ast.parse(text)):
            if isinstance(node, ast.ImportFrom) and node.module in homes:
                for alias in node.names:
                    there = found[node.module].bound
                    assert alias.name in there or f"{node.module}.{alias.name}" in texts, (name, alias.name)
                    assert not (alias.name in there and f"{node.module}.{alias.name}" in texts), (name, alias.name)
