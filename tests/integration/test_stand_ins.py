"""The stand-ins of the ESP32 modules take what the published type stubs say, and nothing else."""

import ast
import sysconfig
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
STUBS = Path(sysconfig.get_paths()["purelib"])
MODULES = ("machine", "network", "esp32", "bluetooth")

# (what, why): where the stubs of 1.29 are not what the documentation and the sources of the port say
EXCEPTIONS = {
    "machine.UART.ioctl": "the stream protocol of MicroPython, which no stub shows",
    "bluetooth.BLE.gatts_notify": "the stub lost the connection handle: docs/library/bluetooth.rst has (conn, value, data=None)",
}


def is_fake(name):
    return name.lower().startswith("fake") or (name.startswith("_") and name not in ("__init__", "__call__"))


def members(body):
    """{name: [node...]} of functions (with their overloads), classes and constants."""
    found = {}
    for node in body:
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
            found.setdefault(node.name, []).append(node)
        elif isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
            found.setdefault(node.target.id, []).append(node)
        elif isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name):
            found.setdefault(node.targets[0].id, []).append(node)
    return found


def parse(path):
    return members(ast.parse(path.read_text()).body)


class Signature:
    """`positional`: names in order, "" where only the position counts; `required` of them; `keywords` by name."""

    def __init__(self, node, method):
        arguments = node.args
        static = any(isinstance(item, ast.Name) and item.id == "staticmethod" for item in node.decorator_list)
        before = [argument.arg for argument in arguments.posonlyargs]
        names = [argument.arg for argument in arguments.args]
        positional = ["" for _ in before] + ["" if name.startswith("_") else name for name in names]
        if method and not static:
            positional = positional[1:]
        self.positional = positional
        self.required = len(positional) - len(arguments.defaults)
        self.keywords = {name for name in positional if name} | {item.arg for item in arguments.kwonlyargs}
        self.open = bool(arguments.vararg), bool(arguments.kwarg)


def differences(what, ours, theirs, method):
    """Why the stand-in's function (one node) would take what none of the stub's overloads takes."""
    mine = Signature(ours, method)
    stubs = [Signature(node, method) for node in theirs]
    if any(stub.open == (True, True) for stub in stubs) and len(stubs) == 1:
        return  # (*args, **kwargs): the stub does not know
    if mine.open[1] and not any(stub.open[1] for stub in stubs):
        yield f"{what}: takes any keyword, the stub does not"
    most = max(len(stub.positional) for stub in stubs)
    if not mine.open[0] and len(mine.positional) > most:
        yield f"{what}: {len(mine.positional)} positional arguments, the stub has {most}"
    if mine.required < min(stub.required for stub in stubs):
        yield f"{what}: needs fewer arguments than the stub"
    known = set().union(*(stub.keywords for stub in stubs))
    if unknown := mine.keywords - known:
        yield f"{what}: {sorted(unknown)} are no keywords of the stub"
    for at, name in enumerate(mine.positional):
        if name and not any(stub.positional[at : at + 1] == [name] for stub in stubs):
            yield f"{what}: {name} is in another place in the stub"


def compare(where, ours, theirs, method=False):
    for name, nodes in ours.items():
        what = where + "." + name
        if is_fake(name) or what in EXCEPTIONS or isinstance(nodes[-1], ast.Import):
            continue
        if name not in theirs:
            if not (name in ("__init__", "__call__") or isinstance(nodes[0], ast.Assign) and _is_alias(nodes[0])):
                yield f"{what} is not in the stub"
            continue
        node, stub = nodes[-1], theirs[name]
        if isinstance(node, ast.ClassDef):
            yield from compare(what, members(node.body), members(stub[0].body), True)
        elif isinstance(node, ast.FunctionDef):
            yield from differences(what, node, [item for item in stub if isinstance(item, ast.FunctionDef)], method)
        elif _value(node) is not None and _value(stub[0]) not in (None, _value(node)):
            yield f"{what} is {_value(node)}, the stub says {_value(stub[0])}"


def _value(node):
    value = getattr(node, "value", None)
    return value.value if isinstance(value, ast.Constant) and isinstance(value.value, int) else None


