"""Which names of firmware/ may become one, so that a .mpy holds fewer of them: each takes its text and two bytes of a table
there, and from the 128th on a third byte at each use.

Two names may, when nobody could take one for the other:

- attributes that no object has both of: what a class and those that it inherits from give to `self` or ask of it stays apart,
  and what a function asks of one variable;
- names of modules, functions and their variables that are not seen at one place.

A `__getattr__` may look into any module that is loaded by its name: the classes that have one stay apart from one another and
from each global that is asked for as an attribute. (That of tools/seldom.py looks into a class of the same name.) An attribute
that no class gives to `self` shares its name with no other.
"""

import ast
from collections import defaultdict

from tools.scopes import Scopes
from tools.seldom import BASE
from tools.syntax import walk

_FUNCTIONS = ast.FunctionDef | ast.AsyncFunctionDef


def _mentioned(node, fields):
    found = set()
    for part in walk(node):
        found.update(text for field in fields if isinstance(text := getattr(part, field, None), str))
        if isinstance(part, ast.Global | ast.Nonlocal):
            found.update(part.names)
    return found


def _variables(node):
    """Names that the scopes of a function or statement bind or use: no attributes."""
    return _mentioned(node, ("id", "arg", "name", "asname"))


def _given(node):
    """The attributes that a class has from its body, or its methods give to `self`. Variables of its methods are none."""
    for statement in node.body:
        if isinstance(statement, _FUNCTIONS | ast.ClassDef):
            yield statement.name
        elif isinstance(statement, ast.Assign | ast.AnnAssign):
            yield from (
                part.id for part in walk(statement) if isinstance(part, ast.Name) and isinstance(part.ctx, ast.Store)
            )
    for part in walk(node):
        if (
            isinstance(part, ast.Attribute)
            and isinstance(part.ctx, ast.Store)
            and getattr(part.value, "id", 0) == "self"
        ):
            yield part.attr


def _of_self(node):
    """What a class may have: `_given`, what it asks of `self`, and the variables of its methods."""
    found = _variables(node).union(_given(node))
    for part in walk(node):
        if isinstance(part, ast.Attribute) and getattr(part.value, "id", "") == "self":
            found.add(part.attr)
    return found


def _of_one(node):
    """Sets of the attributes that a function or class asks of one expression: of one object, as a rule."""
    found = defaultdict(set)
    for part in walk(node):
        if isinstance(part, ast.Attribute):
            found[ast.unparse(part.value)].add(part.attr)
    return found.values()


def groups(trees):
    """(sets of names that stay apart, names that share with none) of the modules `trees`, a list of ast.Module."""
    apart, classes, bases, aliases = [], defaultdict(set), defaultdict(set), defaultdict(set)
    bound, attributes, stored, given = set(), set(), set(), set()
    for tree in trees:
        scopes = Scopes(tree)
        here = scopes.bound | set(scopes.uses)
        bound |= scopes.bound
        for node in tree.body:
            apart += _of_one(node)
            if isinstance(node, _FUNCTIONS):
                apart.append(_variables(node))
            elif not isinstance(node, ast.ClassDef):
                here |= _variables(node)
        apart.append(here)
        for node in walk(tree):
            if isinstance(node, ast.ClassDef):
                classes[node.name] |= _of_self(node)
                bases[node.name] |= {getattr(base, "attr", getattr(base, "id", "")) for base in node.bases} - {BASE}
                given.update(_given(node))
            elif isinstance(node, ast.Attribute):
                attributes.add(node.attr)
                if isinstance(node.ctx, ast.Store):
                    stored.add(node.attr)
            elif isinstance(node, ast.ImportFrom):
                for alias in node.names:
                    aliases[alias.asname or alias.name].add(
                        alias.name
                    )  # of whichever module: rather too much than too little
    reached = bound & attributes
    for name, found in classes.items():
        whole, queue, seen = set(found), list(bases[name]), set()
        while queue:  # the classes it inherits from, and theirs
            base = queue.pop()
            if base not in seen:
                seen.add(base)
                whole |= classes.get(base, set())
                queue += bases.get(base, set()) | aliases.get(base, set())
        apart.append(whole)
        if "__getattr__" in whole:
            reached |= whole
    return [*apart, reached], stored - given


class Choice:
    """Gives each name a new one out of `free` [name]; `price(name)` is what a name costs a module that has it."""

    def __init__(self, trees, free, price):
        apart, self.alone = groups(trees)
        self._free, self._price = free, price
        self._groups = defaultdict(list)  # name: the new names that it must not get, as sets that grow
        for group in apart:
            used = set()
            for name in group:
                self._groups[name].append(used)
        self._modules = defaultdict(set)  # module: new names in it
        self._used, self._taken = set(), set()  # by any name; by one that shares with none

    def take(self, name, modules):
        """The new name of `name`, which `modules` {module: weight} hold; None when none is left."""
        barred = self._taken.union(*self._groups[name], self._used if name in self.alone else ())
        best = None
        for new in self._free:
            if new not in barred:
                price = sum(weight for module, weight in modules.items() if new not in self._modules[module])
                price *= self._price(new)
                if best is None or price < best[0]:
                    best = price, new
        if best is None:
            return None
        new = best[1]
        self._used.add(new)
        if name in self.alone:
            self._taken.add(new)
        for used in self._groups[name]:
            used.add(new)
        for module in modules:
            self._modules[module].add(new)
        return new
