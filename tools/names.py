"""Give what firmware/ defines for itself names that MicroPython has anyway, before it is compiled for a board.

Each name of a .mpy that the firmware of the board does not know takes heap for ever: its text, and seven bytes in a table that
doubles when it is full (4.5 KB at 620 names, 9 KB at 1260). A name that lies in the board's flash takes none, and the program
does not mind which it is: so `heap_free` becomes, say, `EIO`. All modules are treated alike, word for word, and names that can
never be taken for each other become one (tools/shared_names.py). What anybody else may know stays as it is:

- what MicroPython itself knows (tools/rom_names.txt), what the library of lib/ mentions, names of modules, `__names__`;
- words in strings (API fields, configuration keys, tables of modules), arguments given by name;
- classes that derive from another (exceptions are shown by name), constants, which the compiler folds by their name;
- what main.py and the programs that measure a build (KEEPERS) mention, and what a message from outside can call (_ASKED_FOR).

`python -m tools.names` lists what became of each name, to read a traceback of a board.
"""

import ast
import builtins
import functools
import keyword
import re
from pathlib import Path

from tools.budgets import resident
from tools.chips import CHIPS
from tools.scopes import Scopes
from tools.seldom import BASE
from tools.shared_names import Choice
from tools.syntax import walk

ROOT = Path(__file__).resolve().parent.parent
ROM = ROOT / "tools" / "rom_names.txt"
KEEPERS = (
    "main.py boot.py tools/wasm_app.py tools/wasm.py tools/bench/heap.py tools/device_agent.py "
    "tests/integration/resident_driver.py tests/integration/door_driver.py tests/integration/test_32bit.py"
).split()
_ASKED_FOR = ("_Commands",)  # of firmware/mqtt/commands.py: methods are asked for by name
# Names that a .mpy holds as a number instead of a text (static_qstr_list of MicroPython's py/makeqstrdata.py), also of builtins
# that nobody here mentions: they go to the names that most modules share
_STATIC = frozenset(
    """
    ArithmeticError AssertionError AttributeError BaseException EOFError Ellipsis GeneratorExit ImportError IndentationError
    IndexError KeyError LookupError NameError NotImplementedError OverflowError RuntimeError SyntaxError TypeError
    ZeroDivisionError abs all any args bytecode callable classmethod copy divmod endswith eval exec extend find from_bytes
    globals hash index insert isalpha isdigit islower isspace issubclass isupper items iter locals lower lstrip map pop popitem
    pow readline remove repr reverse rfind rindex rsplit rstrip setdefault sort sorted sum throw upper zip
    """.split()
)
_STAYS = 5  # a byte of a module that stays loaded is worth so many of another
_WORD = re.compile(r"[A-Za-z_][A-Za-z_0-9]*")
_TABLE = re.compile(r"[\w\s=.*-]*")


@functools.cache
def rom():
    """(names in the flash of every supported build, names in that of any)."""
    sections = [[]]
    for line in ROM.read_text().split("\n"):
        if line.startswith("# in"):
            sections.append([])
        elif not line.startswith("#"):
            sections[-1] += line.split()
    everywhere, some = sections[1:]
    return everywhere, {*everywhere, *some}


def _identifiers_of(node):
    for field in ("id", "attr", "arg", "name", "asname", "module"):
        if isinstance(text := getattr(node, field, None), str):
            yield from text.split(".")
    if isinstance(node, ast.Global | ast.Nonlocal):
        yield from node.names


def _identifiers(tree):
    """Every identifier of a module, those of imports and arguments by name too."""
    for node in walk(tree):
        yield from _identifiers_of(node)


def _words(tree):
    """The words of the strings that can be names, or tables of them; not those of texts for people and of formats."""
    nodes = walk(tree)
    docs = {id(node.value) for node in nodes if isinstance(node, ast.Expr)}
    for node in nodes:  # fields of the API: nobody asks an object for them
        docs |= set(map(id, node.keys)) if isinstance(node, ast.Dict) else set()
        docs |= {id(node.slice)} if isinstance(node, ast.Subscript) else set()
    for node in nodes:
        text = node.value if isinstance(node, ast.Constant) and id(node) not in docs else None
        if isinstance(text, str) and _TABLE.fullmatch(text):
            yield from _WORD.findall(text)


def _is_const(node):
    return isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "const"


def _bases(node):
    return [base for base in node.bases if getattr(base, "id", "") != BASE]


