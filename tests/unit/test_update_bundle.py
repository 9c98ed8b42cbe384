"""The bundle reader: what is good goes through unchanged, everything else is refused, whatever a stranger sends."""

import gc
import io
import os

from firmware.system import bundle as reader
from firmware.system.archive import BundleError
from tests.unit import update_parts as parts
from tests.unit.help import new_path, raises
from tests.unit.update_parts import FILES, archive, gzip, manifest, member

_HERE = (1, 27, 0)


def check(data, family="x64", micropython=_HERE, room=None):
    """Look at all of the bundle; gives the number of slices."""
    count = 0
    for _ in reader.check(io.BytesIO(data), family, micropython, room):
        count += 1
    return count


def refused(data, words="", code="INVALID_BUNDLE", **options):
    """Fail unless the bundle is refused with that code, and a text that has `words`."""
    try:
        check(data, **options)
    except BundleError as error:
        assert words in str(error) and error.code == code, (str(error), error.code)
        return str(error)
    raise AssertionError("was taken: " + words)


def test_good_bundle_is_unpacked_and_verified():
    data = io.BytesIO(parts.bundle(FILES))
    assert reader.read_manifest(data) == parts.HEAD
    assert check(data.getvalue()) > 8
    place = new_path("bundle")
    steps = reader.unpack(data, place)
    for _ in steps:
        assert "manifest.json" not in os.listdir(place)  # the last of all
    assert sum(1 for _ in reader.verify(place)) >= 3
    for path in FILES:
        with open(place + "/" + path, "rb") as file:
            assert file.read() == FILES[path]
    with open(place + "/manifest.json", "rb") as file:
        assert file.read() == manifest(FILES)
    for i, _ in enumerate(reader.empty(place)):
        assert i or "manifest.json" not in os.listdir(place)  # the first of all
    assert raises(OSError, os.stat, place)


def test_verify_finds_what_was_not_written():
    place = new_path("bundle")
    parts.write_slot(place, FILES)
    for _ in reader.verify(place):
        pass
    for name, contents in (("firmware/app.mpy", b"x" * 1440), ("www/app.1a2b3c4d.js.gz", b"pagepage")):
        with open(place + "/" + name, "wb") as file:
            file.write(contents)
        try:
            for _ in reader.verify(place):
                pass
            raise ValueError("not found")
        except BundleError as error:
            assert name in str(error)
        with open(place + "/" + name, "wb") as file:
            file.write(FILES[name])
    os.remove(place + "/lib/microdot/microdot.mpy")
    try:
        for _ in reader.verify(place):
            pass
        raise ValueError("not found")
    except BundleError:
        pass
    parts.remove_all(place)


def test_cut_off_anywhere():
    data = parts.bundle(FILES)
    for size in list(range(0, len(data) - 20, 41)) + list(range(len(data) - 20, len(data))):
        refused(data[:size])


def test_any_byte_changed():
    data = bytearray(parts.bundle(FILES))
    for at in range(0, len(data), 7):
        kept = data[at]
        data[at] ^= 0x41
        try:
            check(bytes(data))
            assert 3 < at < 10 or at >= len(data) - 4, at  # time and system of the gzip header; its length at the end
        except BundleError:
            pass
        data[at] = kept


def test_something_follows():
    good = archive(FILES)
    refused(gzip(good) + b"x", "follows the bundle")
    refused(gzip(good) + gzip(b"x" * 600), "follows the bundle")
    refused(gzip(good + b"x" * 512), "follows the archive")
    refused(gzip(good[:-512]), "cut off")
    refused(gzip(good[:-512] + b"x" * 512), "no proper end")
    assert check(gzip(good + bytes(9216)))  # tar fills up its last record


def test_other_machines():
    refused(parts.bundle(FILES, family="xtensawin"), "for xtensawin, this machine is x64", "WRONG_FAMILY")
    refused(parts.bundle(FILES, micropython="1.28.0"), "needs MicroPython 1.28.0", "MICROPYTHON_TOO_OLD")
    refused(parts.bundle(FILES, micropython="1.27.1"), "this machine has 1.27.0", "MICROPYTHON_TOO_OLD")
    assert check(parts.bundle(FILES, micropython="1.27.0"))
    assert check(parts.bundle(FILES, micropython="1.9.4"))
    refused(parts.bundle(FILES, name="toaster"), "is for toaster")
    for head in ({"micropython": "new"}, {"version": ""}, {"version": 5}, {"family": None}, {"name": "x" * 40}):
        refused(parts.bundle(FILES, **head))


