"""Update bundles for tests, good ones and hostile ones. Also understood by old zlibs: only the standard library is used."""

import hashlib
import json
import tarfile
import zlib
from pathlib import Path

HEAD = {"name": "tinybms-gw", "version": "9.9.9", "chip": "host", "family": "x64", "micropython": "1.23.0"}


def manifest(files, **changes):
    """manifest.json of {path: contents} as bytes; `changes` replace what its head says (None: leave the key out)."""
    head = {key: value for key, value in (HEAD | changes).items() if value is not None}
    listed = {path: [hashlib.sha256(data).hexdigest(), len(data)] for path, data in sorted(files.items())}
    return json.dumps({**head, "files": listed}, separators=(",", ":")).encode()


def member(name, data, kind=tarfile.REGTYPE, link=""):
    """One member of a tar with its padding."""
    info = tarfile.TarInfo(name)
    info.size, info.type, info.linkname = len(data), kind, link
    return info.tobuf(tarfile.USTAR_FORMAT) + data + bytes(-len(data) % 512)


def tar(members, end=bytes(1024)):
    """An archive of [(name, contents)]."""
    return b"".join(member(name, data) for name, data in members) + end


def pack(archive, window_bits=12):
    """The archive gzipped, with a window of 2 ** window_bits bytes."""
    packer = zlib.compressobj(9, zlib.DEFLATED, 16 + window_bits)
    return packer.compress(archive) + packer.flush()


def bundle(files, **changes):
    """A good bundle of {path: contents}."""
    return pack(tar([("manifest.json", manifest(files, **changes)), *sorted(files.items())]))


def slot_files(slot):
    """{path: contents} of a slot directory, without its manifest."""
    slot = Path(slot)
    found = {path.relative_to(slot).as_posix(): path.read_bytes() for path in slot.rglob("*") if path.is_file()}
    return {name: data for name, data in found.items() if name != "manifest.json" and not name.endswith(".new")}


def image(size=20_000, chip=0, version="v1.99.0", name="micropython"):
    """Something that looks like an ESP32 application image: header, description, contents."""
    header = bytes([0xE9, 3, 2, 0x20]) + bytes(8) + chip.to_bytes(2, "little") + bytes(18)
    text = bytes.fromhex("3254cdab") + bytes(12) + version.encode().ljust(32, b"\0") + name.encode().ljust(32, b"\0")
    return (header + text).ljust(size, b"\x5a")


def form(data, name="firmware", kind="application/octet-stream", filename="update.bundle", boundary="5c1bd2d0e"):
    """(body, headers) of a form with one file; `kind` None: the part has no Content-Type, `filename` None: a plain field."""
    head = f'--{boundary}\r\nContent-Disposition: form-data; name="{name}"'
    if filename is not None:
        head += f'; filename="{filename}"'
    if kind is not None:
        head += f"\r\nContent-Type: {kind}"
    body = head.encode() + b"\r\n\r\n" + data + f"\r\n--{boundary}--\r\n".encode()
    return body, {"Content-Type": f"multipart/form-data; boundary={boundary}"}
