"""Why and how often the gateway has started, what killed it, and whether it starts in safe mode. Loaded for the moment.

All of it lies in `board.keep`, which survives resets but not power loss. Layout, little endian: 4 bytes seconds that this run has
lasted (the supervisor writes them), 2 magic, 2 starts since power on, 1 flags, then 3 words with the seconds that passed since
each of the last watchdog resets (newest first), then the last exception as text.
"""

import struct
from micropython import const

_MAGIC = const(0x4254)
_HEAD = "<IHHB3H"
_TEXT_AT = const(15)
_TEXT_MAX = const(160)
_ASK = const(1)  # flags: this run is ended because somebody asked for it
_ASKED = const(2)  # the last one was
_CRASHED = const(4)  # this run ends with an exception that nobody caught

_WINDOW_S = const(600)  # three watchdog resets within so long lead to safe mode (DESIGN 5)
_NEVER = const(0xFFFF)


class Health:
    """What is kept for `board`.

    `boots`: starts since power on, this one included; `last_exception`: text, "" when there was none since power on.
    """

    def __init__(self, board):
        self._board = board
        self._clear()
        kept = bytes(board.kept() or b"")
        if len(kept) < _TEXT_AT or struct.unpack_from(_HEAD, kept)[1] != _MAGIC:
            return
        self._uptime, _, self.boots, self._flags, *self._ages = struct.unpack_from(_HEAD, kept)
        try:
            self.last_exception = kept[_TEXT_AT:].decode()
        except ValueError:
            pass

    def _clear(self):
        self._uptime = self.boots = self._flags = 0
        self._ages = [_NEVER, _NEVER, _NEVER]
        self.last_exception = ""

    def _save(self):
        head = struct.pack(_HEAD, self._uptime, _MAGIC, self.boots, self._flags, *self._ages)
        self._board.keep(head + self.last_exception.encode())

    def cause(self):
        """As `board.reset_cause`; "SOFT" too where the machine does not tell a restart that was asked for from others."""
        return "SOFT" if self._flags & _ASKED else self._board.reset_cause()

    def begin(self, forgive=None):
        """Once a start: count it and judge how the last run ended. Gives why to start in safe mode, "" as a rule.

        `forgive()`: asked when it would be safe mode; True when another slot runs now, so that what was counted counts no more.
        """
        cause = self._board.reset_cause()
        if cause == "POWER_ON":
            self._clear()
        asked = cause == "SOFT" or self._flags & _ASK
        ages = [min(age + self._uptime, _NEVER) for age in self._ages]
        if asked:
            ages = [_NEVER, _NEVER, _NEVER]
        elif cause == "WATCHDOG" or self._flags & _CRASHED:
            ages = [0, ages[0], ages[1]]
        safe = ages[2] <= _WINDOW_S
        if safe and forgive and forgive():
            ages, safe = [_NEVER, _NEVER, _NEVER], False
        self._ages = ages
        self._flags = _ASKED if asked else 0
        self._uptime = 0
        self.boots = min(self.boots + 1, _NEVER)
        self._save()
        return "three watchdog resets or crashes in %d s" % ages[2] if safe else ""

    def ask(self):
        """The restart that follows is wanted."""
        self._flags |= _ASK
        self._save()

    def note(self, source, error, fatal=False):
        """Keep an exception: `source` is the task it ended; `fatal`: the gateway too, which counts as a watchdog reset does."""
        if fatal:
            self._flags |= _CRASHED
        text = "%s: %s: %s" % (source, type(error).__name__, error)
        text = text[:_TEXT_MAX]
        while len(text.encode()) > _TEXT_MAX:
            text = text[:-1]
        self.last_exception = text
        self._save()

    def report(self):
        """What GET /api/system/info shows."""
        return {"boot_count": self.boots, "reset_cause": self.cause(), "last_exception": self.last_exception}
