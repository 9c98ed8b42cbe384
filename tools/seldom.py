"""Take the methods that firmware/ marks with `@seldom` (firmware/lazy.py) out of the modules that always stay loaded, before
these are compiled for a board: constructors above all, which run once.

They go to a module beside it, `firmware.can_seldom` for `firmware.can`, into a class of the same name there. The class they leave
gets the base `Seldom`, whose `__init__` and `__getattr__` load that module for a call; the gateway forgets it again
(lazy.forget). So such a method may only be called, never kept: a bound one would keep the module.
"""

import ast

from tools.by_name import Refused
from tools.scopes import Scopes
from tools.syntax import walk

SUFFIX = "_seldom"
BASE = "Seldom"
_WHOLE = "_whole"  # behind the name of a class of which a module has the methods that were moved, and needs the class
HOME = "firmware.app"  # the bundle of firmware/lazy.py
_FUNCTIONS = ast.FunctionDef | ast.AsyncFunctionDef
_IMPORTS = ast.Import | ast.ImportFrom


def _is_mark(node):
    return isinstance(node, ast.Name) and node.id == "seldom"


def _marked(tree):
    """[(class, its marked methods)], the methods taken out and without the mark."""
    found = []
    for part in tree.body:
        if isinstance(part, ast.ClassDef):
            methods = [
                node for node in part.body if isinstance(node, _FUNCTIONS) and any(map(_is_mark, node.decorator_list))
            ]
            if methods:
                _check(part, methods)
                part.body = [node for node in part.body if node not in methods] or [ast.Pass()]
                found.append((part, methods))
    return found


def _check(part, methods):
    if part.bases:
        raise Refused(f"{part.name}: @seldom in a class with a base")
    own = {node.name for node in part.body if hasattr(node, "name")}
    if "__init__" not in own:
        raise Refused(f"{part.name}: @seldom in a class without __init__")
    for method in methods:
        where = f"{part.name}.{method.name}"
        if "__getattr__" in own and method.name != "__init__":
            raise Refused(f"{where}: @seldom beside a __getattr__")
        if len(method.decorator_list) > 1:
            raise Refused(f"{where}: @seldom and another decorator")
        method.decorator_list = []
        for node in walk(method)[1:]:
            if isinstance(node, _FUNCTIONS | ast.Lambda | ast.GeneratorExp | ast.ListComp | ast.SetComp | ast.DictComp):
                raise Refused(f"{where}: what is defined inside a @seldom method would keep its module")
            if isinstance(node, ast.Global) or isinstance(node, ast.Call) and getattr(node.func, "id", "") == "super":
                raise Refused(f"{where}: globals and super() do not move")


def _only_called(trees, marked):
    """Refuse where a method of `marked` [(class, methods)] is more than called: a private one in its class, others anywhere; or
    called with an argument by name. A name that other objects have data under cannot be told apart."""
    trees = trees + [method for _, methods in marked for method in methods]  # which are out of their classes by now
    nodes = [node for tree in trees for node in walk(tree) if isinstance(node, ast.Attribute)]
    data = {node.attr for node in nodes if isinstance(node.ctx, ast.Store)}
    names = {method.name for _, methods in marked for method in methods} | {part.name for part, _ in marked}
    for node in (node for tree in trees for node in walk(tree) if isinstance(node, ast.Call) and node.keywords):
        if getattr(node.func, "attr", getattr(node.func, "id", "")).removesuffix(_WHOLE) in names - data:
            raise Refused(f"{ast.unparse(node)}: what is @seldom takes no arguments by name")
    for part, methods in marked:
        for method in methods:
            if method.name in data:
                continue
            for tree in [part, *methods] if method.name.startswith("_") else trees:
                called = {id(node.func) for node in walk(tree) if isinstance(node, ast.Call)}
                for node in walk(tree):
                    if isinstance(node, ast.Attribute) and node.attr == method.name and id(node) not in called:
                        raise Refused(f"{ast.unparse(node)}: the @seldom {part.name}.{method.name} may only be called")


def _needs(tree, moved, name):
    """What the methods `moved` ask of their module `tree` called `name`: its imports, constants and globals, as statements."""
    statements, wanted = [], {}
    for node in tree.body:
        if isinstance(node, _IMPORTS):
            for alias in node.names:
                wanted[alias.asname or alias.name.split(".")[0]] = (node, alias)
        elif isinstance(node, ast.Assign) and getattr(getattr(node.value, "func", None), "id", "") == "const":
            wanted[node.targets[0].id] = node
    bound = Scopes(tree).bound
    scopes = Scopes(ast.Module([method for part in moved for method in part.body], []))
    queue = sorted(scopes.uses.keys() & bound)
    taken, globals_ = set(), []
    for used in queue:  # which grows
        if used in taken:
            continue
        taken.add(used)
        found = wanted.get(used)
        if isinstance(found, tuple):
            node, alias = found
            module = {"module": node.module, "level": 0} if isinstance(node, ast.ImportFrom) else {}
            statements.insert(0, type(node)(names=[alias], **module))
        elif found:
            inner = {part.id for part in walk(found.value) if isinstance(part, ast.Name)} & bound
            queue.extend(sorted(inner))
            statements.append(found)
        else:
            local = used
            if used in {part.name for part in moved}:  # a class of which we have the methods
                local = used + _WHOLE
                scopes.rename(used, local)
            globals_.append(ast.alias(used, local))
    constants = [node for node in tree.body if node in statements]  # in their order
    imports = [node for node in statements if isinstance(node, _IMPORTS)]
    if globals_:
        imports.append(ast.ImportFrom(name, globals_, 0))
    return imports + constants


def apart(sources, names):
    """(sources, names) with the marked methods in modules of their own. `sources` {path: text}, `names` {path: dotted name}."""
    trees = {path: ast.parse(text) for path, text in sources.items()}
    result, named, changed, every = {}, dict(names), set(), []
    for path, tree in trees.items():
        marked = _marked(tree)
        if not marked:
            continue
        every += marked
        moved = [ast.ClassDef(part.name, [], [], found, []) for part, found in marked]
        name = names[path] + SUFFIX
        place = path.with_name(name.rpartition(".")[2] + ".py")
        needs = _needs(tree, moved, names[path])
        result[place] = ast.unparse(ast.fix_missing_locations(ast.Module([*needs, *moved], []))) + "\n"
        named[place] = name
        changed.add(path)
        for part, _ in marked:
            part.bases = [ast.Name(BASE, ast.Load())]
        if names[path] != HOME:
            tree.body.insert(0, ast.ImportFrom(HOME, [ast.alias(BASE, BASE)], 0))
    _only_called(list(trees.values()), every)
    for path, tree in trees.items():
        if _drop_mark(tree) or path in changed:
            result[path] = ast.unparse(ast.fix_missing_locations(tree)) + "\n"
        else:
            result[path] = sources[path]
    return result, named


def _drop_mark(tree):
    """Take out the decorator itself and its imports; True when there was one."""
    before = ast.dump(tree)
    for node in tree.body:
        if isinstance(node, ast.ImportFrom):
            node.names = [alias for alias in node.names if alias.name != "seldom"]
    tree.body = [
        node for node in tree.body
        if not (isinstance(node, ast.ImportFrom) and not node.names) and getattr(node, "name", "") != "seldom"
    ]  # fmt: skip
    return ast.dump(tree) != before
