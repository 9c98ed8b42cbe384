"""Takes an update: our bundle into the idle slot, an ESP32 application image into the idle OTA partition. Loaded for an upload.

A bundle is spooled to `<idle slot>.new` and checked to its last byte before the slot is touched; then the slot is emptied (its
manifest first), filled (its manifest last), read back, and only then named in slots.json. So a power cut at any moment leaves
the running slot as it is, and the other one complete, or without a manifest, which boot.py does not start.

An image goes into its partition block by block, where it does no harm; `set_boot` at the end checks it and makes it the next.
"""

import asyncio
import binascii
import os
import sys
from micropython import const
from firmware import lazy

_RESERVE = const(32768)  # of the flash, for configuration and history
_FORM_MAX = const(1024)  # what a form adds to its file
_FLASH_BLOCK = const(4096)
_SAY_MS = const(1000)
_MANY = const(100_000)  # more files than there are: 0 %
_ENOSPC = const(28)
_DIRECTORY = const(0x4000)

# ESP application image (esp_image_format.h, esp_app_desc.h): magic 0, chip id 12-13, description at 32: version +16, name +48
_IMAGE_MAGIC = const(0xE9)
_DESCRIPTION = b"\x32\x54\xcd\xab"
_IMAGE_MIN = const(288)


class UpdateError(Exception):
    """Why an update is refused: HTTP status, code, text. Arguments by position."""

    def __init__(self, status, code, text):
        super().__init__(text)
        self.status = status
        self.code = code


def _too_large(text):
    return UpdateError(413, "PAYLOAD_TOO_LARGE", text)


def _remove(path):
    try:
        os.remove(path)
    except OSError:
        pass


def _text(block, at):
    """The text at `at` in the description of an image, 32 bytes with zeros behind."""
    try:
        return bytes(block[at : at + 32]).split(b"\0", 1)[0].decode()
    except ValueError:
        return ""


