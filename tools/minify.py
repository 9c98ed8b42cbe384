"""Give the private names of firmware/ short ones, before it is compiled for a board: each name costs its text and a place in the
table of names there, and modules that share short names share both.

Only names that begin with one underscore, are defined in one module and are mentioned in no other are touched. Modules whose
classes inherit from one another count as one, so that two attributes of an object never get the same short name.

Parameters that no call gives by name are shortened too, with the same few names in every function.
"""

import ast
import re
from collections import defaultdict

from tools.syntax import walk

_WORD = re.compile(r"[A-Za-z_][A-Za-z_0-9]*")
_LETTERS = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"


def _is_private(name):
    return name.startswith("_") and not name.startswith("__") and len(name) > 2


def _mentions(tree):
    """Every identifier of a file that is code, and every word in its strings (docstrings left out)."""
    names, words = set(), set()
    docs = {
        id(node.body[0].value)
        for node in walk(tree)
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef)
        and node.body
        and isinstance(node.body[0], ast.Expr)
    }
    for node in walk(tree):
        for field in ("id", "attr", "arg", "name", "asname", "module"):
            value = getattr(node, field, None)
            if isinstance(value, str):
                names.add(value)
        if isinstance(node, ast.Global | ast.Nonlocal):
            words.update(node.names)
        if isinstance(node, ast.keyword) and node.arg:
            words.add(node.arg)
        if isinstance(node, ast.Constant) and isinstance(node.value, str | bytes) and id(node) not in docs:
            text = node.value if isinstance(node.value, str) else node.value.decode("latin-1")
            words.update(_WORD.findall(text))
    return names, words


def _defined(tree):
    """The names that this file assigns, defines or takes as a parameter."""
    found = set()
    for node in walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            found.add(node.name)
        elif isinstance(node, ast.arg):
            found.add(node.arg)
        elif isinstance(node, ast.Attribute | ast.Name) and isinstance(node.ctx, ast.Store):
            found.add(node.attr if isinstance(node, ast.Attribute) else node.id)
    return found


def _families(trees, names):
    """{path: family}: modules are in one family when a class of one has a base from the other."""
    by_name = {name: path for path, name in names.items()}
    family = {path: path for path in trees}

    def root(path):
        while family[path] != path:
            path = family[path]
        return path

    for path, tree in trees.items():
        bases = {
            part.id for node in walk(tree) if isinstance(node, ast.ClassDef) for base in node.bases
            for part in walk(base) if isinstance(part, ast.Name)
        }  # fmt: skip
        for node in walk(tree):
            if isinstance(node, ast.ImportFrom) and node.module:
                for alias in node.names:
                    origin = by_name.get(node.module) or by_name.get(f"{node.module}.{alias.name}")
                    if origin and (alias.asname or alias.name) in bases:
                        family[root(path)] = root(origin)
    return {path: root(path) for path in trees}


def _shorts(taken):
    """_a, _b ... without those in `taken`."""
    for first in ("", *_LETTERS):
        for letter in _LETTERS:
            name = "_" + first + letter
            if name not in taken:
                yield name


def _edits(tree, source, names):
    lines = source.split("\n")
    for node in walk(tree):
        if isinstance(node, ast.Name) and node.id in names:
            yield node.lineno, node.col_offset, node.end_col_offset, names[node.id]
        elif isinstance(node, ast.arg) and node.arg in names:
            yield node.lineno, node.col_offset, node.col_offset + len(node.arg), names[node.arg]
        elif isinstance(node, ast.Attribute) and node.attr in names:
            yield node.end_lineno, node.end_col_offset - len(node.attr), node.end_col_offset, names[node.attr]
        elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef) and node.name in names:
            raw = lines[node.lineno - 1].encode()
            at = raw.index(b" " + node.name.encode(), node.col_offset) + 1
            yield node.lineno, at, at + len(node.name), names[node.name]


