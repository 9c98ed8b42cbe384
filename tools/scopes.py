"""Which identifiers of a Python module are its globals, so that one can be renamed without touching what only looks alike."""

import ast
from collections import defaultdict

from tools.syntax import walk

_COMPREHENSIONS = ast.ListComp | ast.SetComp | ast.DictComp | ast.GeneratorExp


def _bound(body, args=None):
    """The names that a scope binds itself: assigned, defined, imported, caught or taken as a parameter."""
    names, outside, queue = set(), set(), list(body)
    while queue:
        node = queue.pop()
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            names.add(node.name)
        elif isinstance(node, ast.Lambda | _COMPREHENSIONS):
            pass
        else:
            if isinstance(node, ast.Name) and not isinstance(node.ctx, ast.Load):
                names.add(node.id)
            elif isinstance(node, ast.ExceptHandler) and node.name:
                names.add(node.name)
            elif isinstance(node, ast.Global | ast.Nonlocal):
                outside.update(node.names)
            elif isinstance(node, ast.Import | ast.ImportFrom):
                names.update((alias.asname or alias.name).split(".")[0] for alias in node.names)
            queue.extend(ast.iter_child_nodes(node))
    if args:
        names.update(node.arg for node in walk(args) if isinstance(node, ast.arg))
    return names - outside


class Scopes(ast.NodeVisitor):
    """Which identifiers of a module are its globals (or builtins): `uses` {name: [(node, field)]}; `locals`: all other names."""

    def __init__(self, tree):
        self.uses, self.locals, self.attributes = defaultdict(list), set(), {}
        self._functions, self._class = [], set()  # names bound in the functions around, in the class body we are in
        self.bound = _bound(tree.body)
        self.generic_visit(tree)

    def _use(self, name, node, field):
        if name not in self._class and not any(name in scope for scope in self._functions):
            self.uses[name].append((node, field))

    def _inside(self, names, nodes, in_class=False):
        self.locals |= names
        before = self._class
        self._class = names if in_class else set()
        if not in_class:
            self._functions.append(names)
        for node in nodes:
            self.visit(node)
        if not in_class:
            self._functions.pop()
        self._class = before

    def _function(self, node):
        for outer in getattr(node, "decorator_list", []):
            self.visit(outer)
        if not isinstance(node, ast.Lambda):
            self._use(node.name, node, "name")
        self.visit(node.args)  # defaults and annotations: of the scope around
        if getattr(node, "returns", None):
            self.visit(node.returns)
        body = node.body if isinstance(node.body, list) else [node.body]
        self._inside(_bound(body, node.args), body)

    visit_FunctionDef = visit_AsyncFunctionDef = visit_Lambda = _function

    def visit_ClassDef(self, node):
        self._use(node.name, node, "name")
        for outer in node.decorator_list + node.bases + node.keywords:
            self.visit(outer)
        self._inside(_bound(node.body), node.body, in_class=True)

    def _comprehension(self, node):
        first, names = node.generators[0].iter, set()
        self.visit(first)
        for generator in node.generators:
            names |= {part.id for part in walk(generator.target) if isinstance(part, ast.Name)}
        rest = [part for part in ast.iter_child_nodes(node) if not isinstance(part, ast.comprehension)]
        for generator in node.generators:
            rest += [generator.target, *generator.ifs, *([] if generator.iter is first else [generator.iter])]
        held, self._class = self._class, set()
        self._inside(names, rest)
        self._class = held

    visit_ListComp = visit_SetComp = visit_DictComp = visit_GeneratorExp = _comprehension

    def visit_Attribute(self, node):
        if isinstance(node.value, ast.Name):
            self.attributes[node.value] = node
        self.generic_visit(node)

    def visit_Name(self, node):
        self._use(node.id, node, "id")

    def visit_ExceptHandler(self, node):
        if node.name:
            self._use(node.name, node, "name")
        self.generic_visit(node)

    def visit_Global(self, node):
        for i, name in enumerate(node.names):
            self.uses[name].append((node, i))

    def visit_alias(self, node):
        self._use((node.asname or node.name).split(".")[0], node, "asname")

    def rename(self, name, new):
        """Give the global `name` another one wherever it is meant."""
        for node, field in self.uses[name]:
            if isinstance(field, int):
                node.names[field] = new
            else:
                setattr(node, field, new)
