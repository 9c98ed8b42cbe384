"""Read the running history and the archive, piece by piece. Loaded when asked.

The generators yield None between two slices of work, so that whoever runs them can let others run.
"""

import binascii
import struct
import time
from micropython import const
from firmware.history import ring as live_ring
from firmware.history import store
from firmware.history.ring import CAPACITY
from firmware.history.summary import AMPERE_STEP, FORMAT, HALF_PERCENT, NO_CELL, SIZE, VOLT_STEP

_SLICE = const(16)  # records
_POWERS = (1, 10, 100, 1000)


def ring_of(archive, resolution):
    """The RingFile of "1m" or "15m"."""
    return archive.minutes if resolution == "1m" else archive.quarters


def shape(history, resolution):
    """(interval in ms, capacity) of "live", "1m" or "15m"."""
    if resolution == "live":
        return history.interval_ms, CAPACITY
    ring = ring_of(history.archive, resolution)
    return ring.period * 1000, ring.capacity


def file_size(ring):
    """Bytes of all files of a RingFile."""
    return ring.capacity * SIZE


class Archived:
    """The records of one ring as of now, old to new: (Unix ms or ms since start, record of SIZE bytes).

    `first`, `last`: only records that begin between these, in the same ms; None has no bound. Only these are read.
    """

    def __init__(self, archive, ring, first=None, last=None):
        self._archive = archive
        self._ring = ring
        self._first = first
        self._last = last
        self._waiting = bytes(memoryview(ring.waiting)[: ring.count * SIZE])
        self._now = 0
        if archive.base_s:
            archive.since.advance()
            self._now = archive.base_s + archive.since.s

    def records(self):
        """Each record."""
        newest = None
        if self._now:
            for item in self._stored():
                if item is not None:
                    newest = item[0]
                yield item
        archive, ring = self._archive, self._ring
        for at in range(0, len(self._waiting), SIZE):
            record = self._waiting[at : at + SIZE]
            stamp = store.time_of(archive, record, ring.period) * 1000
            if (newest is None or stamp > newest) and inside(stamp, self._first, self._last):
                yield stamp, record

    def _stored(self):
        ring = self._ring
        newest = self._now // ring.period * ring.period
        stamp = newest - (ring.capacity - 1) * ring.period
        if self._first is not None:
            stamp = max(stamp, -(-self._first // (1000 * ring.period)) * ring.period)
        if self._last is not None:
            newest = min(newest, self._last // (1000 * ring.period) * ring.period)
        left = (newest - stamp) // ring.period + 1
        buffer = bytearray(_SLICE * SIZE)
        while left > 0:
            slot = stamp // ring.period % ring.capacity
            inside = slot % ring.per_file
            count = min(_SLICE, left, ring.per_file - inside)
            size = self._read(store.path(self._archive, ring, slot), inside * SIZE, memoryview(buffer)[: count * SIZE])
            for i in range(count):
                at = i * SIZE
                if at < size and struct.unpack_from("<I", buffer, at)[0] == stamp:
                    record = memoryview(buffer)[at : at + SIZE]
                    if _whole(record):
                        yield stamp * 1000, record
                stamp += ring.period
            left -= count
            yield None

    @staticmethod
    def _read(path, at, buffer):
        """Bytes read; a file that is not there has none."""
        try:
            with open(path, "rb") as file:
                file.seek(at)
                return file.readinto(buffer)
        except OSError:
            return 0


def inside(stamp, first, last):
    """True when `stamp` is between these; None has no bound."""
    return (first is None or stamp >= first) and (last is None or stamp <= last)


def _whole(record):
    return struct.unpack_from("<H", record, SIZE - 2)[0] == binascii.crc32(record[: SIZE - 2]) & 0xFFFF


# -- numbers as text: the board's floats have 7 digits, these have all ------------------------------------------------


def fixed(value, digits):
    """The integer `value` in 10^-digits (1 to 3) as bytes, a JSON number."""
    power = _POWERS[digits]
    sign = b"-" if value < 0 else b""
    value = abs(value)
    fraction = value % power
    if not fraction:
        return b"%s%d" % (sign, value // power)
    return (b"%s%d.%0*d" % (sign, value // power, digits, fraction)).rstrip(b"0")


def iso(stamp):
    """Unix milliseconds in ISO 8601; None for milliseconds since start."""
    if stamp < 1_000_000_000_000:
        return None
    seconds = stamp // 1000
    if time.gmtime(0)[0] != 1970:
        seconds -= 946_684_800
    return "%04d-%02d-%02dT%02d:%02d:%02d" % time.gmtime(seconds)[:6] + ".%03dZ" % (stamp % 1000)


def rows(names, samples, pieces, quote, none):
    """Each of `samples` as bytes: `pieces` with the time, the ISO time in `quote` and the values at each second place; None as
    it comes. `none` stands for what is unknown. What has not changed since the sample before is not made again."""
    seen = [none] * len(names)  # no number
    minute = start = None  # in ms; the text of its ISO time up to the seconds
    for sample in samples:
        if sample is None:
            yield None
            continue
        stamp, values = sample
        rest = -1 if minute is None else stamp - minute
        if not 0 <= rest < 60_000:
            minute = stamp // 60_000 * 60_000
            rest = stamp - minute
            start = iso(minute)
            start = start and start[:17]
        pieces[1] = b"%d" % stamp
        pieces[3] = b"%s%s%02d.%03dZ%s" % (quote, start, rest // 1000, rest % 1000, quote) if start else none
        for i in range(len(seen)):
            value = values[i]
            if value != seen[i]:
                seen[i] = value
                pieces[5 + 2 * i] = none if value is None else fixed(value, names[i][1])
        yield b"".join(pieces)


def _or_none(value, unknown, factor=1):
    return None if value == unknown else value * factor


# name, decimal places of its number
LIVE = (
    ("pack_voltage", 3),
    ("pack_current", 3),
    ("state_of_charge", 2),
    ("state_of_health", 2),
    ("average_temperature", 1),
    ("cell_spread", 3),
)
ARCHIVE = (
    ("pack_voltage", 3),
    ("pack_current", 3),
    ("state_of_charge", 2),
    ("state_of_health", 2),
    ("average_temperature", 1),
    ("cell_spread", 3),
    ("pack_voltage_min", 3),
    ("pack_voltage_max", 3),
    ("pack_current_min", 3),
    ("pack_current_max", 3),
    ("state_of_charge_min", 2),
    ("state_of_charge_max", 2),
    ("temperature_min", 1),
    ("temperature_max", 1),
    ("cell_voltage_min", 3),
    ("cell_voltage_max", 3),
)


def _words(ring, age):
    """The words of sample number `age` of the Ring (0 = newest)."""
    return struct.unpack_from(live_ring.FORMAT, ring.bytes, (ring.head - 1 - age) % CAPACITY * live_ring.SIZE)


def _gap_ms(words):
    """Milliseconds from the sample before."""
    gap = words[0] | words[4] >> 10 << 16
    return (gap & ~live_ring.SECONDS) * 1000 if gap & live_ring.SECONDS else gap


def _time_ms(ring, age):
    """When sample number `age` was taken, in ms since start."""
    time = ring.s * 1000 + ring.ms
    for i in range(age):
        time -= _gap_ms(_words(ring, i))
    return time


def sample(words):
    """The values of a sample in the order of LIVE: mV, mA, SoC, SoH, 0.1 C, spread mV; None for what is unknown."""
    last = words[5]
    current = _or_none(words[2] | words[3] >> 14 << 16, live_ring.NO_CURRENT)
    warm = _or_none(words[6] | last >> 13 << 8, live_ring.NO_TEMPERATURE)
    return (
        _or_none(words[1] | (last >> 12 & 1) << 16, live_ring.NO_VOLTAGE),
        None if current is None else (current - live_ring.CURRENT_BIAS) * 10,
        _or_none(words[3] & live_ring.NO_SOC, live_ring.NO_SOC),
        _or_none(words[4] & live_ring.NO_SOH, live_ring.NO_SOH, 10),
        None if warm is None else warm - live_ring.TEMPERATURE_BIAS,
        _or_none(last & live_ring.NO_SPREAD, live_ring.NO_SPREAD),
    )


def live_samples(history, skip):
    """(stamp, values in the order of LIVE) of each sample, old to new, without the first `skip`."""
    ring = history.ring
    base = history.since.base_ms() if history.clock.time_valid else 0
    left = ring.count - skip
    last = ring.added
    time = None
    while left > 0:
        age = left - 1 + (ring.added - last & 0x3FFFFFFF)  # the ring goes on while we read
        left -= 1
        if age >= ring.count:
            time = None
            continue
        words = _words(ring, age)
        time = _time_ms(ring, age) if time is None else time + _gap_ms(words)
        yield base + time, sample(words)


def values(record):
    """The numbers of a record in the order of ARCHIVE."""
    word = struct.unpack(FORMAT, record)
    low, high = word[14], word[15]
    spread = low >> 13 | high >> 13 << 3 | word[16] << 6
    low &= NO_CELL
    high &= NO_CELL
    return (
        _or_none(word[1], 0xFFFF, VOLT_STEP),
        _or_none(word[4], -32768, AMPERE_STEP),
        _or_none(word[7], 0xFFFF),
        _or_none(word[10], 255, HALF_PERCENT),
        _or_none(word[11], -32768),
        _or_none(spread, 0x3FFF),
        _or_none(word[2], 0xFFFF, VOLT_STEP),
        _or_none(word[3], 0xFFFF, VOLT_STEP),
        _or_none(word[5], -32768, AMPERE_STEP),
        _or_none(word[6], -32768, AMPERE_STEP),
        _or_none(word[8], 255, HALF_PERCENT),
        _or_none(word[9], 255, HALF_PERCENT),
        _or_none(word[12], -128, 10),
        _or_none(word[13], -128, 10),
        _or_none(low, NO_CELL),
        _or_none(high, NO_CELL),
    )


def archived_samples(archived, skip):
    """(stamp, values in the order of ARCHIVE) of each record, old to new, without the first `skip`; None between slices."""
    for item in archived.records():
        if item is None:
            yield None
        elif skip:
            skip -= 1
        else:
            yield item[0], values(item[1])
