"""One alert: its severity, its life, and its record in the log."""

import struct
from binascii import crc32
from micropython import const

ACTIVE = const(0)  # status
ACKNOWLEDGED = const(1)
CLEARED = const(2)

RAISED_AT = const(0)  # index into `times`
ACKNOWLEDGED_AT = const(1)
CLEARED_AT = const(2)

SIZE = const(40)  # bytes of a record
_BODY = const(36)  # without its CRC
# id, type, status and which times are relative, cell, three times of 48 bits (low, high), value, limit, spare
_FORMAT = "<IHBBIhIhIhiiH"
_NO_TIME = const(-0x8000)  # high part of a time that is not there


def severity(kind):
    """2 critical, 1 warning, 0 information, of the alert type `kind`."""
    if kind in (1, 3, 12, 25) or 100 <= kind < 200:
        return 2
    return 0 if kind in (10, 16) or 20 <= kind < 25 or kind >= 300 else 1


class Alert:
    """`kind` is the type of the API; `value` and `limit` are integers in the unit of its rule, `cell` a pack cell from 1.

    `times`: ms when raised, acknowledged, cleared, or None. Bit n of `relative`: times[n] counts from the start of the
    gateway, because the clock was not set.
    """

    def __init__(self, alert_id=0, kind=0):
        self.id = alert_id
        self.kind = kind
        self.status = ACTIVE
        self.cell = self.value = self.limit = 0
        self.times = [None, None, None]
        self.relative = 0

    @property
    def severity(self):
        return severity(self.kind)

    def stamp(self, which, ms, relative):
        self.times[which] = ms
        if relative:
            self.relative |= 1 << which

    def set_clock(self, offset):
        """The clock is set: time of day is the time since the start + `offset` ms."""
        for which in range(3):
            if self.relative >> which & 1:
                self.times[which] += offset
        self.relative = 0

    def pack(self, record):
        """Write the record (a bytearray of SIZE)."""
        words = []
        for ms in self.times:
            words += (0, _NO_TIME) if ms is None else (ms & 0xFFFFFFFF, ms >> 32)
        flags = self.status | self.relative << 4
        struct.pack_into(_FORMAT, record, 0, self.id, self.kind, flags, self.cell, *words, self.value, self.limit, 0)
        seal(record)

    def unpack(self, record):
        """Read a record that `is_sound`."""
        words = struct.unpack_from(_FORMAT, record, 0)
        self.id, self.kind, flags, self.cell = words[:4]
        self.status = flags & 15
        self.relative = flags >> 4
        self.times = [None if words[i + 1] == _NO_TIME else words[i] | words[i + 1] << 32 for i in (4, 6, 8)]
        self.value, self.limit = words[10:12]


def seal(record):
    """Put the CRC at the end of the record."""
    struct.pack_into("<I", record, _BODY, crc32(memoryview(record)[:_BODY]))


def is_sound(record):
    return struct.unpack_from("<I", record, _BODY)[0] == crc32(memoryview(record)[:_BODY])
