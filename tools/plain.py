"""Viper functions as bytecode, for a MicroPython without machine code (tools/wasm.py)."""

import ast

_CODE = ("viper", "native")
_POINTERS = ("ptr8", "ptr16", "ptr32")


def _is_code(decorator):
    return isinstance(decorator, ast.Attribute) and decorator.attr in _CODE


def plain(source, hollow=False):
    """`source` without `@micropython.viper`; an argument that viper takes as a pointer becomes one in the first statements.
    `hollow`: the functions do nothing, to weigh a module without them.

    The casts `ptr8`, `ptr16`, `ptr32` and `uint` stay: the interpreter has to have them as builtins (tools/wasm_prelude.py).
    """
    tree = ast.parse(source)
    for node in ast.walk(tree):
        if not isinstance(node, ast.FunctionDef) or not any(map(_is_code, node.decorator_list)):
            continue
        node.decorator_list = [decorator for decorator in node.decorator_list if not _is_code(decorator)]
        casts = [
            f"{arg.arg} = {arg.annotation.id}({arg.arg})"
            for arg in node.args.args
            if isinstance(arg.annotation, ast.Name) and arg.annotation.id in _POINTERS
        ]
        node.body[:0] = ast.parse("\n".join(casts)).body
        if hollow:
            node.body = [ast.Pass()]
    return ast.unparse(ast.fix_missing_locations(tree)) + "\n"
