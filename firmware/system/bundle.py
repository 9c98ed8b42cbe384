"""Reads an update bundle: a gzipped ustar archive, `manifest.json` first, then the files in the manifest's order.

    for at in check(file, "xtensawin", (1, 27, 0)): ...     looks at every byte, changes nothing
    for at in empty("/slot_b"): ...                         the manifest goes first: what is left is no application
    for at in unpack(file, "/slot_b"): ...                  the manifest comes last: only then it is one
    for at in verify("/slot_b"): ...                        reads back what was written

Generators, so that the event loop goes on: a slice is at most 1 KB of contents, or one small file opened or removed. No file
and no manifest is ever in memory as a whole. Also built into rescue.mpy: imports only builtin modules, archive.py, manifest.py.

The archive holds only plain files, in the order of the manifest, whose paths ascend (so none comes twice), and the window of its
compression is 4 KB (zlib's wbits 16 + 12).
"""

import hashlib
import os
from micropython import const
from firmware.system.archive import BundleError, Tar
from firmware.system.manifest import Manifest

_SLICE = const(1024)
_PIECE = const(256)  # of the manifest
_MANIFEST = "manifest.json"
_MANIFEST_MAX = const(65536)
_KEY = const(4)
_RECORD = const(12)
_FLASH_BLOCK = const(4096)
_EEXIST = const(17)
_ENOSPC = const(28)
_DIRECTORY = const(0x4000)


def _open_manifest(tar):
    """Go to the manifest, which must come first. A function that reads it."""
    if not tar.next() or tar.name != _MANIFEST:
        raise BundleError("no update bundle of TinyBMS-GW: manifest.json must come first")
    if tar.size > _MANIFEST_MAX:
        raise BundleError("the manifest is too large")
    piece = memoryview(bytearray(_PIECE))

    def read(count):
        return bytes(piece[: tar.readinto(piece)])

    return read


def read_manifest(file):
    """The manifest of the bundle in `file` without its list of files: {"name", "version", "chip", "family", "micropython"}.

    Raises BundleError. Nothing but the form is checked.
    """
    return Manifest(_open_manifest(Tar(file))).head


def _numbers(version):
    """ "1.23.0" as (1, 23, 0)."""
    words = version.split(".")
    for word in words:
        if not word.isdigit() or len(word) > 4:
            raise BundleError("the manifest has no proper micropython")
    return tuple([int(word) for word in words])


def _fits(head, family, micropython):
    """Raises BundleError unless a machine of this family with this MicroPython can run what `head` describes."""
    if head["name"] != "tinybms-gw":
        raise BundleError("the bundle is for %s, not for tinybms-gw" % head["name"])
    if head["family"] != family:
        raise BundleError("the bundle is for %s, this machine is %s" % (head["family"], family), "WRONG_FAMILY")
    if tuple(micropython[:3]) < _numbers(head["micropython"]):
        running = ".".join([str(number) for number in micropython[:3]])
        text = "the bundle needs MicroPython %s, this machine has %s" % (head["micropython"], running)
        raise BundleError(text, "MICROPYTHON_TOO_OLD")


def _key(path, size):
    return hashlib.sha256(b"%s %d" % (path, size)).digest()[:_KEY]


