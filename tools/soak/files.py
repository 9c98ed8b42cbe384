"""A disk that fails on demand, before `open` and `os.rename` of MicroPython: full, or broken. Under MicroPython."""

import builtins
import os

_open = builtins.open
_rename = os.rename


class Disk:
    """`fault`: "" , "full" (nothing can be written), "half" (a write breaks off in the middle). `failed`: how often it did."""

    def __init__(self):
        self.fault = ""
        self.failed = 0
        self.writes = 0
        builtins.open = self._opened

    def _opened(self, path, mode="r", *args, **options):
        if "r" in mode and "+" not in mode:
            return _open(path, mode, *args, **options)
        self.writes += 1
        if self.fault:
            self.failed += 1
            if self.fault == "full":
                raise OSError(28)
            return _Half(_open(path, mode, *args, **options))
        return _open(path, mode, *args, **options)


class _Half:
    """A file that takes half of what is written and then says that the disk is full."""

    def __init__(self, file):
        self._file = file

    def write(self, data):
        data = data if isinstance(data, str) else memoryview(data)
        self._file.write(data[: len(data) // 2])
        raise OSError(28)

    def __enter__(self):
        return self

    def __exit__(self, *args):
        self._file.close()

    def __getattr__(self, name):
        return getattr(self._file, name)
