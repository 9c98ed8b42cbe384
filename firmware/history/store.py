"""Write archive records into their files. Loaded for each block."""

import binascii
import struct
from firmware.history.archive import CLOCK_SMALL_S
from firmware.history.summary import SIZE


def path(archive, ring, slot):
    """The file of the ring in which a slot lies."""
    return "%s/%s%02d" % (archive.directory, ring.name, slot // ring.per_file)


def time_of(archive, record, period):
    """Unix time of a record that waits; seconds since start until the clock is set."""
    time = archive.base_s + struct.unpack_from("<i", record, 0)[0]
    return (time + CLOCK_SMALL_S) // period * period if archive.base_s else time


def seal(record, time):
    """Put Unix seconds and CRC into a record (a bytearray of SIZE bytes)."""
    struct.pack_into("<I", record, 0, time)
    struct.pack_into("<H", record, SIZE - 2, binascii.crc32(record[: SIZE - 2]) & 0xFFFF)


def write(archive):
    """Write all records that wait; what cannot be written goes on waiting."""
    try:
        for ring in (archive.minutes, archive.quarters):
            store(archive, ring, ring.waiting, ring.count)
            ring.count = 0
        archive.failing = False
    except OSError as error:
        if not archive.failing:
            archive.log.error("history", "not written: %s" % error)
        archive.failing = True


def store(archive, ring, records, count):
    """Write the first `count` of `records`, whose time is in seconds since start. Raises OSError."""
    record = bytearray(SIZE)
    name = file = None
    try:
        for i in range(count):
            record[:] = records[i * SIZE : (i + 1) * SIZE]
            time = time_of(archive, record, ring.period)
            seal(record, time)
            slot = time // ring.period % ring.capacity
            wanted = path(archive, ring, slot)
            if wanted != name:
                if file:
                    file.close()
                name, file = wanted, _open(wanted, ring.per_file)
            file.seek(slot % ring.per_file * SIZE)
            file.write(record)
    finally:
        if file:
            file.close()


def _open(name, records):
    """The file, made with its full size when it is not there."""
    try:
        return open(name, "r+b")
    except OSError:
        file = open(name, "w+b")
        for _ in range(records):
            file.write(bytes(SIZE))
        return file
