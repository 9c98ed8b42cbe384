"""A log with levels: the newest lines in RAM, shown at /api/system/logs (http/system_api.py), and each line on the console.

Their room is taken at start, so that lines that come and go leave no holes in the heap.

No secret may be put into a line: it is readable in the dashboard.
"""

from micropython import const
from firmware.lazy import seldom

DEBUG = const(0)
INFO = const(1)
WARNING = const(2)
ERROR = const(3)
LEVELS = ("debug", "info", "warning", "error")

_SIZE = const(1408)  # bytes of all lines: about 30
_STAMP = const(6)
_HEAD = const(10)  # bytes of a line before its source
_TEXT_MAX = const(120)


class Log:
    """`clock` gives `epoch_ms()`; `console(text)` prints a line, or is None.

    `kept[:end]` are the lines, oldest first: length of the whole (2 bytes, little endian), level, length of the source, Unix
    time in ms (6 bytes), source, text.
    """

    levels = LEVELS

    @seldom
    def __init__(self, clock, console=None, level=INFO):
        self.level = level
        self.on_line = None  # called after each line, without arguments
        self._clock = clock
        self._console = console
        self.kept = memoryview(bytearray(_SIZE))
        self.end = 0
        self._inside = False

    def write(self, level, source, text):
        if level < self.level:
            return
        text = str(text)
        if len(text) > _TEXT_MAX:
            text = text[: _TEXT_MAX - 3] + "..."
        name = source.encode()
        body = name + text.encode()
        size = _HEAD + len(body)
        line = (
            bytes((size & 0xFF, size >> 8, level, len(name))) + self._clock.epoch_ms().to_bytes(_STAMP, "little") + body
        )
        kept, end = self.kept, self.end
        at = 0
        while end - at + size > _SIZE:
            at += kept[at] | kept[at + 1] << 8
        end -= at
        if at:
            kept[:end] = kept[at : at + end]
            self.end = end  # before what may find no memory: nobody must read half a line
        kept[end : end + size] = line
        self.end = end + size
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