def test_paths():
    for path in (
        "../boot.py", "/boot.py", "boot.py", "firmware", "firmware/", "firmware//a.py", "firmware/../boot.py",
        "firmware/./a.py", "firmware/.a", "slot_a/a.py", "data/config.json", "manifest.json", "firmware/a b.py",
        "firmware/a\\b.py", "firmware/\0.py", "firmware/\u00e9.py", "firmware/a", "firmware/a.b/c.py",
        "firmware/" + "x" * 90 + ".py", "a/" * 8 + "b.py", "", ".", "lib/..", "firmware/a.mpy/", "C:/a.py",
        "firmware/a.mpy\n",
    ):  # fmt: skip
        files = dict(FILES)
        files[path] = b"evil"
        refused(gzip(archive(files)), "is not allowed")


def test_names_of_the_archive():
    names = sorted(FILES)

    def tar(change):
        members = [(name, FILES[name]) for name in names]
        members = change(members) or members
        return gzip(
            member("manifest.json", manifest(FILES)) + b"".join([member(*one) for one in members]) + bytes(1024)
        )

    assert check(tar(lambda members: None))
    refused(tar(lambda members: members[:1] + members[2:]), "not what the manifest has there")
    refused(tar(lambda members: members[:-1]), "1 files are missing")
    refused(tar(lambda members: members.append(("firmware/z.mpy", b"x"))), "'firmware/z.mpy' is not in the manifest")
    refused(tar(lambda members: members.insert(1, members[0])), "not what the manifest has there")
    refused(tar(lambda members: members.append(members[-1])), "is not in the manifest")
    refused(tar(lambda members: members.sort(key=lambda one: -ord(one[0][0]))), "not what the manifest has there")
    refused(tar(lambda members: [("../boot.py", b"x")] + members[1:]), "'../boot.py'")
    refused(tar(lambda members: [(names[0], b"New" + FILES[names[0]][3:])] + members[1:]), "SHA-256", "HASH_MISMATCH")
    refused(tar(lambda members: [(names[0], FILES[names[0]] + b"x")] + members[1:]), "not what the manifest has there")


def test_sizes_that_lie():
    def tar(size):
        name = "firmware/a.mpy"
        files = {name: bytes(700)}
        return gzip(member("manifest.json", manifest(files)) + member(name, files[name], size) + bytes(1024))

    assert check(tar(700))
    for size in (
        0,
        699,
        701,
        1024,
        5000,
        b"77777777777\0",
        b"\x80" + bytes(11),
        b"\xff" * 12,
        b"-0000000700\0",
        b"0x000000700\0",
    ):
        refused(tar(size))


