"""Modules that are loaded when they are needed and forgotten after, so that their code takes heap only so long."""

import sys


def load(name):
    """The module `firmware.NAME`."""
    return __import__("firmware." + name, None, None, (name,))


def drop(name):
    """Forget `firmware.NAME`; its memory comes back when nobody holds anything of it any more."""
    sys.modules.pop("firmware." + name, None)
    room, _, leaf = ("firmware." + name).rpartition(".")
    room = sys.modules.get(room)
    if hasattr(room, leaf):
        delattr(room, leaf)


def once(name):
    """The module `firmware.NAME` for one use: forgotten at once, its memory comes back when the caller returns."""
    try:
        return load(name)
    finally:
        drop(name)


# Methods that run once or rarely. Here the mark changes nothing; where the application is compiled, tools/seldom.py puts them
# into modules of their own, which lie in memory for the call only.


def seldom(method):
    """Mark a method, a constructor above all, whose code need not stay in memory. It may be called, not kept."""
    return method


class Seldom:
    """The base that a compiled class with such methods has."""

    def __init__(self, *args):
        _seldom_of(self).__init__(self, *args)

    def __getattr__(self, name):
        function = getattr(_seldom_of(self), name)
        return lambda *args: function(self, *args)


def _seldom_of(part):
    return getattr(load(part.__module__[9:] + "_seldom"), type(part).__name__)


def forget():
    """Drop what such calls have loaded."""
    for name in list(sys.modules):
        if name.endswith("_seldom"):
            drop(name[9:])
