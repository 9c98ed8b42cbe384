"""What is kept on flash: minutes for a day and quarters of an hour for 31 days, in two rings of files of fixed size.

The place of a record follows from its time alone (no head, no index): `slot = time // period % capacity`. What was there before
has another time, so a reader knows old from new, and a CRC tells a torn record. Each ring is cut into files that fit one flash
block of 4 KB, as littlefs writes a file anew from the first changed byte to its end: 12 files of two hours (m00-m11) and 31
files of one day (q00-q30), 141312 bytes together.

Closed records wait in RAM (`waiting`) with seconds since start and get Unix time when they are written: the minutes in blocks of
ten. While the clock is not set they are set aside in a file when they grow too many (`early.py`).
"""

from micropython import const
from firmware import lazy
from firmware.history.summary import SIZE, Summary
from firmware.lazy import seldom

EARLY = "/early-"
_MINUTE = const(60)
QUARTER = const(900)
_BLOCK = const(10)  # minutes that are written together
_CLOCK_SAME_MS = const(500)  # the base of the clock is read with that much noise
CLOCK_SMALL_S = const(5)  # a correction up to this shifts the records, a larger one begins new ones


class RingFile:
    """One of the two rings: its shape, and the closed records that wait to be written."""

    @seldom
    def __init__(self, name, period, capacity, per_file, room):
        self.name = name  # first letter of its files
        self.period = period  # s
        self.capacity = capacity  # records
        self.per_file = per_file
        self.waiting = bytearray(room * SIZE)
        self.count = 0  # records in `waiting`, oldest first
        self.summary = Summary()
        self.start = None  # seconds since start at which the record in the making begins
        self.early = 0  # records that are set aside in a file until the clock is set, see early.py
        self.placed = 0  # of these, how many have found their place

    def close(self):
        """The record in the making is complete: let it wait."""
        if self.summary.empty():
            return
        if self.count * SIZE == len(self.waiting):  # the oldest gives way
            self.waiting[:-SIZE] = self.waiting[SIZE:]
            self.count -= 1
        self.summary.pack(self.waiting, self.count * SIZE, self.start)
        self.count += 1
        self.summary.clear()


class Archive:
    """`add` each poll, `tick` every second or so. `since`: see since.py; `directory` exists."""

    @seldom
    def __init__(self, directory, since, clock, log):
        self.directory = directory
        self.minutes = RingFile("m", _MINUTE, 1440, 120, 24)
        self.quarters = RingFile("q", QUARTER, 2976, 96, 8)
        self.base_s = 0  # Unix time of second 0 of `since`; 0 until the clock is set
        self.shift = 0  # seconds from the last full quarter to second 0
        self.base_ms = 0
        self.since = since
        self._clock = clock
        self.log = log
        self.failing = False
        lazy.once("history.early").forget(self)

    # -- each poll ---------------------------------------------------------------------------------------------------

    def add(self, live):
        """One poll, at the time of `since`. Allocates nothing, not even when a record closes."""
        self._turn(self.since.s)
        self.minutes.summary.add(live)

    def _turn(self, now):
        """Close what ends before `now`."""
        now += self.shift
        minutes, quarters = self.minutes, self.quarters
        start = now - now % _MINUTE - self.shift
        if minutes.start is not None and start <= minutes.start:
            return
        self.close_minute()
        minutes.start = start
        start = now - now % QUARTER - self.shift
        if quarters.start is None or start > quarters.start:
            quarters.close()
            quarters.start = start

    def close_minute(self):
        self.quarters.summary.merge(self.minutes.summary)
        self.minutes.close()

    # -- each second -------------------------------------------------------------------------------------------------

    def tick(self):
        """Follow the clock, and write what is due."""
        if self._clock.time_valid:
            base_ms = self.since.base_ms()
            if not -_CLOCK_SAME_MS <= base_ms - self.base_ms <= _CLOCK_SAME_MS:
                lazy.once("history.early").follow(self, base_ms)
        self._turn(self.since.s)
        if self.base_s and (self.minutes.count >= _BLOCK or self.quarters.count):
            self.write()
        for ring in (self.minutes, self.quarters):
            if ring.early > ring.placed if self.base_s else ring.count * SIZE == len(ring.waiting):
                lazy.once("history.early").step(self, ring)

    def write(self):
        """Write all closed records. What fails stays and is tried again with the next block."""
        lazy.once("history.store").write(self)

    @seldom
    def write_all(self):
        """Write everything, the records in the making too (a restart). Nothing while the clock is not set."""
        if self.base_s:
            self.close_minute()
            self.quarters.close()
            self.write()
