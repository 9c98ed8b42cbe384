"""Write the tables of firmware/ as bytes, before it is compiled for a board: in a .mpy a tuple holds each number as text.

`array("H", (1, 2))` of literal integers becomes `array("H", b"\\x01\\x00\\x02\\x00")`, which MicroPython takes as raw words of a
little-endian machine; all our chips are.
"""

import array
import ast

from tools.inline import fold

_SIZES = {"b": 1, "B": 1, "h": 2, "H": 2}  # bytes an item; wider ones are longer than most numbers


class _Packer(ast.NodeTransformer):
    def visit_Call(self, node):
        self.generic_visit(node)
        if (
            getattr(node.func, "id", "") == "array"
            and len(node.args) == 2
            and isinstance(node.args[1], ast.Tuple | ast.List)
        ):
            kind = getattr(node.args[0], "value", "")
            numbers = [fold(item, {}) for item in node.args[1].elts]
            if kind in _SIZES and None not in numbers:  # else there are names in it
                data = array.array(kind, numbers)
                assert data.itemsize == _SIZES[kind]
                node.args[1] = ast.Constant(data.tobytes())
        return node


def pack(source):
    """`source` with its tables of numbers as bytes."""
    tree = ast.parse(source)
    before = ast.dump(tree)
    tree = _Packer().visit(tree)
    return source if ast.dump(tree) == before else ast.unparse(tree) + "\n"
