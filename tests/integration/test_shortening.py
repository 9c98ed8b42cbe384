"""What tools/minify.py and tools/trim.py do to sources before they are compiled: other names, the same meaning."""

import ast
import symtable

import pytest
from tools import minify, names, shared_names
from tools.build import ROOT, merged
from tools.scopes import Scopes
from tools.inline import apply, inline_tree, module_name
from tools.trim import trim


def shape(table):
    """The scopes of a module without their names: what is a parameter, local, free or global in each."""
    kinds = sorted(
        (name.is_parameter(), name.is_local(), name.is_free(), name.is_global(), name.is_referenced())
        for name in table.get_symbols()
    )
    return table.get_type(), table.get_name(), kinds, [shape(child) for child in table.get_children()]


def test_short_parameters_leave_every_scope_of_the_firmware_as_it_was(monkeypatch):
    sources = inline_tree(ROOT / "firmware", ROOT)
    names = {path: module_name(path, ROOT) for path in sources}
    after = minify.minify(sources, names, apply)
    monkeypatch.setattr(minify, "_parameters", lambda sources: {path: (text, []) for path, text in sources.items()})
    before = minify.minify(sources, names, apply)
    assert sum(map(len, after.values())) < sum(map(len, before.values())) - 5000
    for path in sources:
        assert shape(symtable.symtable(after[path], "", "exec")) == shape(
            symtable.symtable(before[path], "", "exec")
        ), path


SOURCE = """
from micropython import const
_WIDTH = const(3)
def outer(alpha, beta, gamma, key=1):
    def inner(delta, again=alpha):
        return delta + again + beta + _WIDTH
    def shadow(alpha):
        return alpha
    return inner(beta) + shadow(1) + gamma + key + sum(alpha for alpha in (1, 2))
class Thing:
    def method(self, count, text="é"):
        text = text + "é" * count
        return text, self.count, lambda value: value + count
outer(1, 2, 3, key=4)
"""


def test_nested_functions_keywords_and_constants():
    text = minify.minify({"x": SOURCE}, {"x": "x"}, apply)["x"]
    assert "def outer(alpha, a, b, key=1):" in text  # alpha is bound again inside, key is given by name
    assert "def inner(c, d=alpha):" in text  # not the names of the function around it
    assert "return c + d + a + _a" in text  # _a is a constant: mpy-cross would put 3 for a parameter of that name
    assert 'a, b="é"):' in text and "lambda c: c + a" in text
    one, two = {}, {}
    exec(SOURCE.replace("from micropython import const", "const = int"), one)
    exec(text.replace("from micropython import const", "const = int"), two)
    assert one["outer"](5, 6, 7) == two["outer"](5, 6, 7)


def test_a_call_that_hides_names_is_refused():
    with pytest.raises(ValueError, match=r"\*\*"):
        minify.minify({"x": "def f(one): pass\nf(**{})"}, {"x": "x"}, apply)


def test_trim():
    source = """
import os
try:
    import orjson as json
except ImportError:
    import json
try:
    from inspect import a
    def helper(): pass
except ImportError:
    def helper(): pass
class C:
    size = 3
    def kept(self): pass
    def gone(self): pass
C.default = C()
"""
    text = trim(source, ["os", "orjson", "a", "helper", "C.size", "C.gone"])
    assert text == "import json\n\nclass C:\n\n    def kept(self):\n        pass\nC.default = C()"
    with pytest.raises(ValueError, match="absent"):
        trim(source, ["absent"])


def test_names_that_a_board_has_anyway():
    before, paths = merged()
    after = names.rename(before, paths)
    trees = {path: ast.parse(source) for path, source in before.items()}
    new = names.table(trees, paths, names.others())
    assert len(new) > 400 and len(set(new.values())) < 300, "names that cannot be taken for each other share one"
    everywhere, some = names.rom()
    assert set(new.values()) <= set(everywhere), "a name that a board does not have"
    assert not set(new) & some, "a name of MicroPython's"
    mentioned = {name for tree in trees.values() for name in names._identifiers(tree)}
    assert not set(new.values()) & mentioned, "a name that is in use already"
    for path, tree in trees.items():
        now = ast.parse(after[path])
        for node, other in zip(ast.walk(tree), ast.walk(now), strict=True):  # the same program, name for name
            assert type(node) is type(other)
            if isinstance(node, _OWN_NAMES):
                assert_apart(node, other, new)
    assert {new["steering_age_ms"], new["qualified"]} != {new["qualified"]}, "two attributes of one object"


