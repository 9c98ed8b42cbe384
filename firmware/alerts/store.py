"""The file of the alert log. Loaded when something has changed or somebody looks; `Log` (firmware/alerts/alerts.py) stays.

A record has 40 bytes. Every change of an alert appends its whole record (littlefs writes one block for it, and what was not
closed was not written), so the newest record of an id counts. A full file is written anew with one record an alert, and takes
the place of the old one by rename. A record of type 0 holds what else must outlast a restart. What the power cut off is found
by its CRC and left out.
"""

import os
import struct
from array import array
from micropython import const

from firmware.alerts.alert import CLEARED, SIZE, Alert, is_sound, seal, severity

CAPACITY = const(208)  # alerts
_GROW = const(16)  # alerts by which Log.index grows: few gateways fill it
_INFO_MAX = const(52)  # of severity 0: a quarter
_FILE_MAX = const(416)  # records
_FIELDS = const(
    3
)  # ints an alert in the index: id << 3 | _RELATIVE | severity; seconds; ms << 10 | number of its record
_EPOCH_S = const(1_735_689_600)  # 2025: the index counts seconds from here, so that they are small ints
_RUN_S = const(0x20000000)  # added to times since the start of this run: newer than all others
_RELATIVE = const(4)  # this run wrote it before the clock was set


def begin(log, directory, uptime_s=0):
    """Give a `Log` its attributes. `active`: {type: Alert}; `count`: alerts in the file."""
    log.path = directory + "/alerts.log"
    log.active = {}
    log.count = 0
    log.last_id = 0
    log.records = 0  # in the file
    log.index = array("i", bytes(4 * _FIELDS * _GROW))  # 3 ints an alert, oldest first
    log.record = bytearray(SIZE)
    # saved beside the alerts: last status code of the BMS (0: none), type 16 was logged, newest events of the BMS
    log.status = log.noted = 0
    log.seen = bytearray(28)
    log.unsaved = []  # alerts
    log.state_unsaved = False
    log.news = []  # (alert, raised) to be published once saved
    log.retry = None  # ticks of the last write when it failed
    log.tokens = 20  # status changes that may be logged
    log.token_at = uptime_s


# -- reading -----------------------------------------------------------------------------------------------------


def load(log):
    """Read the file. OSError when it is there and cannot be read, or is damaged and cannot be written anew."""
    record = log.record
    log.active.clear()
    log.count = log.records = 0
    damaged = False
    try:
        file = open(log.path, "rb")
    except OSError:
        return
    with file:
        while True:
            length = file.readinto(record)
            if not length:
                break
            if length == SIZE and is_sound(record):
                _take(log)
            else:
                damaged = True
            log.records += 1
    for i in range(0, _FIELDS * log.count, _FIELDS):
        log.index[i] &= ~_RELATIVE  # of another run
    if damaged:
        log.records = _FILE_MAX
        compact(log)


def _take(log):
    """The record in `log.record` is number `log.records` of the file."""
    alert = Alert()
    alert.unpack(log.record)
    if not alert.kind:
        log.last_id = max(log.last_id, alert.id)
        log.status, log.noted = log.record[6], log.record[7]
        log.seen[:] = log.record[8:36]
        return
    known = _put(log, alert, log.records, True)
    alert.relative = 0  # to the start of another run: nobody can set it right
    if alert.status != CLEARED:
        log.active[alert.kind] = alert
    elif known and alert.kind in log.active and log.active[alert.kind].id == alert.id:
        del log.active[alert.kind]


def find(log, alert_id):
    """Position of the alert in the order of time, -1 when the log has none of that id."""
    for i in range(log.count - 1, -1, -1):
        if log.index[_FIELDS * i] >> 3 == alert_id:
            return i
    return -1


def page(log, end, length):
    """List of up to `length` (keep it small) alerts below position `end`, newest first."""
    found = []
    with open(log.path, "rb") as file:
        for i in range(min(end, log.count) - 1, max(end - length, 0) - 1, -1):
            file.seek((log.index[_FIELDS * i + 2] & 0x3FF) * SIZE)
            if file.readinto(log.record) == SIZE and is_sound(log.record):
                alert = Alert()
                alert.unpack(log.record)
                found.append(alert)
    return found


def get(log, alert_id):
    """The alert, None when the log has none of that id."""
    for alert in log.active.values():
        if alert.id == alert_id:
            return alert
    i = find(log, alert_id)
    found = page(log, i + 1, 1) if i >= 0 else ()
    return found[0] if found else None


def relative(log, length):
    """Up to `length` alerts with times that count from the start of this run."""
    found = []
    for i in range(log.count):
        if log.index[_FIELDS * i] & _RELATIVE and len(found) < length:
            found.append(get(log, log.index[_FIELDS * i] >> 3))
    return [alert for alert in found if alert]


