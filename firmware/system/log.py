"""A log with levels: a ring of lines in RAM, shown at /api/system/logs, and each line on the console.

No secret may be put into a line: it is readable in the dashboard.
"""

from micropython import const

DEBUG = const(0)
INFO = const(1)
WARNING = const(2)
ERROR = const(3)
LEVELS = ("debug", "info", "warning", "error")

_LINES = const(40)
_SIZE_MAX = const(2000)  # bytes of all lines: long ones leave room for fewer
_STAMP = const(6)  # a line: time, level, length of the source, source, text
_HEAD = const(8)
_TEXT_MAX = const(120)


class Log:
    """`clock` gives `epoch_ms()`; `console(text)` prints a line, or is None."""

    def __init__(self, clock, console=None, level=INFO):
        self.level = level
        self.on_line = None  # called after each line, without arguments
        self._clock = clock
        self._console = console
        self._lines = []  # bytes, oldest first
        self._size = 0
        self._inside = False

    def write(self, level, source, text):
        if level < self.level:
            return
        text = str(text)
        if len(text) > _TEXT_MAX:
            text = text[: _TEXT_MAX - 3] + "..."
        name = source.encode()
        line = self._clock.epoch_ms().to_bytes(_STAMP, "little") + bytes((level, len(name))) + name + text.encode()
        self._lines.append(line)
        self._size += len(line)
        while self._size > _SIZE_MAX or len(self._lines) > _LINES:
            self._size -= len(self._lines.pop(0))
        if self._console:
            self._console("%s %s: %s" % (LEVELS[level], source, text))
        if self.on_line and not self._inside:  # a listener that logs must not call itself for ever
            self._inside = True
            try:
                self.on_line()
            finally:
                self._inside = False

    def error(self, source, text):
        self.write(ERROR, source, text)

    def warning(self, source, text):
        self.write(WARNING, source, text)

    def info(self, source, text):
        self.write(INFO, source, text)

    def debug(self, source, text):
        self.write(DEBUG, source, text)

    def lines(self):
        """(timestamp_ms, level name, source, text) of each line kept, oldest first."""
        for line in list(self._lines):
            end = _HEAD + line[_STAMP + 1]
            stamp = int.from_bytes(line[:_STAMP], "little")
            yield stamp, LEVELS[line[_STAMP]], line[_HEAD:end].decode(), line[end:].decode()
