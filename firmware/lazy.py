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
