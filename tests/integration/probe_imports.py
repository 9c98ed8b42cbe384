"""main.py of a gateway that tells what it imports: lines `import NAME MILLISECONDS` (Unix time), for the test to read."""

import builtins
import sys
import time

sys.path[0] = ""  # as if it lay in the directory of main.py
_import = builtins.__import__
_told = set()


def _tell(name, globals=None, locals=None, fromlist=None, level=0):
    before = set(sys.modules)
    try:
        return _import(name, globals, locals, fromlist, level)
    finally:
        for new in set(sys.modules) - before - _told:
            _told.add(new)
            sys.stdout.write("import %s %d\n" % (new, time.time_ns() // 1_000_000))


builtins.__import__ = _tell
import boot  # noqa: E402

boot.Picker().pick()

from firmware import app  # noqa: E402

app.main(sys.argv[1:])