# -- the index ---------------------------------------------------------------------------------------------------


def _put(log, alert, at, old=False):
    """Record number `at` is the newest of `alert`; `old`: another run wrote it. True when the alert was known."""
    index = log.index
    i = find(log, alert.id) if alert.id <= log.last_id else -1
    log.last_id = max(log.last_id, alert.id)
    word = alert.id << 3 | severity(alert.kind) | (_RELATIVE if alert.relative else 0)
    known = i >= 0
    if known:
        i *= _FIELDS
        if not index[i] & _RELATIVE or word & _RELATIVE:
            index[i] = word
            index[i + 2] = index[i + 2] & ~0x3FF | at
            return True
        _drop(log, i // _FIELDS)  # its time is known now
    else:
        _make_room(log, word & 3)
    ms = alert.times[0]
    seconds = ms // 1000
    if not alert.relative & 1:
        seconds = min(seconds - _EPOCH_S, _RUN_S - 1)
    elif not old:
        seconds += _RUN_S
    else:  # about when those around it came
        seconds = index[_FIELDS * log.count - 2] if log.count else 0
    ms = ms % 1000 << 10
    i = _FIELDS * log.count
    while i and (index[i - 2] > seconds or (index[i - 2] == seconds and index[i - 1] & ~0x3FF > ms)):
        i -= _FIELDS
        for k in range(i, i + _FIELDS):
            index[k + _FIELDS] = index[k]
    index[i], index[i + 1], index[i + 2] = word, seconds, ms | at
    log.count += 1
    return known


def _drop(log, i):
    view = memoryview(log.index)
    end = _FIELDS * log.count
    i *= _FIELDS
    view[i : end - _FIELDS] = view[i + _FIELDS : end]
    log.count -= 1


def _make_room(log, level):
    """Drop the oldest alert that has ended when the log is full, the oldest of severity 0 when they have their share."""
    keys = [log.index[_FIELDS * i] for i in range(log.count)]
    if level == 0:
        infos = [i for i, key in enumerate(keys) if not key & 3]
        if len(infos) >= _INFO_MAX:
            _drop(log, infos[0])
            return
    if log.count < CAPACITY and log.count * _FIELDS == len(log.index):
        try:
            log.index.extend(array("i", bytes(4 * _FIELDS * _GROW)))
            return
        except MemoryError:  # then an old one goes
            pass
    if log.count * _FIELDS == len(log.index):
        held = _held(log)
        for i, key in enumerate(keys):
            if key >> 3 not in held:
                _drop(log, i)
                return
        raise MemoryError


def _held(log):
    return [alert.id for alert in log.active.values()]


# -- writing -----------------------------------------------------------------------------------------------------


def append(log, alerts, state):
    """Save the alerts, and the rest of the state when `state`. OSError: nothing counts as saved."""
    if log.records + len(alerts) + 1 > _FILE_MAX:
        compact(log)
    first = log.records
    log.records = _FILE_MAX  # should it fail, the file may end anyhow: the next time it is written anew
    with open(log.path, "ab") as file:
        for alert in alerts:
            alert.pack(log.record)
            file.write(log.record)
        if state:
            _write_state(log, file)
    for i, alert in enumerate(alerts):
        _put(log, alert, first + i)
    log.records = first + len(alerts) + (1 if state else 0)


def _write_state(log, file):
    record = log.record
    struct.pack_into("<IHBB", record, 0, log.last_id, 0, log.status, log.noted)
    record[8:36] = log.seen
    seal(record)
    file.write(record)


def compact(log):
    """Write the file anew with what the index knows."""
    index, record = log.index, log.record
    temporary = log.path[:-3] + "tmp"
    with open(temporary, "wb") as file:
        _write_state(log, file)
        if log.count:
            with open(log.path, "rb") as old:
                for i in range(log.count):
                    old.seek((index[_FIELDS * i + 2] & 0x3FF) * SIZE)
                    old.readinto(record)
                    file.write(record)
    os.rename(temporary, log.path)
    for i in range(log.count):
        k = _FIELDS * i + 2
        index[k] = index[k] & ~0x3FF | i + 1
    log.records = log.count + 1


def forget_ended(log):
    """Drop all alerts that have ended; gives their number. OSError: nothing is dropped."""
    held = _held(log)
    kept = bytes(log.index)
    count = log.count
    for i in range(count - 1, -1, -1):
        if log.index[_FIELDS * i] >> 3 not in held:
            _drop(log, i)
    try:
        compact(log)
    except OSError:
        memoryview(log.index)[:] = array("i", kept)  # it has not grown meanwhile
        log.count = count
        raise
    return count - log.count
