"""Leave out of third-party code what this project never calls, before it is compiled for a board: RAM is scarce there.

The names are listed in lib/manifest.json ("drop": {module: ["Class.method", "function", ...]}). One that is not there (after an
update of the library, say) stops the build, so the list cannot rot.
"""

import ast


def trim(source, names):
    """`source` without the classes, functions, methods, assignments and imported names in `names`.

    A `try` whose body is gone leaves what its `except` does: of `try: import a`, `except ImportError: import b` the second.
    """
    tree = ast.parse(source)
    found = set()
    tree.body = _without(tree.body, set(names), found, "")
    left = set(names) - found
    if left:
        raise ValueError(f"not there to leave out: {', '.join(sorted(left))}")
    return ast.unparse(tree)


def _without(body, names, found, prefix):
    kept = []
    for node in body:
        if isinstance(node, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            name = prefix + node.name
            if name in names:
                found.add(name)
                continue
            if isinstance(node, ast.ClassDef):
                node.body = _without(node.body, names, found, name + ".") or [ast.Pass()]
        elif isinstance(node, ast.Assign) and (name := prefix + ast.unparse(node.targets[0])) in names:
            found.add(name)
            continue
        elif isinstance(node, ast.Import | ast.ImportFrom):
            gone = {alias.name for alias in node.names} & names
            found |= gone
            node.names = [alias for alias in node.names if alias.name not in gone]
            if not node.names:
                continue
        elif isinstance(node, ast.Try):
            node.body = _without(node.body, names, found, prefix)
            for handler in node.handlers:
                handler.body = _without(handler.body, names, found, prefix)
            if not node.body:
                kept.extend(statement for handler in node.handlers for statement in handler.body)
                continue
        kept.append(node)
    return kept
