"""Update bundles made by hand, under MicroPython: gzip with stored blocks, so that no compressor is needed; and slots."""

import binascii
import hashlib
import json
import os

HEAD = {"name": "tinybms-gw", "version": "2.0.0", "chip": "host", "family": "x64", "micropython": "1.23.0"}
FILES = {
    "firmware/app.mpy": b"new application " * 90,
    "firmware/bms/data.txt": b"",
    "lib/microdot/microdot.mpy": bytes(range(256)) * 3,
    "www/app.1a2b3c4d.js.gz": b"page",
}


def gzip(data):
    """`data` as a gzip file that compresses nothing."""
    out = [b"\x1f\x8b\x08\0\0\0\0\0\0\x03"]
    for at in range(0, len(data), 65535):
        piece = data[at : at + 65535]
        size = len(piece)
        last = at + size == len(data)
        out.append(bytes([last]) + size.to_bytes(2, "little") + (size ^ 0xFFFF).to_bytes(2, "little") + piece)
    out.append(binascii.crc32(data).to_bytes(4, "little") + len(data).to_bytes(4, "little"))
    return b"".join(out)


def member(name, data, size=None, kind=b"0", magic=b"ustar\00000", prefix=b""):
    """One member of an archive; `size`: what its header says, an int or the 12 bytes of the field."""
    if size is None:
        size = len(data)
    if isinstance(size, int):
        size = b"%011o\0" % size
    header = bytearray(512)
    name = name if isinstance(name, bytes) else name.encode()
    for at, text in (
        (0, name), (100, b"0000644\0"), (108, b"0000000\0"), (116, b"0000000\0"), (124, size), (136, b"00000000000\0"),
        (148, b"        "), (156, kind), (257, magic), (345, prefix),
    ):  # fmt: skip
        header[at : at + len(text)] = text
    header[148:156] = b"%06o\0 " % sum(header)
    return bytes(header) + data + bytes(-len(data) % 512)


def manifest(files, **changes):
    """manifest.json of {path: contents}."""
    head = dict(HEAD)
    head.update(changes)
    listed = ",".join(
        [
            json.dumps(path) + ':["%s",%d]' % (hashlib.sha256(files[path]).digest().hex(), len(files[path]))
            for path in sorted(files)
        ]
    )
    text = ",".join(["%s:%s" % (json.dumps(key), json.dumps(head[key])) for key in head])
    return ("{" + text + ',"files":{' + listed + "}}").encode()


def archive(files, text=None):
    """The tar of a good bundle; `text`: another manifest."""
    members = [member("manifest.json", manifest(files) if text is None else text)]
    members.extend([member(path, files[path]) for path in sorted(files)])
    return b"".join(members) + bytes(1024)


def bundle(files, **changes):
    return gzip(archive(files, manifest(files, **changes)))


def write_slot(directory, files, **changes):
    """Put a complete slot there."""
    for path in files:
        place = directory
        for word in [""] + path.split("/")[:-1]:
            place += "/" + word if word else ""
            try:
                os.mkdir(place)
            except OSError:
                pass
        with open(directory + "/" + path, "wb") as file:
            file.write(files[path])
    with open(directory + "/manifest.json", "wb") as file:
        file.write(manifest(files, **changes))


def remove_all(path):
    for name in os.listdir(path):
        if os.stat(path + "/" + name)[0] & 0x4000:
            remove_all(path + "/" + name)
        else:
            os.remove(path + "/" + name)
    os.rmdir(path)