def _list(manifest, records, limit):
    """Generator: fills `records` with what must come after the manifest, 12 bytes a file: of its path and size, and of its hash.

    Raises BundleError when the files need more than `limit` bytes of flash (None: no limit).
    """
    needed = 2 * _FLASH_BLOCK
    place = ""
    while entry := manifest.next():
        path, digest, size = entry
        if path.rpartition("/")[0] != place:  # a directory of littlefs has a pair of blocks; some count twice
            place = path.rpartition("/")[0]
            needed += 2 * _FLASH_BLOCK
        needed += -(-size // _FLASH_BLOCK) * _FLASH_BLOCK
        if limit is not None and needed > limit:
            text = "the files need more than the %d KB that the flash has for them" % (limit // 1024)
            raise BundleError(text, "PAYLOAD_TOO_LARGE")
        records.extend(_key(path, size))
        records.extend(bytes.fromhex(digest)[: _RECORD - _KEY])
        yield


def _files(file, begin, take, room=None):
    """Generator over all of the bundle: checks form and hashes; gives its place in `file` after each slice.

    `begin(path)` is called before each file, `take(view)` with each piece of it, `begin(None)` after the last.
    """
    file.seek(0, 2)
    size = file.tell()
    tar = Tar(file)
    records = bytearray()
    for _ in _list(Manifest(_open_manifest(tar)), records, room):
        yield tar.at
    buffer = memoryview(bytearray(_SLICE))
    for at in range(0, len(records), _RECORD):
        if not tar.next():
            raise BundleError("%d files are missing" % ((len(records) - at) // _RECORD))
        if _key(tar.name, tar.size) != records[at : at + _KEY]:
            raise BundleError("%s (%d bytes) is not what the manifest has there" % (repr(tar.name), tar.size))
        begin(tar.name)
        yield tar.at
        sha = hashlib.sha256()
        while count := tar.readinto(buffer):
            piece = buffer[:count]
            sha.update(piece)
            take(piece)
            yield tar.at
        if sha.digest()[: _RECORD - _KEY] != records[at + _KEY : at + _RECORD]:
            raise BundleError("%s does not have the SHA-256 of the manifest" % tar.name, "HASH_MISMATCH")
    begin(None)
    if tar.next():
        raise BundleError("%s is not in the manifest" % repr(tar.name))
    yield from tar.finish(size)


def check(file, family, micropython, room=None):
    """Generator: raises BundleError for whatever is wrong with the bundle in `file`; gives its place in it meanwhile.

    `family`: of this machine; `micropython`: its version, a tuple; `room`: bytes of flash for the unpacked files.
    """
    _fits(read_manifest(file), family, micropython)
    yield 0
    yield from _files(file, bool, len, room)


def _make_directory(path):
    try:
        os.mkdir(path)
    except OSError as error:
        if error.errno != _EEXIST:
            raise


def unpack(file, directory):
    """Generator: writes the files of the bundle in `file` into `directory`, which is empty or not there; the manifest last.

    Gives its place in `file`. Raises BundleError, and OSError when the flash is full or bad.
    """
    made = []
    out = [None]

    def begin(path):
        if out[0]:
            out[0].close()
        out[0] = None
        if path is None:
            return
        place = directory
        for word in path.split("/")[:-1]:
            place += "/" + word
            if place not in made:
                _make_directory(place)
                made.append(place)
        out[0] = open(directory + "/" + path, "wb")

    def take(piece):
        if out[0].write(piece) != len(piece):
            raise OSError(_ENOSPC)

    _make_directory(directory)
    try:
        yield from _files(file, begin, take)
    finally:
        if out[0]:
            out[0].close()
    yield from _put_manifest(file, directory + "/" + _MANIFEST)


def _put_manifest(file, path):
    tar = Tar(file)
    read = _open_manifest(tar)
    with open(path + ".new", "wb") as out:
        while piece := read(_PIECE):
            out.write(piece)
            yield tar.at
    os.rename(path + ".new", path)


def verify(directory):
    """Generator: raises BundleError unless `directory` holds what its manifest says; gives the bytes it has read."""
    done = 0
    buffer = memoryview(bytearray(_SLICE))
    try:
        with open(directory + "/" + _MANIFEST, "rb") as text:
            manifest = Manifest(text.read)
            while entry := manifest.next():
                path, digest, size = entry
                sha = hashlib.sha256()
                with open(directory + "/" + path, "rb") as file:
                    while count := file.readinto(buffer):
                        sha.update(buffer[:count])
                        size -= count
                        done += count
                        yield done
                if size or sha.digest().hex() != digest:
                    raise BundleError("%s/%s does not hold what was written" % (directory, path), "HASH_MISMATCH")
    except OSError as error:
        raise BundleError("%s cannot be read: %s" % (directory, error))


def empty(directory):
    """Generator: removes all files of `directory`, the manifest first, and its directories; the directory itself too.

    Gives the number of files removed so far. What cannot be removed stays.
    """
    done = 0
    left = []
    try:
        os.remove(directory + "/" + _MANIFEST)
    except OSError:
        pass
    places = [directory]
    while places:
        place = places.pop()
        try:
            names = os.listdir(place)
        except OSError:
            continue
        left.append(place)
        for name in names:
            path = place + "/" + name
            try:
                if os.stat(path)[0] & _DIRECTORY:
                    places.append(path)
                else:
                    os.remove(path)
                    done += 1
            except OSError:
                pass
            yield done
    while left:
        try:
            os.rmdir(left.pop())
        except OSError:
            pass
        yield done
