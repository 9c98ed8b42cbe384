"""Put the constants of firmware/ into the code that uses them, before it is compiled for a board.

mpy-cross folds `const()` only inside one file: a module's public constants cost RAM on the board (a name, a slot in its
globals) and each use from another module two look-ups. Here every use of a module-level `NAME = const(<integer>)` of another
firmware module becomes the number, and a constant that nobody needs by name any more is made private, so that it costs nothing.
Sources stay as they are; the unit tests run them, the integration tests run what this makes.
"""

import ast
import re
from pathlib import Path

from tools.syntax import walk


def module_name(path, root):
    """firmware/can/can.py -> "firmware.can.can"; a package by its name."""
    parts = list(path.relative_to(root).with_suffix("").parts)
    if parts[-1] == "__init__":
        parts.pop()
    return ".".join(parts)


def fold(node, known):
    """The integer of an expression over literals and known constants; None when it is none."""
    try:
        code = compile(ast.Expression(node), "const", "eval")
        value = eval(code, {"__builtins__": {}}, dict(known))
    except Exception:
        return None
    return value if type(value) is int else None


def public_constants(tree):
    """{name: value} of the module-level `NAME = const(...)` without underscore whose value is an integer."""
    known, public = {}, {}
    for node in tree.body:
        if not (isinstance(node, ast.Assign) and len(node.targets) == 1 and isinstance(node.targets[0], ast.Name)):
            continue
        value = node.value
        if isinstance(value, ast.Call) and isinstance(value.func, ast.Name) and value.func.id == "const":
            number = fold(value.args[0], known)
            if number is not None:
                known[node.targets[0].id] = number
                if not node.targets[0].id.startswith("_"):
                    public[node.targets[0].id] = number
    return public


class _Uses(ast.NodeVisitor):
    """Finds the uses of other modules' constants in one file: `edits` [(line, column, end, text)]."""

    def __init__(self, constants):
        self.constants = constants  # {module: {name: value}}
        self.modules = {}  # local name: module
        self.names = {}  # local name: value, from `from module import NAME`
        self.edits = []
        self.kept = set()  # (module, name) that stay needed by name

    def visit_ImportFrom(self, node):
        if not node.module or not node.module.startswith("firmware"):
            return
        for alias in node.names:
            inner = f"{node.module}.{alias.name}"
            if inner in self.constants:
                self.modules[alias.asname or alias.name] = inner
            elif alias.name in self.constants.get(node.module, {}):
                if node.col_offset == 0:
                    self.names[alias.asname or alias.name] = self.constants[node.module][alias.name]
                else:
                    self.kept.add((node.module, alias.name))  # imported inside a function: left alone

    def visit_Attribute(self, node):
        if isinstance(node.value, ast.Name) and node.value.id in self.modules and isinstance(node.ctx, ast.Load):
            value = self.constants[self.modules[node.value.id]].get(node.attr)
            if value is not None:
                self._edit(node, value)
        self.generic_visit(node)

    def visit_Name(self, node):
        if node.id in self.names and isinstance(node.ctx, ast.Load):
            self._edit(node, self.names[node.id])

    def _edit(self, node, value):
        assert node.lineno == node.end_lineno
        text = str(value) if value >= 0 else f"({value})"
        self.edits.append((node.lineno, node.col_offset, node.end_col_offset, text))


def apply(source, edits):
    """`source` with each (line, start, end, text) put in; columns count bytes."""
    lines = source.split("\n")
    for line, start, end, text in sorted(edits, reverse=True):
        raw = lines[line - 1].encode()
        if not raw[start:end].decode().split(".")[-1].isidentifier():  # inside an f-string Python 3.10 tells it wrong
            raise ValueError(f"cannot place a constant in line {line}: {lines[line - 1].strip()}")
        lines[line - 1] = (raw[:start] + text.encode() + raw[end:]).decode()
    return "\n".join(lines)


def _drop_imports(source, tree, gone):
    """Take the names `gone` out of the top-level `from ... import` lines; line numbers stay."""
    lines = source.split("\n")
    for node in tree.body:
        if not isinstance(node, ast.ImportFrom) or not any((node.module, a.name) in gone for a in node.names):
            continue
        left = [
            a.name + (f" as {a.asname}" if a.asname else "") for a in node.names if (node.module, a.name) not in gone
        ]
        text = f"from {node.module} import {', '.join(left)}" if left else "pass"
        lines[node.lineno - 1 : node.end_lineno] = [text] + [""] * (node.end_lineno - node.lineno)
    return "\n".join(lines)


def inline_tree(folder, root):
    """{path: source with constants put in} of every .py below `folder` (packages are named from `root`)."""
    sources = {path: path.read_text() for path in sorted(Path(folder).rglob("*.py"))}
    trees = {path: ast.parse(source) for path, source in sources.items()}
    names = {path: module_name(path, Path(root)) for path in sources}
    constants = {names[path]: public_constants(tree) for path, tree in trees.items()}
    uses = {}
    for path, tree in trees.items():
        uses[path] = found = _Uses(constants)
        found.visit(tree)  # imports stand above their uses
    kept = set().union(*(found.kept for found in uses.values())) if uses else set()
    results = {}
    for path, source in sources.items():
        text = apply(source, uses[path].edits)
        gone = {(module, name) for module, values in constants.items() for name in values}
        text = _drop_imports(text, trees[path], gone - kept)
        for name in constants[names[path]]:
            if (names[path], name) not in kept:
                text = _make_private(text, name)
        results[path] = _drop_unused(text)
    return results


def _all_folded(tree):
    """True when mpy-cross folds every `const(...)` of the file, so that nothing calls it."""
    known, calls = {}, 0
    for node in tree.body:
        if not (isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name)):
            continue
        value = node.value
        if isinstance(value, ast.Call) and isinstance(value.func, ast.Name) and value.func.id == "const":
            number = fold(value.args[0], known)
            if number is None:
                return False
            known[node.targets[0].id] = number
            calls += 1
    return calls == sum(isinstance(node, ast.Name) and node.id == "const" for node in walk(tree))


def _drop_unused(source):
    """Leave out the top-level imports that nothing refers to any more: `const`, and modules that were only asked for numbers."""
    tree = ast.parse(source)
    used = {node.id for node in walk(tree) if isinstance(node, ast.Name)}
    if _all_folded(tree):
        used.discard("const")
    used |= {name for node in walk(tree) if isinstance(node, ast.Global) for name in node.names}
    lines = source.split("\n")
    for node in tree.body:
        if not isinstance(node, ast.ImportFrom) or not (node.module or "").startswith(("firmware", "micropython")):
            continue
        left = [alias for alias in node.names if (alias.asname or alias.name) in used]
        if len(left) == len(node.names):
            continue
        names = ", ".join(alias.name + (f" as {alias.asname}" if alias.asname else "") for alias in left)
        text = f"from {node.module} import {names}" if left else ""
        lines[node.lineno - 1 : node.end_lineno] = [text] + [""] * (node.end_lineno - node.lineno)
    return "\n".join(lines)


def _make_private(source, name):
    """Rename the constant `name` of this module to `_name`: mpy-cross folds it and leaves nothing behind."""
    if re.search(rf"\b_{name}\b", source):
        return source  # that name is taken
    edits = []
    for node in walk(ast.parse(source)):
        if isinstance(node, ast.Name) and node.id == name:
            edits.append((node.lineno, node.col_offset, node.end_col_offset, "_" + name))
        elif isinstance(node, ast.arg) and node.arg == name:
            return source  # shadowed: leave this module as it is
    return apply(source, edits)
