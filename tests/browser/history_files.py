"""Archive files of a gateway that has run for a month, as firmware/history/archive.py writes them (record: summary.py)."""

import binascii
import math
import struct

FORMAT = "<IHHHhhhHBBBhbbHHBH"
RINGS = (("m", 60, 1440, 120), ("q", 900, 2976, 96))
GAP_S = (6 * 3600, 7 * 3600)  # nothing was recorded that long ago


def record(second):
    """One record: a battery that is charged by day and used in the evening."""
    day = 2 * math.pi * (second % 86400) / 86400
    amps = 45 * math.sin(day - 1.6) + 8 * math.sin(day * 7)
    soc = 58 - 30 * math.cos(day - 2.2)
    volts = 52.2 + soc / 60 + amps / 90
    warm = 21 + 5 * math.sin(day - 2)
    spread = int(6 + abs(amps) / 4)
    low = int(volts / 16 * 1000) - spread // 2
    high = low + spread
    words = (
        second, int(volts * 500), int(volts * 500) - 120, int(volts * 500) + 110,
        int(amps * 40), int(amps * 40) - 300, int(amps * 40) + 260,
        int(soc * 100), int(soc * 2) - 1, int(soc * 2) + 1, 196,
        int(warm * 10), int(warm) - 1, int(warm) + 1,
        low | (spread & 7) << 13, high | (spread >> 3 & 7) << 13, spread >> 6,
    )  # fmt: skip
    packed = struct.pack(FORMAT[:-1], *words)
    return packed + struct.pack("<H", binascii.crc32(packed) & 0xFFFF)


def write(directory, now):
    """Fill `directory` (made when missing) with minutes and quarters of an hour that end at `now` (Unix seconds)."""
    directory.mkdir(parents=True, exist_ok=True)
    for letter, period, capacity, per_file in RINGS:
        files = [bytearray(32 * per_file) for _ in range(capacity // per_file)]
        newest = now // period * period - period
        for second in range(newest - (capacity - 2) * period, newest + 1, period):
            if GAP_S[0] <= now - second < GAP_S[1]:
                continue
            slot = second // period % capacity
            at = slot % per_file * 32
            files[slot // per_file][at : at + 32] = record(second)
        for number, content in enumerate(files):
            (directory / f"{letter}{number:02d}").write_bytes(content)