def minify(sources, names, apply):
    """{path: source} with short private names. `names`: {path: dotted module name}; `apply(source, edits)` as in inline.py."""
    trees = {path: ast.parse(source) for path, source in sources.items()}
    family = _families(trees, names)
    mentioned, words = {}, {}
    for path, tree in trees.items():
        mentioned[path], words[path] = _mentions(tree)
    all_words = set().union(*words.values())
    where = defaultdict(set)
    for path, found in mentioned.items():
        for name in found:
            where[name].add(path)
    taken = {name for name in where if name.startswith("_") and len(name) <= 3}
    short = defaultdict(dict)  # family: {name: short}
    pools = defaultdict(lambda: _shorts(taken))
    for path in sorted(trees):
        for name in sorted(_defined(trees[path])):
            if _is_private(name) and where[name] == {path} and name not in all_words:
                mine = short[family[path]]
                if name not in mine:
                    mine[name] = next(pools[family[path]])
    shortened = {
        path: apply(source, list(_edits(trees[path], source, {
            name: new for name, new in short[family[path]].items() if where[name] == {path}
        })))
        for path, source in sources.items()
    }  # fmt: skip
    return {path: apply(source, edits) for path, (source, edits) in _parameters(shortened).items()}


# -- parameters --------------------------------------------------------------------------------------------------------

_FUNCTIONS = ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda
_SCOPES = _FUNCTIONS | ast.ClassDef | ast.GeneratorExp | ast.ListComp | ast.SetComp | ast.DictComp


def _parameters(sources):
    """{path: (source, edits)}: parameters that nobody gives by name, shortened."""
    trees = {path: ast.parse(source) for path, source in sources.items()}
    by_name = set()
    for tree in trees.values():
        for node in walk(tree):
            if isinstance(node, ast.keyword):
                if node.arg is None:
                    raise ValueError("a call with ** hides which parameters are given by name")
                by_name.add(node.arg)
    results = {}
    for path, tree in trees.items():
        outer = defaultdict(set)  # function: short names of the functions around it
        edits = [
            edit for node in walk(tree) if isinstance(node, _FUNCTIONS) for edit in _shorter(node, by_name, outer)
        ]  # the outer before the inner
        results[path] = sources[path], edits
    return results


def _shorter(function, by_name, outer):
    """Edits that give the parameters of one function short names that nothing in it uses.

    They have no underscore: mpy-cross puts a module's `_x = const(...)` in place of every `_x`, parameters too.
    """
    body = function.body if isinstance(function.body, list) else [function.body]
    inside = [node for statement in body for node in walk(statement)]
    used = {node.id for node in inside if isinstance(node, ast.Name)}
    left = set()  # bound or declared anew further inside, or of an f-string, whose columns Python 3.10 tells wrong
    for node in inside:
        if isinstance(node, _SCOPES):
            own = list(walk(node))
            left |= {part.arg for part in own if isinstance(part, ast.arg)}
            left |= {part.id for part in own if isinstance(part, ast.Name) and isinstance(part.ctx, ast.Store)}
            left.add(getattr(node, "name", ""))
        elif isinstance(node, ast.Global | ast.Nonlocal):
            left.update(node.names)
        elif isinstance(node, ast.JoinedStr):
            left |= {part.id for part in walk(node) if isinstance(part, ast.Name)}
        elif isinstance(node, ast.ExceptHandler | ast.alias):
            left |= {(node.name or "").split(".")[0], getattr(node, "asname", None)}
    arguments = function.args.posonlyargs + function.args.args
    taken = used | left | outer[function] | {argument.arg for argument in arguments}
    new_names = (letter for letter in _LETTERS if letter not in taken)
    names = {}
    for argument in arguments:
        name = argument.arg
        if name != "self" and name not in by_name | left and len(name) > 2:
            names[name] = next(new_names)
            yield argument.lineno, argument.col_offset, argument.col_offset + len(name), names[name]
    for node in inside:
        if isinstance(node, _FUNCTIONS):
            outer[node] |= {*names.values(), *outer[function]}
        if isinstance(node, ast.Name) and node.id in names:
            yield node.lineno, node.col_offset, node.end_col_offset, names[node.id]
