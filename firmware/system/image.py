"""Brings an ESP32 application image into the idle OTA partition while it comes in. Part of update.py.

Header and description: esp_image_format.h (magic 0xE9, chip id at 12), esp_app_desc.h (at 32: version +16, project +48).
"""

import asyncio
from micropython import const
from firmware.system.update import UpdateError

_FORM_MAX = const(1024)  # what a form adds to its file
_BLOCK = const(4096)
_DESCRIPTION = b"\x32\x54\xcd\xab"
_IMAGE_MIN = const(288)
_CHIPS = {"esp32": 0, "esp32s2": 2, "esp32c3": 5, "esp32s3": 9, "esp32c6": 13}  # chip ids


def _text(block, at):
    """The text at `at` in the description of an image, 32 bytes with zeros behind."""
    try:
        return bytes(block[at : at + 32]).split(b"\0", 1)[0].decode()
    except ValueError:
        return ""


class Image:
    """For an upload of `size` bytes. Raises UpdateError 400, 413."""

    def __init__(self, update, size):
        self._update = update
        self._partition = update.board.ota_partition()
        if self._partition is None:
            text = "this build of MicroPython has no second partition for an image; send the .bundle"
            raise UpdateError(400, "NO_OTA_PARTITION", text)
        self.label = self._partition.label
        self._fits(size - _FORM_MAX)
        self._block = bytearray(_BLOCK)
        self._number = 0
        self._version = ""

    def _fits(self, size):
        if size > self._partition.size:
            text = "partition %s has %d KB" % (self.label, self._partition.size // 1024)
            raise UpdateError(413, "PAYLOAD_TOO_LARGE", text)

    async def take(self, piece, read, size):
        """Write the image, make it the next to start, give its version. Raises UpdateError, OSError."""
        update = self._update
        filled = 0
        while piece:
            update.counted(piece)
            while piece:
                count = min(len(piece), _BLOCK - filled)
                self._block[filled : filled + count] = piece[:count]
                filled += count
                piece = piece[count:]
                if filled == _BLOCK:
                    await self._write(filled)
                    filled = 0
            update.progress("RECEIVING", update.count, size)
            piece = await read()
        if filled:
            await self._write(filled)
        try:
            self._partition.finish()
        except OSError as error:
            raise UpdateError(400, "INVALID_IMAGE", "the ESP32 does not accept the image: %s" % error)
        return self._version

    async def _write(self, filled):
        block, number = self._block, self._number
        if not number:
            self._check(filled)
        self._fits(number * _BLOCK + filled)
        for i in range(filled, _BLOCK):
            block[i] = 0xFF
        self._partition.write(number, block)
        self._number += 1
        await asyncio.sleep_ms(0)

    def _check(self, filled):
        """Look at header and description in the first block."""
        block = self._block
        if filled < _IMAGE_MIN or block[32:36] != _DESCRIPTION:
            raise UpdateError(
                400, "INVALID_IMAGE", "no ESP32 application image (send the .app-bin, not the whole flash)"
            )
        name = self._update.board.chip()
        chip = block[12] | block[13] << 8
        if chip != _CHIPS.get(name, chip):
            raise UpdateError(
                400, "WRONG_CHIP", "the image is not for the %s of this machine (chip id %d)" % (name, chip)
            )
        self._version = _text(block, 48) or _text(block, 80)
