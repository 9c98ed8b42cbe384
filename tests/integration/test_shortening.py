"""What tools/minify.py and tools/trim.py do to sources before they are compiled: other names, the same meaning."""

import symtable

import pytest
from tools import minify
from tools.build import ROOT
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
