"""Put all modules of firmware/ into one directory, before they are compiled for a board: a directory takes two blocks of the
flash in each slot, and a package heap for its object and its names.

`firmware.can.twai` becomes `firmware.can_twai`, a package the module of its `__init__`. Imports are led there, and the names
that firmware/lazy.py is given: texts inside the calls of load, drop and once (`"http." + name` too), or in the tuple of a `for`
around them.
"""

import ast

from tools.by_name import is_by_name
from tools.syntax import walk


class Refused(ValueError):
    """The sources cannot be flattened."""


def flat(name):
    """firmware.can.twai -> firmware.can_twai; `firmware`, `firmware.app` and `firmware.can` stay."""
    top, _, rest = name.partition(".")
    return f"{top}.{rest.replace('.', '_')}" if rest else name


class _Flatten(ast.NodeTransformer):
    """Rewrites one module. `names`: all modules; `rooms`: the packages below the top."""

    def __init__(self, names, rooms):
        self.names, self.rooms, self.changed = names, rooms, False

    def visit_Import(self, node):
        for alias in node.names:
            if alias.name in self.names and flat(alias.name) != alias.name:
                raise Refused(f"import {alias.name}: needs `from ... import`")
        return node

    def visit_ImportFrom(self, node):
        if node.module not in self.names:
            return node
        left, found = [], []
        for alias in node.names:
            inner = f"{node.module}.{alias.name}"
            if inner in self.names and flat(inner) != inner:
                top, _, leaf = flat(inner).partition(".")
                new = ast.alias(leaf, alias.asname or alias.name)
                found.append(ast.copy_location(ast.ImportFrom(top, [new], 0), node))
            else:
                left.append(alias)
        if not found and flat(node.module) == node.module:
            return node
        self.changed = True
        node.names, node.module = left, flat(node.module)
        return [node, *found] if left else found

    def visit_Call(self, node):
        self.generic_visit(node)
        if is_by_name(node):
            self._strings(node.args)
        return node

    def visit_For(self, node):
        self.generic_visit(node)
        for part in walk(node):
            if is_by_name(part) and any(
                getattr(one, "id", "") == getattr(node.target, "id", None) for one in part.args
            ):
                self._strings([node.iter])
        return node

    def _strings(self, nodes):
        for part in (part for node in nodes for part in walk(node)):
            if isinstance(part, ast.Constant) and isinstance(part.value, str):
                room, dot, leaf = part.value.partition(".")
                if dot and room in self.rooms:
                    part.value, self.changed = f"{room}_{leaf}", True


def _check(trees):
    """Refuse when two modules would be one, or a text still names a module or begins such a name."""
    short = [flat(name) for name in trees]
    twice = {name for name in short if short.count(name) > 1}
    if twice:
        raise Refused(f"two modules would be {', '.join(sorted(twice))}")
    tails = [name.partition(".")[2] for name in trees if flat(name) != name]
    for name, tree in trees.items():
        for part in walk(tree):
            text = getattr(part, "value", None) if isinstance(part, ast.Constant) else None
            if isinstance(text, str) and "." in text[:-1] and any(tail.startswith(text) for tail in tails):
                raise Refused(f"{name}: what is the text {text!r}? A module is called so")


def flatten(sources, names):
    """({path: source}, {path: dotted flat name}) of `sources` {path: source} and `names` {path: dotted name}."""
    known = set(names.values())
    rooms = {name.split(".")[1] for name in known if name.count(".") > 1}
    trees, results = {}, {}
    for path, text in sources.items():
        rewriter = _Flatten(known, rooms)
        trees[names[path]] = tree = rewriter.visit(ast.parse(text))
        results[path] = ast.unparse(tree) + "\n" if rewriter.changed else text
    _check(trees)
    return results, {path: flat(name) for path, name in names.items()}
