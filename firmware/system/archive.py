"""Reads a gzipped ustar archive member by member. Part of bundle.py, and of rescue.mpy: only builtin modules are imported.

Stricter than tar, because the sender is a stranger: only plain files, and nothing follows the end.
"""

import deflate
from micropython import const

_WINDOW_BITS = const(12)  # a window of 4 KB
_EINVAL = const(22)
_SIZE_MAX = const(4194304)
_ZEROS_MAX = const(65536)  # behind the archive; tar fills up to 10 KB. Compressed, 4 GB of them fit an upload

# The ustar header, a block of 512 bytes: name 0-99, size 124-135, checksum 148-155, type 156, magic 257, prefix 345-499
_BLOCK = const(512)
_MASK = const(511)


class BundleError(Exception):
    """What is wrong with a bundle: text for a person, and `code` for a program. Arguments by position."""

    def __init__(self, text, code="INVALID_BUNDLE"):
        super().__init__(text)
        self.code = code


class Tar:
    """The members of the archive one after another: `next`, then `name`, `size` and what is `left` to be read.

    `at`: how far in `file` it is; DeflateIO reads byte after byte, no further than it must.
    """

    def __init__(self, file):
        file.seek(0)
        self._file = file
        self._inflate = deflate.DeflateIO(file, deflate.GZIP, _WINDOW_BITS)
        self._header = bytearray(_BLOCK)
        self.at = 0  # bytes of the bundle that were read
        self.left = self._padding = self.size = 0
        self.name = ""

    def _readinto(self, view):
        """Bytes put into `view`: 0 at the end of the archive."""
        try:
            count = self._inflate.readinto(view)
        except EOFError:
            raise BundleError("the bundle is cut off")
        except OSError as error:
            if error.errno != _EINVAL:
                raise
            raise BundleError("the bundle is damaged, or compressed with a window above 4 KB")
        self.at = self._file.tell()
        return count

    def readinto(self, view):
        """Bytes of the member put into `view`, which may be longer than what is left of it; 0 at its end."""
        if self.left < len(view):
            view = view[: self.left]
        if not view:
            return 0
        count = self._readinto(view)
        if not count:
            raise BundleError("the archive is cut off")
        self.left -= count
        return count

    def _block(self):
        view = memoryview(self._header)
        while view:
            count = self._readinto(view)
            if not count:
                raise BundleError("the archive is cut off")
            view = view[count:]

    def next(self):
        """Go on to the next member (the present one was read to its end); False after the last."""
        padding = self._padding
        while padding:
            padding -= self._readinto(memoryview(self._header)[:padding]) or padding
        header = self._header
        self._block()
        if not any(header):
            self._block()
            if any(header):
                raise BundleError("the archive has no proper end")
            return False
        numbers = (_octal(header, 148, 8), _octal(header, 124, 12))
        if numbers[0] != sum(header) - sum(memoryview(header)[148:156]) + 8 * 32:
            raise BundleError("a header in the archive is damaged")
        if header[257:262] != b"ustar" or header[156] not in b"0\0":
            raise BundleError("the archive holds more than plain files")
        self.name = _text(header, 0, 100)
        prefix = _text(header, 345, 155)
        if prefix and header[262] == 0:
            self.name = prefix + "/" + self.name
        self.left = self.size = numbers[1]
        self._padding = -numbers[1] & _MASK
        return True

    def finish(self, size):
        """Generator: the zeros behind the archive. Raises BundleError unless then the bundle of `size` bytes ends."""
        zeros = 0
        while count := self._readinto(self._header):
            zeros += count
            if zeros > _ZEROS_MAX or any(memoryview(self._header)[:count]):
                raise BundleError("something follows the archive")
            yield self.at
        if self.at != size:
            raise BundleError("something follows the bundle")


def _octal(header, at, size):
    number = 0
    for digit in bytes(header[at : at + size]).strip(b" \0"):
        if not 48 <= digit <= 55 or number > _SIZE_MAX:
            raise BundleError("a header in the archive has a bad number")
        number = number * 8 + digit - 48
    return number


def _text(header, at, size):
    try:
        return bytes(header[at : at + size]).split(b"\0", 1)[0].decode()
    except ValueError:
        raise BundleError("a header in the archive has a bad name")