def test_only_plain_files():
    for kind in b"1234567xgLK":
        name = "firmware/a.mpy"
        tar = member("manifest.json", manifest({name: b"x"})) + member(name, b"x", kind=bytes([kind])) + bytes(1024)
        refused(gzip(tar), "more than plain files")
    good = archive(FILES)
    header = bytearray(good)
    header[1] = 0x58
    refused(gzip(header), "header in the archive is damaged")
    refused(gzip(member("manifest.json", b"{}", magic=b"GNUtar \0") + bytes(1024)), "more than plain files")
    refused(gzip(archive(FILES)[512 + 512 * (len(manifest(FILES)) // 512 + 1) :]), "manifest.json must come first")
    refused(gzip(bytes(1024)), "manifest.json must come first")


def test_prefix_of_long_paths():
    name = "firmware/" + "d" * 40 + "/" + "e" * 40 + ".mpy"
    files = {name: b"x"}
    split = member("e" * 40 + ".mpy", b"x", prefix=b"firmware/" + b"d" * 40)
    assert check(gzip(member("manifest.json", manifest(files)) + split + bytes(1024)))


def test_manifests():
    good = manifest(FILES).decode()
    digest = good[good.index('["') + 2 :][:64]
    for text, words in (
        ("", "cut off"),
        ("{}", "cut off"),
        ("null", "cut off"),
        ("x" * 3000, "no proper list"),
        ('{"files":{}}', "no proper name"),
        ('[1,"files":{}}', ""),
        (good.replace('"files":', '"files" '), "no list of files"),
        (good[:-1], "cut off"),
        (good[:-1] + "]", "last key"),
        (good[:-1] + ',"more":1}', "last key"),
        (good + "x", "follows the manifest"),
        (good[: good.index('"firmware/app')] + "}}", "lists no files"),
        (good.replace(digest, digest[:-1]), "no file"),
        (good.replace(digest, digest[:-1] + "g"), "no file"),
        (good.replace(digest, digest.upper()), "no file"),
        (good.replace(",1440]", "]"), "no file"),
        (good.replace(",1440]", ",-1]"), "no file"),
        (good.replace(",1440]", ",true]"), "no file"),
        (good.replace(",1440]", ",1440.0]"), "no file"),
        (good.replace(",1440]", ",1440,1]"), "no file"),
        (good.replace(",1440]", ",[1440]]"), "no file"),
        (good.replace('"firmware/app.mpy":', '"firmware/app.mpy":[],"firmware/b.mpy":'), "no file"),
        (good.replace('"firmware/app.mpy"', '"firmware/bms/data.txt"'), "order of its paths"),
        (good.replace('"firmware/app.mpy"', '"lib/z.mpy"'), "order of its paths"),
        (good.replace('"firmware/app.mpy":["' + digest, '"firmware/app.mpy":[["' + digest), "no file"),
        (good.replace('"firmware/app.mpy"', '"' + "x" * 400 + '"'), ""),
    ):
        refused(gzip(archive(FILES, text.encode())), words)
    # blanks are JSON too
    assert check(gzip(archive(FILES, good.replace(",", " ,\n ").replace(":", " : ").replace("}", " } ").encode())))


def test_bombs():
    refused(gzip(member("manifest.json", bytes(80_000))), "manifest is too large")
    digest = "0" * 64
    many = ",".join(['"firmware/a%04d.mpy":["%s",1]' % (i, digest) for i in range(601)])
    head = manifest({}).decode()[:-2]
    refused(gzip(archive({}, (head + many + "}}").encode())), "too large", "PAYLOAD_TOO_LARGE")
    huge = '"firmware/a.mpy":["%s",5000000]}}' % digest
    refused(gzip(archive({}, (head + huge).encode())), "too large", "PAYLOAD_TOO_LARGE")
    huge = '"firmware/a.mpy":["%s",%s]}}' % (digest, "9" * 60)
    refused(gzip(archive({}, (head + huge).encode())), "too large", "PAYLOAD_TOO_LARGE")
    blocks = 3 + 2 * 5  # files, and directories of two: one for the slot, four for those of the files
    refused(parts.bundle(FILES), "KB that the flash has", "PAYLOAD_TOO_LARGE", room=blocks * 4096 - 1)
    assert check(parts.bundle(FILES), room=blocks * 4096)


def test_zeros_behind_the_archive_are_few():
    """Well compressed, 4 GB of them fit an upload, and would be read for hours (found by tools/fuzz)."""
    assert check(gzip(archive(FILES) + bytes(9 * 1024)))  # what tar itself adds
    refused(gzip(archive(FILES) + bytes(70_000)), "follows the archive")


def test_nothing_but_bundles():
    for data in (
        b"",
        b"x",
        b"\x1f\x8b",
        b"\x1f\x8b\x08" + b"\xff" * 50,
        gzip(b""),
        gzip(b"text"),
        gzip(os.urandom(600)),
    ):
        refused(data)
    for _ in range(200):
        refused(b"\x1f\x8b\x08\0\0\0\0\0\0\x03" + os.urandom(60))


def test_memory_stays_small():
    files = {}
    for i in range(120):
        files["firmware/part%03d.mpy" % i] = bytes(1500)
    path = new_path("bundle")
    with open(path, "wb") as file:
        file.write(parts.bundle(files))
    del files
    with open(path, "rb") as file:
        gc.collect()
        before = least = gc.mem_free()
        longest = last = 0
        for i, at in enumerate(reader.check(file, "x64", _HERE)):
            longest, last = max(longest, at - last), at
            if i % 20 == 0:
                gc.collect()
                least = min(least, gc.mem_free())
    os.remove(path)
    assert before - least < 16_000, before - least
    assert longest < 2600, longest  # bytes between two pauses: a slice, a header, what fills up a block
