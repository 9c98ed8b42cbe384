"""Brings the spooled bundle into the idle slot. Part of update.py, loaded when the upload is complete."""

import asyncio
import os
import sys
from micropython import const
from firmware import lazy
from firmware.system.update import UpdateError

_MANY = const(100_000)  # more files than there are: 0 %
_UNPACKED = const(3)  # so many times longer than the bundle, about
_FLASH_BLOCK = const(4096)
_DIRECTORY = const(0x4000)


async def install(update):
    """Check the bundle that `update` has received, then fill its slot; gives the version. Raises UpdateError, OSError."""
    from firmware.system.archive import BundleError

    try:
        with open(update.spool(), "rb") as file:
            return await _unpack(update, file)
    except BundleError as error:
        raise UpdateError(413 if error.code == "PAYLOAD_TOO_LARGE" else 400, error.code, str(error))
    finally:
        for name in ("bundle", "manifest", "archive"):
            lazy.drop("system." + name)


async def _unpack(update, file):
    from firmware.system.bundle import check, empty, read_manifest, unpack, verify

    board = update.board
    directory = board.root_dir + "/" + update.slot
    version = read_manifest(file)["version"]
    room = update.free() + await _used(directory)
    await _all(update, "CHECKING", check(file, board.family(), sys.implementation.version, room), update.count)
    update.ota.partition = update.ota.version = ""
    await _all(update, "WRITING", empty(directory), _MANY)
    await _all(update, "WRITING", unpack(file, directory), update.count)
    await _all(update, "VERIFYING", verify(directory), _UNPACKED * update.count)
    return version


async def _all(update, state, steps, total):
    for done in steps:
        update.progress(state, done, total)
        await asyncio.sleep_ms(0)


async def _used(directory):
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
