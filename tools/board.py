"""A board with MicroPython at the end of a serial port: run code on it, copy files, bring it to a prompt where nothing disturbs.

Speaks through mpremote's serial transport (raw REPL). `port` is a device, or anything else pyserial opens (socket://HOST:PORT).

The watchdog of a running gateway cannot be stopped and survives Ctrl-C: it would bite in the middle of a copy and leave a file
empty (esp32_micropython facts T10). So `maintenance` leaves a file for boot.py and resets; boot.py removes the file and starts
nothing, and the prompt that follows has no watchdog.
"""

import json
import time

_FLAG = "/maintenance"
_RESET_S = 20  # a board is back at its prompt after 2 s; one with USB of its own has to be found again by the computer
_SILENCE_S = 30  # the longest that a step on the board says nothing
_CHUNK = 1536  # bytes of a file in one step: 2 KB of text

# What `hashes` and `put` need on the board. MicroPython keeps names of hashlib and binascii alike on all ports.
_HELPERS = """
import os, sys, gc
from binascii import a2b_base64 as _d, hexlify as _x
from hashlib import sha256 as _sha
def _walk(path):
    try:
        entries = sorted(os.ilistdir(path or "/"))
    except OSError:
        return
    for entry in entries:
        name = path + "/" + entry[0]
        if entry[1] & 0x4000:
            yield name, True
            for more in _walk(name):
                yield more
        else:
            yield name, False
def _hash(path):
    digest = _sha()
    with open(path, "rb") as file:
        while True:
            data = file.read(1024)
            if not data:
                break
            digest.update(data)
    return _x(digest.digest()).decode()
def _say(*words):
    print("\\x1f" + _j(words))
from json import dumps as _j
"""


# True on a board with our boot.py
_KNOWS_FLAG = """
try:
    with open("/boot.py") as file:
        _say("maintenance" in file.read())
except OSError:
    _say(False)
"""


class BoardError(Exception):
    """The board does not answer as it should; the text says what to do."""


class Board:
    """`say(text)` gets what a person may want to know while it lasts."""

    def __init__(self, port, say=print):
        self.port, self.say = port, say
        self._link = None

    # -- connection ----------------------------------------------------------------------------------------------------

    def connect(self, seconds=_RESET_S):
        """Open the port and stop what runs; what runs may have a watchdog. BoardError when no prompt comes."""
        from mpremote.transport import TransportError
        from mpremote.transport_serial import SerialTransport

        deadline = time.monotonic() + seconds
        reason = "no answer"
        while True:
            try:
                self._link = SerialTransport(self.port, timeout=2)
                self._link.enter_raw_repl(soft_reset=False, timeout_overall=2)
                return self
            except (OSError, TransportError) as error:  # SerialException is an OSError
                reason = error
                self.close()
            if time.monotonic() > deadline:
                text = (
                    f"no MicroPython prompt at {self.port}: {reason}. A data cable? Is another program using the port?"
                )
                raise BoardError(text)
            time.sleep(0.3)

    def close(self):
        link, self._link = self._link, None
        if link is not None:
            try:
                link.close()
            except OSError:
                pass

    def __enter__(self):
        return self

    def __exit__(self, *error):
        self.close()

    # -- code ----------------------------------------------------------------------------------------------------------

    def run(self, code, seconds=_SILENCE_S):
        """What `code` prints on the board, as text; BoardError with its traceback when it raises."""
        from mpremote.transport import TransportError

        if self._link is None:
            self.connect()
        try:
            out, error = self._link.exec_raw(code, timeout=seconds)
        except (OSError, TransportError) as error:
            self.close()
            raise BoardError(f"the board stopped answering: {error}") from None
        if error:
            raise BoardError(f"on the board:\n{error.decode(errors='replace').strip()}")
        return out.decode(errors="replace")

    def ask(self, code, seconds=_SILENCE_S):
        """The argument lists of the `_say(...)` calls that `code` makes."""
        lines = self.run(code, seconds).splitlines()
        return [json.loads(line[1:]) for line in lines if line.startswith("\x1f")]

    def helpers(self):
        """Load what `ask`, `hashes`, `put` use; again after each reset."""
        self.run(_HELPERS)

    def soft_reset(self):
        """Start Python afresh (boot.py runs, main.py does not): an empty heap."""
        from mpremote.transport import TransportError

        try:
            self._link.enter_raw_repl(soft_reset=True)
        except (OSError, TransportError) as error:
            self.close()
            raise BoardError(f"the board does not come back from a soft reset: {error}") from None
        self.helpers()

    def reset(self):
        """Reset the board and close the port."""
        link = self._link
        if link is None:
            link = self.connect()._link
        link.exec_raw_no_follow("import machine\nmachine.reset()")
        time.sleep(0.3)
        self.close()

    # -- maintenance ---------------------------------------------------------------------------------------------------

    def maintenance(self):
        """Reset to a prompt without application and without watchdog, with the helpers loaded."""
        self.connect()
        self.run(f"open({_FLAG!r}, 'w').close()")
        self.reset()
        deadline = time.monotonic() + _RESET_S
        while True:
            time.sleep(1)
            self.connect()
            self.helpers()
            if not self.ask(f"try:\n os.stat({_FLAG!r})\n _say(1)\nexcept OSError:\n pass"):
                return self
            # Stopped too early, before boot.py has seen the flag, or a board without our boot.py
            if not self.ask(_KNOWS_FLAG)[0][0]:
                self.run(f"os.remove({_FLAG!r})")
                return self
            if time.monotonic() > deadline:
                raise BoardError("the board does not stay in maintenance")
            self.reset()

    # -- files ---------------------------------------------------------------------------------------------------------

    def hashes(self, *roots):
        """{path: SHA-256 in hex} of the files at and below `roots` (absolute paths) that are there."""
        self.ask("_found = []")
        code = f"""
for root in {roots!r}:
    try:
        if os.stat(root)[0] & 0x4000:
            for path, directory in _walk(root.rstrip('/')):
                directory or _say(path, _hash(path))
        else:
            _say(root, _hash(root))
    except OSError:
        pass
"""
        return dict(self.ask(code))

    def directories(self, root):
        """Paths of the directories below `root`, the deepest first."""
        found = self.ask(f"for found in _walk({root!r}): _say(*found)")
        return sorted((path for path, directory in found if directory), reverse=True)

    def make_directory(self, path):
        parts = path.strip("/").split("/")
        for depth in range(1, len(parts) + 1):
            self.run(f"try:\n os.mkdir({'/' + '/'.join(parts[:depth])!r})\nexcept OSError:\n pass")

    def put(self, path, data):
        """Write `data` to `path`: to a new name, then renamed, so that the old file stays until the new one is whole."""
        import binascii

        self.run(f"_f = open({path + '.new'!r}, 'wb')")
        for start in range(0, len(data), _CHUNK):
            text = binascii.b2a_base64(data[start : start + _CHUNK], newline=False).decode()
            self.run(f"_f.write(_d({text!r}))")
        self.run(f"_f.close()\nos.rename({path + '.new'!r}, {path!r})")

    def remove(self, path, directory=False):
        self.run(f"try:\n os.{'rmdir' if directory else 'remove'}({path!r})\nexcept OSError:\n pass")