_OWN_NAMES = ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda


def assert_apart(before, after, new):
    """No two names that are seen in one scope, or asked of one `self`, have become one. `after`: the same node, renamed."""
    became = {}
    for node, other in zip(ast.walk(before), ast.walk(after), strict=True):
        for field in ("id", "arg", "name", "asname"):
            old = getattr(node, field, None)
            if isinstance(old, str) and not isinstance(before, ast.Module):
                assert became.setdefault(getattr(other, field), old) == old, f"{ast.unparse(before)[:80]}: {old}"
    if isinstance(before, ast.Module):
        found = [new.get(name, name) for name in Scopes(before).bound]
        assert len(set(found)) == len(found), "two globals of one module"
    if isinstance(before, ast.ClassDef):
        asked = {
            node.attr
            for node in ast.walk(before)
            if isinstance(node, ast.Attribute) and ast.unparse(node.value) == "self"
        }
        asked |= {node.name for node in before.body if hasattr(node, "name")}
        assert len({new.get(name, name) for name in asked}) == len(asked), f"two attributes of {before.name}"


def shared(source):
    """{old: new} of a program; there is a class for each thing that could be taken for another."""
    return names.table({1: ast.parse(source)}, {1: "firmware.one"}, set())


def test_names_that_can_be_taken_for_each_other_stay_apart():
    new = shared("""
class Base:
    def base_one(self): self.base_two = 1
class Derived(Base):
    def derived_one(self): self.derived_two = 2
class Far:
    def far_one(self):
        local_of_far = self.far_two = 3
class Asks:
    def __getattr__(self, name): return __import__(name)
    def asks_one(self): self.asks_two = far_function
def far_function(far_variable):
    far_variable.from_outside = far_variable.base_two
    far_variable.local_of_far = 1
x = Asks().far_function
""")
    assert len({new[name] for name in ("base_one", "base_two", "derived_one", "derived_two")}) == 4, (
        "one object has all"
    )
    assert {new["far_one"], new["far_two"]} < {new[name] for name in new if not name.startswith("far")}, (
        "nothing is shared"
    )
    assert len({new[name] for name in ("asks_one", "asks_two", "far_function")}) == 3, "__getattr__ could find either"
    for name in ("from_outside", "local_of_far"):
        assert [new[name]] == [text for text in new.values() if text == new[name]], "whose is it?"


def test_names_that_others_know_stay():
    source = """
from time import sleep_ms
from firmware.other import helper_of_ours
class Shown(Exception):
    pass
class Plain:
    def method_of_ours(self, argument_of_ours, by_name=0):
        self.append = self.field_of_api = self.attribute_of_ours = helper_of_ours
        return {"field_of_api": 1}, "an attribute_of_ours in a %s"
Plain().method_of_ours(1, by_name=2)
"""
    other = "def helper_of_ours(): pass"
    after = names.rename({1: source, 2: other}, {1: "firmware.one", 2: "firmware.other"})
    for kept in ("sleep_ms", "Shown", "append", "field_of_api", "by_name", "firmware.other"):
        assert kept in after[1]
    assert "method_of_ours" not in after[1] and "self.attribute_of_ours" not in after[1]
    assert after[2].split()[1][:-3] in after[1] and "helper_of_ours" not in after[1] + after[2]


def test_what_is_asked_of_one_variable_stays_apart():
    source = "def fill(targets, other): targets.hot = targets.cold = other.far"
    apart, _ = shared_names.groups([ast.parse(source)])
    assert any({"hot", "cold"} <= set(group) for group in apart)
    assert not any({"hot", "far"} <= set(group) for group in apart)
