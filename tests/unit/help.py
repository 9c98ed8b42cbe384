"""What unit tests share: a clock that the test moves, a configuration, new directories, and `raises`."""

import os

_PERIOD = 1 << 30


def new_path(name):
    """A path with `name` in it where nothing lies yet: in the place for temporary files, on a board at the top."""
    getenv = getattr(os, "getenv", None)
    place = (getenv("TMPDIR") or "/tmp") if getenv else ""
    return "%s/tinybms-%s-%d" % (place, name, int.from_bytes(os.urandom(3), "big"))


def new_directory(name):
    """The path of a new empty directory."""
    path = new_path(name)
    os.mkdir(path)
    return path


class FakeClock:
    """The clock of the board, standing still until `advance`; starts 20 s before the wrap of the ticks."""

    def __init__(self, ticks=_PERIOD - 20_000, epoch=1_700_000_000_000):
        self._ticks = ticks
        self._up = 0
        self._epoch = epoch
        self.time_valid = True
        self.time_source = "host"

    def advance(self, ms):
        self._up += ms
        self._ticks = (self._ticks + ms) % _PERIOD

    def ticks_ms(self):
        return self._ticks

    def ticks_diff(self, a, b):
        return ((a - b + (_PERIOD >> 1)) % _PERIOD) - (_PERIOD >> 1)

    def ticks_add(self, t, ms):
        return (t + ms) % _PERIOD

    def uptime_ms(self):
        return self._up

    def uptime_s(self):
        return self._up // 1000

    def epoch_ms(self):
        return self._epoch + self._up if self.time_valid else self._up

    def set_epoch_ms(self, ms, source="browser"):
        self._epoch = ms - self._up
        self.time_valid = True
        self.time_source = source


class FakeConfig:
    """`get` and `[]` over a dict {"group.name": value}."""

    def __init__(self, values):
        self.values = values

    def get(self, key):
        return self.values[key]

    __getitem__ = get


class FakeLog:
    """Keeps (level, source, text) in `lines`."""

    def __init__(self):
        self.lines = []

    def error(self, source, text):
        self.lines.append(("error", source, text))

    def warning(self, source, text):
        self.lines.append(("warning", source, text))

    def info(self, source, text):
        self.lines.append(("info", source, text))

    def debug(self, source, text):
        self.lines.append(("debug", source, text))


def raises(exception, function, *args):
    """Fail unless `function(*args)` raises `exception`; gives the exception."""
    try:
        function(*args)
    except exception as error:
        return error
    raise AssertionError("did not raise")