def _is_alias(node):
    return isinstance(node.value, ast.Name)


@pytest.mark.parametrize("name", MODULES)
def test_stand_in_has_the_signatures_of_the_stub(name):
    ours = parse(ROOT / "tests" / "stand_ins" / f"{name}.py")
    assert list(compare(name, ours, parse(STUBS / f"{name}.pyi"))) == []


def test_the_comparison_sees_a_wrong_signature():
    stub = members(ast.parse("class A:\n  def f(self, a, /, *, b=1): ...\n  def g(self, c): ...\nX = 3").body)
    good = members(ast.parse("class A:\n  def f(self, _a, *, b=1): ...\n  def g(self, c): ...\nX = 3").body)
    assert list(compare("m", good, stub)) == []
    for bad in (
        "class A:\n  def f(self, a): ...",
        "class A:\n  def f(self, _a, _b): ...",
        "class A:\n  def f(self, _a, *, c=1): ...",
        "class A:\n  def f(self, _a, **kw): ...",
        "class A:\n  def f(self): ...",
        "class A:\n  def g(self, d): ...",
        "class A:\n  def h(self): ...",
        "X = 4",
    ):
        assert list(compare("m", members(ast.parse(bad).body), stub)), bad


# -- what the firmware calls ---------------------------------------------------------------------------------------------


def dotted(node):
    """["machine", "Pin", "OUT"] of machine.Pin.OUT, None of what does not begin with a name."""
    names = []
    while isinstance(node, ast.Attribute):
        names.insert(0, node.attr)
        node = node.value
    return [node.id, *names] if isinstance(node, ast.Name) and names else None


def lookup(stubs, names):
    """The nodes of ["machine", "Pin"] in the stubs; [] when there is no such thing."""
    nodes, scope = [], stubs[names[0]]
    for name in names[1:]:
        nodes = scope.get(name, [])
        scope = members(nodes[0].body) if nodes and isinstance(nodes[0], ast.ClassDef) else {}
    return nodes


def misfit(call, nodes, method):
    """Why no overload takes this call, or None. `method`: of a class, called on it."""
    if isinstance(nodes[0], ast.ClassDef):
        method = True
        nodes = members(nodes[0].body).get("__init__", [])
    wanted = {keyword.arg for keyword in call.keywords}
    for node in nodes:
        stub = Signature(node, method)
        keywords_fit = stub.open[1] or wanted <= stub.keywords
        if keywords_fit and (stub.open[0] or stub.required <= len(call.args) <= len(stub.positional)):
            return None
    return f"line {call.lineno}: {ast.unparse(call)}"


def misuses(source, stubs):
    """Attributes that the stubs do not have, and calls with arguments that they do not take."""
    tree = ast.parse(source)
    imported = {
        alias.name
        for node in ast.walk(tree)
        if isinstance(node, ast.Import)
        for alias in node.names
        if alias.name in MODULES
    }
    for node in ast.walk(tree):
        names = dotted(node.func if isinstance(node, ast.Call) else node)
        if not names or names[0] not in imported:
            continue
        nodes = lookup(stubs, names)
        if not nodes:
            yield f"line {node.lineno}: there is no {'.'.join(names)}"
        elif isinstance(node, ast.Call) and not isinstance(nodes[0], ast.AnnAssign):
            why = misfit(node, nodes, len(names) > 2)
            if why:
                yield why


def test_the_firmware_calls_what_the_stubs_have():
    stubs = {name: parse(STUBS / f"{name}.pyi") for name in MODULES}
    paths = [ROOT / "boot.py", ROOT / "main.py", *sorted((ROOT / "firmware").rglob("*.py"))]
    found = {str(path.relative_to(ROOT)): list(misuses(path.read_text(), stubs)) for path in paths}
    assert {path: texts for path, texts in found.items() if texts} == {}
    bad = "import machine, network\n%s"
    for line in (
        "machine.WDT(8000, 1)",
        "machine.Pin(1, machine.Pin.INPUT)",
        "machine.UART(1, 9600, tx_pin=3)",
        "network.WLAN(mode=1)",
        "network.wlan()",
        "machine.reset(1)",
    ):
        assert list(misuses(bad % line, stubs)), line
