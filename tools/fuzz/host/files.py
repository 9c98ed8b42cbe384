"""Files and what is kept: update bundles, the stored configuration, and the bodies that change it."""

from __future__ import annotations

import hashlib
import io
import json
import random
import tarfile
import zlib

from hypothesis import strategies as st

from tests import bundles
from tools.fuzz.host.common import byte, headed, mutant, need, noise

# -- bundles --

names = st.sampled_from("firmware/a.mpy firmware/b.py lib/c.mpy www/d.gz www/x/e.gz ../x boot.py www/.a".split())
files = st.dictionaries(names, st.binary(max_size=700), max_size=4)
changes = st.dictionaries(
    st.sampled_from(tuple(bundles.HEAD)),
    st.one_of(st.none(), st.sampled_from(("x64", "tinybms-gw", "1.28.0", "9.9")), st.integers()),
    max_size=1,
)


@st.composite
def bundle(draw):
    """A bundle; half of them damaged before they are compressed, where a checksum does not find it."""
    some = draw(files)
    archive = bundles.tar([("manifest.json", bundles.manifest(some, **draw(changes))), *sorted(some.items())])
    archive += bytes(draw(st.sampled_from((0, 0, 512, 20_000, 200_000))))
    if draw(st.booleans()):
        archive = mutant(archive, random.Random(draw(st.integers(0, 1 << 32))))
    return bundles.pack(archive, draw(st.sampled_from((9, 12, 12, 12, 15))))


def unpacked(case):
    """What a gzip file holds, also with a wrong trailer: of a bundle the SHA-256 of each file is what counts."""
    stream, data = zlib.decompressobj(31), b""
    for one in case:
        try:
            data += stream.decompress(bytes((one,)))
        except zlib.error:
            break
    return data


def check_bundle(case, told):
    if told != "good":
        return
    with tarfile.open(fileobj=io.BytesIO(unpacked(case))) as archive:
        read = {member.name: archive.extractfile(member).read() for member in archive}
    manifest = json.loads(read.pop("manifest.json"))
    need(manifest["name"] == "tinybms-gw" and manifest["family"] == "x64")
    need({name: [hashlib.sha256(data).hexdigest(), len(data)] for name, data in read.items()} == manifest["files"])
    need(all(name.split("/")[0] in ("firmware", "lib", "www") and ".." not in name for name in read), read.keys())


# -- configuration --

KEYS = (
    "charge.ccl_max_ma charge.cvl_max_mv charge.rebulk_soc can.enabled can.speed_bps uart.baudrate uart.poll_interval_ms"
    " mqtt.port mqtt.broker_uri mqtt.topics.status mqtt.keepalive wifi.ssid wifi.password"
    " wifi.sta_ssid system.board time.utc_offset_min"
    " alerts.debounce_sec history.interval_ms log.level auth.password_hash auth.rounds device.name"
    " can.tx_pin uart.rx_pin http.port"
).split()
scalar = st.one_of(
    st.integers(), st.integers(-10, 100_000), st.booleans(), st.none(), st.text(max_size=40), st.floats(),
    st.sampled_from(("mqtt://a:1", "mqtts://x", "********", "info", "é" * 70, "", "esp32", "a\0b")),
)  # fmt: skip
value = st.recursive(
    scalar, lambda x: st.one_of(st.lists(x, max_size=3), st.dictionaries(st.text(max_size=8), x, max_size=3)), max_leaves=4
)  # fmt: skip
flat = st.dictionaries(st.sampled_from(KEYS), value, max_size=5)


def framed(values):
    body = json.dumps(values)
    return b'{"crc":"%08X","values":' % zlib.crc32(body.encode()) + body.encode() + b"}"


deep = st.integers(1, 3000).flatmap(
    lambda n: st.sampled_from((b"[" * n, b'{"values":' * n, b'{"values":{"a":' + b"[" * n + b"]" * n + b"}}"))
)
plain = st.dictionaries(st.sampled_from(KEYS), scalar, max_size=5)
stored = headed(
    st.just(b"\0"),
    st.one_of(plain.map(framed), flat.map(framed), flat.map(lambda v: json.dumps({"values": v}).encode()), deep, noise),
)


def nested(values):
    """The form of GET /api/config."""
    result = {}
    for key, held in values.items():
        place = result
        *groups, leaf = key.split(".")
        for group in groups:
            place = place.setdefault(group, {})
        place[leaf] = held
    return result


def leaves(values):
    return {key.split(".", 1)[1]: held for key, held in values.items()}


body = headed(
    byte,
    st.one_of(
        plain.map(lambda v: json.dumps(nested(v)).encode()),
        plain.map(lambda v: json.dumps({key.replace(".", "_"): held for key, held in v.items()}).encode()),
        flat.map(lambda v: json.dumps({"format": "tinybms-gw-config", "version": 1, "config": nested(v)}).encode()),
        flat.map(lambda v: json.dumps(leaves(v)).encode()),
        value.map(lambda v: json.dumps(v).encode()),
        deep,
    ),
)


def check_stored(case, told):
    values, problem = told
    try:
        text = case[1:].decode()
        held = json.loads(text)["values"]
        good = text[8:16] == f"{zlib.crc32(text[27:-1].encode()):08X}" and isinstance(held, dict)
    except (ValueError, KeyError, TypeError, RecursionError):
        return
    if good:  # what was stored whole comes back, or the problem says what does not
        lost = {key for key in held if key in values and values[key] != held[key]}
        need(not lost, lost, problem)
