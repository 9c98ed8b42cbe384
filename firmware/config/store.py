"""config.json: read, and replaced so that a power cut leaves the old file or the new one."""

import binascii
import json
import os
from errno import EIO

_NAME = "/config.json"
_TEMPORARY = "/config.tmp"
_BAD = "/config.bad"
_DAMAGED = "the stored configuration was damaged and is set aside as config.bad; defaults in use"
_HEAD = '{"crc":"%08X","values":'
_HEAD_SIZE = 27


def _exists(path):
    try:
        os.stat(path)
        return True
    except OSError:
        return False


def _remove(path):
    try:
        os.remove(path)
    except OSError:
        pass


def _parse(text):
    """The values in the text of the file; ValueError when it is damaged. A file that holds only "values" was made by hand."""
    obj = json.loads(text)
    if not isinstance(obj, dict) or not isinstance(obj.get("values"), dict):
        raise ValueError("no values")
    for key in obj["values"]:
        if not isinstance(key, str):  # the parser takes {1: 2}, and commas that are missing
            raise ValueError("no name")
    if len(obj) > 1 and text != _frame(text[_HEAD_SIZE:-1]):
        raise ValueError("checksum")
    return obj["values"]


def _frame(body):
    return _HEAD % binascii.crc32(body.encode()) + body + "}"


def read(directory):
    """(stored values or None, problem text). A damaged file becomes config.bad; the text stands until a good one is stored."""
    _remove(directory + _TEMPORARY)
    path = directory + _NAME
    if not _exists(path):
        return None, _DAMAGED if _exists(directory + _BAD) else ""
    try:
        with open(path) as file:
            return _parse(file.read()), ""
    except (OSError, ValueError, MemoryError, RuntimeError):  # RuntimeError: nested too deep
        pass
    try:
        os.rename(path, directory + _BAD)
        return read(directory)
    except OSError as error:
        return None, "the stored configuration is damaged and cannot be set aside (%s); defaults in use" % error


def write(directory, values):
    """Store `values`: temporary file, read back, rename. Raises OSError; then the old file is still there."""
    text = _frame(json.dumps(values))
    path = directory + _TEMPORARY
    try:
        with open(path, "w") as file:
            file.write(text)
        with open(path) as file:
            if file.read() != text:
                raise OSError(EIO)
        os.rename(path, directory + _NAME)
    except OSError:
        _remove(path)
        raise
