"""The archive when the clock is set, and records from before: kept in a file, put in their places then. Loaded when needed.

The file holds them as they wait in RAM, with seconds since start; a power cut while the clock is not set loses them, as nobody
can tell later when that start was.
"""

import os
from micropython import const
from firmware.history.archive import CLOCK_SMALL_S, EARLY, QUARTER
from firmware.history.store import store
from firmware.history.summary import SIZE

_PIECE = const(24)  # records a step: their places lie in two or three files


def forget(archive):
    """At a start: remove the files of the start before, whose time nobody knows."""
    for ring in (archive.minutes, archive.quarters):
        try:
            os.remove(archive.directory + EARLY + ring.name)
        except OSError:
            pass


def follow(archive, base_ms):
    """The clock was set, second 0 is now at `base_ms`: shift the records in the making, or begin new ones."""
    archive.base_ms = base_ms
    minutes, quarters = archive.minutes, archive.quarters
    moved = base_ms // 1000 - archive.base_s
    archive.base_s += moved
    archive.shift = archive.base_s % QUARTER
    if minutes.start is not None and -CLOCK_SMALL_S <= moved <= CLOCK_SMALL_S:
        minutes.start -= moved
        quarters.start -= moved
        return
    archive.close_minute()
    quarters.close()
    minutes.start = quarters.start = None


def step(archive, ring):
    """Set the waiting records aside (clock not set), or place some of those (clock set)."""
    spare = archive.directory + EARLY + ring.name
    try:
        if archive.base_s:
            _place(archive, ring, spare)
        elif ring.early < ring.capacity:
            _put_aside(ring, spare)
    except OSError:
        if archive.base_s:
            ring.early = ring.placed = 0  # unreadable; while the clock is not set: tried again, the oldest give way


def _put_aside(ring, spare):
    with open(spare, "ab") as file:
        file.write(memoryview(ring.waiting)[: ring.count * SIZE])
    ring.early += ring.count
    ring.count = 0


def _place(archive, ring, spare):
    with open(spare, "rb") as file:
        file.seek(ring.placed * SIZE)
        records = file.read(_PIECE * SIZE)
    count = len(records) // SIZE
    store(archive, ring, records, count)
    ring.placed += count
    if ring.placed >= ring.early or not count:
        os.remove(spare)
        ring.early = ring.placed = 0
