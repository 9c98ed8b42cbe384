"""The event list of the BMS and the faults and warnings that are active by it (tinybms_uart facts 4, 8, 11).

The BMS keeps 49 events in a ring; time stamps have 24 bits (seconds, 194 days) against a 32-bit base. Of the order in a
reply only ring order was seen, so the first reply is put in order by age. From then on events that were known stay where
they are and only what is new is appended: nothing is seen twice, even when a time stamp wraps.
"""

from micropython import const

from firmware import lazy
from firmware.lazy import seldom

CAPACITY = const(49)
_AGE = const(0xFFFFFF)
_STARTED = const(0x61)
_CHARGING_STARTED = const(0x62)
_CHARGER_GONE = const(0x65)

_FIRST_END = const(0x73)
# the conditions that the events 0x73-0x7C end (facts 11; 0x0E also ends with a restart, as all do)
_ENDED = b"\x04\x37\x0a\x06\x05\x07\x03\x31\x02\x0e"
_HELD = const(0x44FC)  # faults that end with an event of their own: 02-07, 0A, 0E
_DONE = const(0x300)  # warnings 38, 39 ("charging done"): over with the next charge or without charger (our inference)


class Events:
    """Events oldest first: `count`, `id(i)`, `stamp(i)`; `base` is the BMS's time at the last reading.

    `total` counts every event ever taken in and only grows, so a subscriber finds what it has not seen yet: the last
    `total - seen` of them. `faults` bit n: 0x00 + n is active; `warnings` bit n: 0x30 + n.
    """

    @seldom
    def __init__(self):
        self.count = 0
        self.total = 0
        self.base = 0
        self.known = False  # read at least once
        self.faults = 0
        self.warnings = 0
        self._ring = bytearray(4 * CAPACITY)

    def id(self, i):
        return self._ring[4 * i + 3]

    def stamp(self, i):
        """Seconds, 24 bits; (base - stamp) mod 2^24 is the age."""
        at = 4 * i
        return self._ring[at] | self._ring[at + 1] << 8 | self._ring[at + 2] << 16

    def age(self, i):
        return (self.base - self.stamp(i)) & _AGE

    def update(self, frame, length, anew=False):
        """Take a reply to 0x12; gives the number of new events.

        The conditions go on from what they were, as a log that was cleared ends none of them; with `anew` (the battery was
        away) the list alone tells.
        """
        self.base = frame[3] | frame[4] << 8 | frame[5] << 16 | frame[6] << 24
        fresh, kept = [], []
        for at in range(7, length - 2, 4):
            if frame[at + 3]:
                fresh.append(bytes(frame[at : at + 4]))
        for at in range(0, 4 * self.count, 4):
            entry = bytes(self._ring[at : at + 4])
            if entry in fresh:
                fresh.remove(entry)
                kept.append(entry)
        if self.count and not kept and len(fresh) == CAPACITY:  # more happened than the ring holds
            anew = True
        if len(fresh) > 1:
            fresh = lazy.once("bms.order").oldest_first(fresh, self.base)
        ring = (kept + fresh)[-CAPACITY:]
        for i, entry in enumerate(ring):
            self._ring[4 * i : 4 * i + 4] = entry
        self.count = len(ring)
        self.total += len(fresh)
        self.known = True
        if anew:
            self.faults = self.warnings = 0
        for entry in ring if anew else fresh:
            self._apply(entry[3])
        return len(fresh)

    def _apply(self, code):
        if code <= 0x30:
            if code < 30:
                self.faults |= 1 << code
        elif code <= 0x60:
            if code < 0x30 + 30:
                self.warnings |= 1 << (code - 0x30)
        elif code == _STARTED:
            self.faults = self.warnings = 0
        elif code in (_CHARGING_STARTED, _CHARGER_GONE):
            self.warnings &= ~_DONE
        elif 0 <= code - _FIRST_END < len(_ENDED):
            ended = _ENDED[code - _FIRST_END]
            if ended < 0x30:
                self.faults &= ~(1 << ended)
            else:
                self.warnings &= ~(1 << (ended - 0x30))

    def not_fault(self):
        """The BMS says that it is not in fault: faults without an event that ends them are over."""
        self.faults &= _HELD
