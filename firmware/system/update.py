"""Takes an update: our bundle into the idle slot, an ESP32 application image into the idle OTA partition. Loaded for an upload.

A bundle is spooled to `<idle slot>.new` and checked to its last byte before the slot is touched; then the slot is emptied (its
manifest first), filled (its manifest last), read back, and only then named in slots.json (install.py). So a power cut at any
moment leaves the running slot as it is, and the other one complete, or without a manifest, which boot.py does not start.

An image goes into its partition block by block, where it does no harm; `set_boot` at the end checks it (image.py).
"""

import binascii
import os
from micropython import const
from firmware import lazy

_RESERVE = const(32768)  # of the flash, for configuration and history
_SAY_MS = const(1000)
_ENOSPC = const(28)
_IMAGE_MAGIC = b"\xe9"
_GZIP_MAGIC = b"\x1f\x8b"


class UpdateError(Exception):
    """Why an update is refused: HTTP status, code, text. Arguments by position."""

    def __init__(self, status, code, text):
        super().__init__(text)
        self.status = status
        self.code = code


def remove(path):
    """Remove a file that may not be there."""
    try:
        os.remove(path)
    except OSError:
        pass


class Update:
    """One update: `begin`, `receive`, `install`, and `end` whatever happens; `failed` when something does.

    `app`: board, log, ota, event(name, data); `alive()` is called whenever it has got on. UpdateError, MemoryError and what
    `read` raises leave the running application untouched.
    """

    def __init__(self, app, alive):
        self._app = app
        self.ota = app.ota
        self.board = app.board
        self._alive = alive
        self._said = 0
        self._crc = self.count = 0
        self.slot = self._target = self._version = None

    def begin(self):
        """Raises UpdateError 503 when now is not the time."""
        if self.ota.busy:
            raise UpdateError(503, "OTA_BUSY", "another update is going on")
        slots = lazy.once("system.slots").Slots(self.board.root_dir)
        if slots.trial:  # the idle slot is the way back
            raise UpdateError(
                503, "OTA_ON_TRIAL", "the running update has not proved itself yet, try again in a minute"
            )
        self.slot = slots.idle
        self.ota.busy = True

    def end(self):
        self.ota.busy = False
        if self.slot:
            remove(self.spool())

    def spool(self):
        return self.board.root_dir + "/" + self.slot + ".new"

    async def receive(self, read, size):
        """Take what `await read()` gives piece by piece, b"" at the end; it has at most `size` bytes."""
        first = await read()
        if first.startswith(_GZIP_MAGIC):
            take = self._spool
        elif first.startswith(_IMAGE_MAGIC):
            image = lazy.once("system.image").Image(self, size)
            self._target = image.label
            take = image.take
        else:
            text = "neither an update bundle (.bundle) nor an ESP32 application image"
            raise UpdateError(400, "UNKNOWN_FORMAT", text if first else "the file is empty")
        self._app.log.info("ota", "update begins, up to %d bytes" % size)
        self._app.event("OTA_START", {"bytes": size, "partition": self._target or self.slot})
        self._version = await self._flash(take(first, read, size))

    async def install(self):
        """Make what was received the next to start; gives {"bytes", "crc32", "partition", "version"}."""
        if not self._target:  # an image is where it belongs already
            self._version = await self._flash(lazy.once("system.install").install(self))
            lazy.once("system.slots").Slots(self.board.root_dir).select(self.slot)
        ota = self.ota
        ota.partition, ota.version = self._target or self.slot, self._version
        self._enter("READY")
        result = {"bytes": self.count, "crc32": "%08X" % self._crc, "partition": ota.partition, "version": ota.version}
        self._app.log.info("ota", "%(partition)s holds version %(version)s, a restart starts it" % result)
        self._app.event("OTA_COMPLETE", dict(result))
        return result

    async def _flash(self, work):
        """The result of the coroutine `work`, whose OSError comes from the flash."""
        try:
            return await work
        except OSError as error:
            if error.errno == _ENOSPC:
                raise UpdateError(413, "PAYLOAD_TOO_LARGE", "the flash is full")
            raise UpdateError(500, "FLASH_ERROR", "the flash cannot be written or read: %s" % error)

    def free(self):
        """Bytes of flash that an update may take."""
        figures = os.statvfs(self.board.root_dir or "/")
        return figures[0] * figures[3] - _RESERVE

    async def _spool(self, piece, read, size):
        root = self.board.root_dir
        remove(root + "/slot_a.new")
        remove(root + "/slot_b.new")
        free = self.free()
        if size > free:
            raise UpdateError(413, "PAYLOAD_TOO_LARGE", "the flash has room for %d KB" % (max(0, free) // 1024))
        with open(self.spool(), "wb") as file:
            while piece:
                self.counted(piece)
                if file.write(piece) != len(piece):
                    raise OSError(_ENOSPC)
                self.progress("RECEIVING", self.count, size)
                piece = await read()

    def counted(self, piece):
        self._crc = binascii.crc32(piece, self._crc)
        self.count += len(piece)

    # -- what is said of it --------------------------------------------------------------------------------------------

    def _enter(self, state):
        self.ota.state, self.ota.percent, self.ota.error = state, 0, ""

    def progress(self, state, done, total):
        """Note how far `state` is, and say it each second."""
        self._alive()
        ota, board = self.ota, self.board
        now = board.ticks_ms()
        percent = min(100, done * 100 // total)
        if state == ota.state and (percent <= ota.percent or board.ticks_diff(now, self._said) < _SAY_MS):
            return
        self._enter(state)
        ota.percent = percent
        self._said = now
        self._app.event("OTA_PROGRESS", {"state": state, "percent": percent})

    def failed(self, error):
        """Say why nothing came of it."""
        reason = getattr(error, "details", None) or str(error) or "the sender has stopped"
        self._enter("FAILED")
        self.ota.error = reason
        self._app.log.warning("ota", "update failed: %s" % reason)
        self._app.event("OTA_FAILED", {"code": getattr(error, "code", type(error).__name__), "reason": reason})
