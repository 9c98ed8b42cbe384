"""Modules that firmware/lazy.py loads and drops by their name: what tools/bundle.py, flat.py and check_imports.py see of them."""

import ast
import re

from tools.syntax import walk

_CALLS = ("load", "once", "drop", "_load", "_drop")
_TABLE = re.compile(r"=(\w+)(?= )")  # of firmware/http/web.py


class Refused(ValueError):
    """The sources cannot be merged as the table asks."""


def is_by_name(node):
    """True for a call of load, once or drop."""
    return isinstance(node, ast.Call) and getattr(node.func, "attr", getattr(node.func, "id", "")) in _CALLS


def check_strings(name, tree, home):
    """Refuse when module `name` loads or drops a member of a bundle by its name."""
    asked = set()
    room = name.partition("_")[0] + "_" if "_" in name else name.rpartition(".")[0] + "."
    for node in walk(tree):
        if is_by_name(node):
            asked |= {f"firmware.{part.value}" for part in node.args if isinstance(part, ast.Constant)}
        elif isinstance(node, ast.Assign) and isinstance(node.value, ast.Tuple):
            asked |= {f"{room}{part.value}" for part in node.value.elts if isinstance(part, ast.Constant)}
        elif isinstance(node, ast.Constant) and isinstance(node.value, str) and node.value.startswith(" "):
            asked |= {f"{room}{leaf}" for leaf in _TABLE.findall(node.value)}
    if asked & home:
        raise Refused(f"{name} loads {', '.join(sorted(asked & home))} by name: no member of a bundle can be")


def redirect(source, homes):
    """`source` with the names of joined modules (`homes` {name: name of the file}) in load, drop and once replaced."""
    tree, changed = ast.parse(source), False
    for node in walk(tree):
        if is_by_name(node):
            for part in node.args:
                new = homes.get(f"firmware.{part.value}") if isinstance(part, ast.Constant) else None
                if new:
                    part.value, changed = new.partition(".")[2], True
    return ast.unparse(tree) + "\n" if changed else source