class Update:
    """One update. `app`: board, log, ota, event(name, data); `alive()` is called whenever it has got on."""

    def __init__(self, app, alive):
        self._app = app
        self._ota = app.ota
        self._board = app.board
        self._alive = alive
        self._said = 0
        self._crc = self._count = 0

    async def receive(self, read, size):
        """Install what `await read()` gives piece by piece, b"" at the end; it has at most `size` bytes.

        Gives {"bytes", "crc32", "partition", "version"}. Raises UpdateError, MemoryError, and what `read` raises; the running
        application is untouched then.
        """
        ota = self._ota
        if ota.busy:
            raise UpdateError(503, "OTA_BUSY", "another update is going on")
        ota.busy = True
        try:
            slots = lazy.load("system.slots").Slots(self._board.root_dir)
            if slots.trial:  # the idle slot is the way back
                raise UpdateError(
                    503, "OTA_ON_TRIAL", "the running update has not proved itself yet, try again in a minute"
                )
            result = await self._install(slots, read, size)
        except BaseException as error:  # also when the server ends a connection that stands still
            self._failed(error)
            raise
        finally:
            ota.busy = False
            for name in ("bundle", "manifest", "archive", "slots"):
                lazy.drop("system." + name)
        ota.partition, ota.version = result["partition"], result["version"]
        self._enter("READY")
        self._app.log.info("ota", "%(partition)s holds version %(version)s, a restart starts it" % result)
        self._app.event("OTA_COMPLETE", dict(result))
        return result

    async def _install(self, slots, read, size):
        first = await read()
        if first[:2] == b"\x1f\x8b":
            target, install = slots.idle, self._bundle
        elif first[:1] == bytes([_IMAGE_MAGIC]):
            target, install = self._partition(size), self._image
        else:
            text = "neither an update bundle (.bundle) nor an ESP32 application image"
            raise UpdateError(400, "UNKNOWN_FORMAT", text if first else "the file is empty")
        self._app.log.info("ota", "update begins, up to %d bytes" % size)
        self._app.event("OTA_START", {"bytes": size, "partition": getattr(target, "label", target)})
        try:
            name, version = await install(slots, target, first, read, size)
        except OSError as error:
            if error.errno == _ENOSPC:
                raise _too_large("the flash is full")
            raise UpdateError(500, "FLASH_ERROR", "the flash cannot be written or read: %s" % error)
        return {"bytes": self._count, "crc32": "%08X" % self._crc, "partition": name, "version": version}

    # -- what is said of it --------------------------------------------------------------------------------------------

    def _enter(self, state):
        self._ota.state, self._ota.percent, self._ota.error = state, 0, ""

    def _progress(self, state, done, total):
        """Note how far `state` is, and say it each second."""
        self._alive()
        ota, board = self._ota, self._board
        now = board.ticks_ms()
        percent = min(100, done * 100 // total)
        if state == ota.state and (percent == ota.percent or board.ticks_diff(now, self._said) < _SAY_MS):
            return
        self._enter(state)
        ota.percent = percent
        self._said = now
        self._app.event("OTA_PROGRESS", {"state": state, "percent": percent})

    def _failed(self, error):
        reason = getattr(error, "details", None) or str(error) or "the sender has stopped"
        code = getattr(error, "code", type(error).__name__)
        if code == "OTA_ON_TRIAL":
            return
        self._enter("FAILED")
        self._ota.error = reason
        self._app.log.warning("ota", "update failed: %s" % reason)
        self._app.event("OTA_FAILED", {"code": code, "reason": reason})

    async def _all(self, state, steps, total):
        for done in steps:
            self._progress(state, done, total)
            await asyncio.sleep_ms(0)

    def _counted(self, piece):
        self._crc = binascii.crc32(piece, self._crc)
        self._count += len(piece)

    # -- bundle --------------------------------------------------------------------------------------------------------

    async def _bundle(self, slots, slot, first, read, size):
        root = self._board.root_dir
        spool = root + "/" + slot + ".new"
        _remove(root + "/slot_a.new")
        _remove(root + "/slot_b.new")
        free = self._free()
        if size > free:
            raise _too_large("the flash has room for %d KB" % (max(0, free) // 1024))
        bundle = lazy.load("system.bundle")
        try:
            with open(spool, "wb") as file:
                await self._spool(file, first, read, size)
            with open(spool, "rb") as file:
                version = await self._unpack(bundle, slot, file)
        except bundle.BundleError as error:
            raise UpdateError(413 if error.code == "PAYLOAD_TOO_LARGE" else 400, error.code, str(error))
        finally:
            _remove(spool)
        slots.select(slot)
        return slot, version

    async def _spool(self, file, piece, read, size):
        while piece:
            self._counted(piece)
            if file.write(piece) != len(piece):
                raise OSError(_ENOSPC)
            self._progress("RECEIVING", self._count, size)
            piece = await read()

    async def _unpack(self, bundle, slot, file):
        """Check the bundle in `file`, then fill the slot with it; gives its version."""
        directory = self._board.root_dir + "/" + slot
        head = bundle.read_manifest(file)
        room = self._free() + await self._used(directory)
        steps = bundle.check(file, self._board.family(), sys.implementation.version, room)
        await self._all("CHECKING", steps, self._count)
        self._ota.partition = self._ota.version = ""
        await self._all("WRITING", bundle.empty(directory), _MANY)
        await self._all("WRITING", bundle.unpack(file, directory), self._count)
        await self._all("VERIFYING", bundle.verify(directory), 4 * self._count)
        return head["version"]

    def _free(self):
        """Bytes of flash that an update may take."""
        figures = os.statvfs(self._board.root_dir or "/")
        return figures[0] * figures[3] - _RESERVE

    async def _used(self, directory):
        """Bytes of flash that emptying `directory` gives back; a directory of littlefs has two blocks."""
        used = 0
        places = [directory]
        while places:
            place = places.pop()
            try:
                names = os.listdir(place)
            except OSError:
                continue  # it is not there
            used += 2 * _FLASH_BLOCK
            for name in names:
                figures = os.stat(place + "/" + name)
                if figures[0] & _DIRECTORY:
                    places.append(place + "/" + name)
                else:
                    used += -(-figures[6] // _FLASH_BLOCK) * _FLASH_BLOCK
            await asyncio.sleep_ms(0)
        return used

    # -- image of MicroPython ------------------------------------------------------------------------------------------

    def _partition(self, size):
        partition = self._board.ota_partition()
        if partition is None:
            text = "this build of MicroPython has no second partition for an image; send the .bundle"
            raise UpdateError(400, "NO_OTA_PARTITION", text)
        if size > partition.size + _FORM_MAX:
            raise _too_large("partition %s has %d KB" % (partition.label, partition.size // 1024))
        return partition

    async def _image(self, slots, partition, piece, read, size):
        block = bytearray(_FLASH_BLOCK)
        filled = number = 0
        version = ""
        while piece or filled:
            count = min(len(piece), _FLASH_BLOCK - filled)
            block[filled : filled + count] = piece[:count]
            filled += count
            self._counted(piece[:count])
            piece = piece[count:]
            ended = False
            if not piece:
                piece = await read()
                ended = not piece
            if filled < _FLASH_BLOCK and not ended:
                continue
            if not number:
                version = self._check_image(block, filled, partition)
            if (number + 1) * _FLASH_BLOCK > partition.size:
                raise _too_large("partition %s has %d KB" % (partition.label, partition.size // 1024))
            for i in range(filled, _FLASH_BLOCK):
                block[i] = 0xFF
            partition.write(number, block)
            number += 1
            filled = 0
            self._progress("RECEIVING", self._count, size)
            await asyncio.sleep_ms(0)
        try:
            partition.finish()
        except OSError as error:
            raise UpdateError(400, "INVALID_IMAGE", "the ESP32 does not accept the image: %s" % error)
        return partition.label, version

    def _check_image(self, block, count, partition):
        """The version in the description of the image that begins with `block`. Raises UpdateError."""
        if count < _IMAGE_MIN or block[32:36] != _DESCRIPTION:
            raise UpdateError(
                400, "INVALID_IMAGE", "no ESP32 application image (send the .app-bin, not the whole flash)"
            )
        chip = block[12] | block[13] << 8
        if chip != getattr(partition, "chip_id", chip):
            text = "the image is for chip id %d, this machine has %d" % (chip, partition.chip_id)
            raise UpdateError(400, "WRONG_CHIP", text)
        return _text(block, 48) or _text(block, 80)
