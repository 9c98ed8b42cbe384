"""Leave out of third-party code what this project never calls, before it is compiled for a board: RAM is scarce there.

The names are listed in lib/manifest.json ("drop": {module: ["Class.method", "function", ...]}). One that is not there (after an
update of the library, say) stops the build, so the list cannot rot.
"""

import ast


def trim(source, names):
    """`source` without the classes, functions, methods, assignments and imported names in `names`."""
    tree = ast.parse(source)
    left = set(names)
    tree.body = _without(tree.body, left, "")
    if left:
        raise ValueError(f"not there to leave out: {', '.join(sorted(left))}")
    return ast.unparse(tree)


def _without(body, left, prefix):
    kept = []
    for node in body:
        if isinstance(node, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            name = prefix + node.name
            if name in left:
                left.discard(name)
                continue
            if isinstance(node, ast.ClassDef):
                node.body = _without(node.body, left, name + ".") or [ast.Pass()]
        elif (
            isinstance(node, ast.Assign)
            and isinstance(node.targets[0], ast.Name)
            and prefix + node.targets[0].id in left
        ):
            left.discard(prefix + node.targets[0].id)
            continue
        elif isinstance(node, ast.ImportFrom):
            gone = {alias.name for alias in node.names} & left
            left -= gone
            node.names = [alias for alias in node.names if alias.name not in gone]
            if not node.names:
                continue
        kept.append(node)
    return kept
