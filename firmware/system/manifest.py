"""Reads manifest.json, of a bundle or a slot, entry by entry: it is never in memory as a whole.

Part of bundle.py, and of rescue.mpy: only builtin modules and archive.py are imported.
"""

import json
from micropython import const
from firmware.system.archive import BundleError

_PIECE = const(256)
_HEAD_MAX = const(512)  # what comes before the list of files
_ENTRY_MAX = const(256)
_FILES_MAX = const(600)
_TOTAL_MAX = const(4194304)
_PATH_MAX = const(100)
_PLACES = ("firmware", "lib", "www")
_LETTERS = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-."


def _check_path(path):
    """Raises BundleError unless `path` is one of ours: DIRECTORY/.../NAME.SUFFIX below firmware, lib or www."""
    words = path.split("/")
    good = 1 < len(words) < 7 and len(path) <= _PATH_MAX and words[0] in _PLACES and not path.strip(_LETTERS + "/")
    for i, word in enumerate(words):
        # a dot in files only, so that no file can stand where another needs a directory
        if not word or word.startswith(".") or ("." in word) != (i == len(words) - 1):
            good = False
        for letter in word:
            if letter not in _LETTERS:
                good = False
    if not good:
        raise BundleError("path %s is not allowed" % repr(path[:_PATH_MAX]))


class Manifest:
    """Reads manifest.json entry by entry. `read(count)` gives its text; the list of files must be its last key."""

    def __init__(self, read):
        self._read = read
        self._text = b""
        self._count = self._total = 0
        self._last = ""
        head = self._until(b'"files"', _HEAD_MAX)
        if self._until(b"{", 8).strip() != b":":
            raise BundleError("the manifest has no list of files")
        try:
            self.head = json.loads(head.rstrip().rstrip(b",") + b"}")
        except ValueError:
            raise BundleError("the manifest is no JSON")
        for key in ("name", "version", "family", "micropython"):
            value = self.head.get(key) if isinstance(self.head, dict) else None
            if not isinstance(value, str) or not 0 < len(value) < 32:
                raise BundleError("the manifest has no proper " + key)

    def _more(self):
        piece = self._read(_PIECE)
        if not piece:
            raise BundleError("the manifest is cut off")
        self._text += piece

    def _until(self, mark, limit):
        """The text before `mark`, which is passed too."""
        while True:
            at = self._text.find(mark)
            if at > limit or (at < 0 and len(self._text) > limit):
                raise BundleError("the manifest has no proper list of files")
            if at >= 0:
                text = self._text[:at]
                self._text = self._text[at + len(mark) :]
                return text
            self._more()

    def _sign(self):
        """The next character that is no blank."""
        while True:
            self._text = self._text.lstrip()
            if self._text:
                sign = self._text[:1]
                self._text = self._text[1:]
                return sign
            self._more()

    def next(self):
        """(path, SHA-256 in hex, size) of the next file, None after the last."""
        sign = self._sign()
        if sign == b"}":
            self._end()
            return None
        if self._count and sign != b",":
            raise BundleError("the manifest is no JSON")
        entry = self._until(b"]", _ENTRY_MAX)
        try:
            entry = json.loads(b"{" + (b"" if self._count else sign) + entry + b"]}")
            ((path, (digest, size)),) = entry.items()
            if len(digest) != 64 or digest.strip("0123456789abcdef") or type(size) is not int or size < 0:
                raise ValueError
        except (ValueError, TypeError, AttributeError):
            raise BundleError("the manifest lists something that is no file")
        _check_path(path)
        if path <= self._last:
            raise BundleError("the manifest is not in the order of its paths at " + path)
        self._last = path
        self._count += 1
        self._total += size
        if self._count > _FILES_MAX or self._total > _TOTAL_MAX:
            raise BundleError("the bundle is too large", "PAYLOAD_TOO_LARGE")
        return path, digest, size

    def _end(self):
        if not self._count:
            raise BundleError("the manifest lists no files")
        if self._sign() != b"}":
            raise BundleError('"files" must be the last key of the manifest')
        while True:
            if self._text.strip():
                raise BundleError("something follows the manifest")
            self._text = self._read(_PIECE)
            if not self._text:
                return
