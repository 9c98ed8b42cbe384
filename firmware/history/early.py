"""Archive records from before the clock was set: kept in a file, and put in their places afterwards. Loaded when needed.

The file holds them as they wait in RAM, with seconds since start; a power cut while the clock is not set loses them, as nobody
can tell later when that start was.
"""

import os
from micropython import const
from firmware import lazy
from firmware.history.archive import EARLY
from firmware.history.summary import SIZE

_PIECE = const(24)  # records a step: their places lie in two or three files


def step(archive, ring):
    """Set the waiting records aside (clock not set), or place some of those (clock set)."""
    path = archive.directory + EARLY + ring.name
    try:
        if archive.base_s:
            _place(archive, ring, path)
        elif ring.early < ring.capacity:
            _put_aside(ring, path)
    except OSError:
        if archive.base_s:
            ring.early = ring.placed = 0  # unreadable; while the clock is not set: tried again, the oldest give way


def _put_aside(ring, path):
    with open(path, "ab") as file:
        file.write(memoryview(ring.waiting)[: ring.count * SIZE])
    ring.early += ring.count
    ring.count = 0


def _place(archive, ring, path):
    with open(path, "rb") as file:
        file.seek(ring.placed * SIZE)
        records = file.read(_PIECE * SIZE)
    count = len(records) // SIZE
    lazy.load("history.store").store(archive, ring, records, count)
    lazy.drop("history.store")
    ring.placed += count
    if ring.placed >= ring.early or not count:
        os.remove(path)
        ring.early = ring.placed = 0