def _kept(tree):
    """Names that a module defines and that must stay."""
    for node in walk(tree):
        if isinstance(node, ast.ClassDef) and (_bases(node) or node.name in _ASKED_FOR):
            yield node.name
            if node.name in _ASKED_FOR:
                yield from (part.name for part in node.body if hasattr(part, "name"))
        elif isinstance(node, ast.Assign) and _is_const(node.value):
            yield from (target.id for target in node.targets if isinstance(target, ast.Name))
        elif isinstance(node, ast.keyword) and node.arg:
            yield node.arg
        elif isinstance(node, ast.Import | ast.ImportFrom):
            for alias in node.names:
                yield from alias.name.split(".") if isinstance(node, ast.Import) else ()
            yield from (getattr(node, "module", None) or "").split(".")
            if not (getattr(node, "module", None) or "").startswith("firmware"):
                yield from (alias.name for alias in node.names)


def _defined(tree):
    for node in walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            yield node.name
        elif isinstance(node, ast.arg):
            yield node.arg
        elif isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store):
            yield node.attr
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            yield node.id
        elif isinstance(node, ast.alias) and node.asname:
            yield node.asname


def _told(tree):
    """The identifiers that a .mpy holds: all but local variables, which are numbers there."""
    found = set(Scopes(tree).uses)
    for node in walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            found.add(node.name)
        elif isinstance(node, ast.arg | ast.Attribute):
            found.add(getattr(node, "arg", None) or node.attr)
        elif isinstance(node, ast.ImportFrom):
            found.update(alias.name for alias in node.names)
    return found


def table(trees, names, others):
    """{name: new name} for the modules `trees` {path: ast} named `names` {path: dotted}; `others`: names that stay."""
    everywhere, known = rom()
    kept = known | others | set(dir(builtins)) | set(keyword.kwlist)
    for name in names.values():
        kept |= set(name.split("."))
    defined, mentioned, told = set(), set(), []
    for tree in trees.values():
        words = set(_words(tree))
        told.append(_told(tree))
        kept |= {*_kept(tree), *words}
        defined |= set(_defined(tree))
        mentioned |= {*_identifiers(tree), *words}
    old = sorted(name for name in defined - kept if not name.startswith("__") and name != "_")
    free = [
        name for name in sorted({*everywhere, *_STATIC}, key=lambda name: (name not in _STATIC and len(name), name))
        if name not in mentioned | others and not keyword.iskeyword(name) and not name.startswith("_")
    ]  # fmt: skip
    stays = {name.replace("/", ".").removesuffix(".__init__") for chip in CHIPS.values() for name in resident(chip)}
    uses = {name: {} for name in old}  # {module: weight}
    for path, found in zip(trees, told):
        for name in found & uses.keys():
            uses[name][path] = _STAYS if names[path] in stays else 1
    old = sorted((name for name in old if uses[name]), key=lambda name: (-sum(uses[name].values()), name))
    choice = Choice(list(trees.values()), free, _price)
    new = {name: choice.take(name, uses[name]) for name in old}
    return {name: text for name, text in new.items() if text}


def _price(name):
    """Bytes that a name takes in a .mpy."""
    return 2 if name in _STATIC else len(name) + 2


class _Renamer(ast.NodeTransformer):
    def __init__(self, new):
        self.new = new

    def generic_visit(self, node):
        for field in ("id", "attr", "arg", "name", "asname"):
            text = getattr(node, field, None)
            if text in self.new and not isinstance(node, ast.keyword):
                setattr(node, field, self.new[text])
        if isinstance(node, ast.Global | ast.Nonlocal):
            node.names = [self.new.get(name, name) for name in node.names]
        return super().generic_visit(node)


@functools.cache
def others():
    """The names in programs that look into a build, in the library and in data files."""
    found = set()
    for path in [*(ROOT / name for name in KEEPERS), *sorted((ROOT / "lib").rglob("*.py"))]:
        tree = ast.parse(path.read_text())
        docs = {id(node.value) for node in walk(tree) if isinstance(node, ast.Expr)}
        for node in walk(tree):
            if not isinstance(node, ast.Name | ast.arg):  # their variables are their own
                found.update(_identifiers_of(node))
            if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in docs:
                found.update(_WORD.findall(node.value))  # Python in a string too
    for path in sorted((ROOT / "firmware").rglob("*.json*")):
        found.update(_WORD.findall(path.read_text()))
    return found


def rename(sources, names):
    """{path: source} with names that cost no heap. `names`: {path: dotted module name}."""
    trees = {path: ast.parse(source) for path, source in sources.items()}
    new = table(trees, names, others())
    return {path: ast.unparse(_Renamer(new).visit(tree)) + "\n" for path, tree in trees.items()}


def main():
    from tools.build import merged

    sources, names = merged()
    trees = {path: ast.parse(source) for path, source in sources.items()}
    told = {names[path]: _told(tree) for path, tree in trees.items()}
    for old, new in sorted(table(trees, names, others()).items(), key=lambda item: (item[1], item[0])):
        print(f"{new:24} {old:24} {' '.join(name for name, found in told.items() if old in found)}")


if __name__ == "__main__":
    main()
