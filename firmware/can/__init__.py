import sys


def once(name):
    """The module `name` of this room, for one use: it is forgotten at once, and its memory comes back when the caller returns."""
    try:
        return __import__("firmware.can." + name, None, None, (name,))
    finally:
        forget(name)


def forget(name):
    """Unload the module `name` of this room, if it is loaded."""
    package = sys.modules["firmware.can"]
    sys.modules.pop("firmware.can." + name, None)
    if hasattr(package, name):
        delattr(package, name)
