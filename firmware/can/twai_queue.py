"""The frames that wait for the TWAI controller, oldest first.

Viper functions: they allocate nothing, and no soft callback interrupts them, so a callback may queue while the loop does.
Words 0 and 1 are head and count, then slots of 16 bytes: the frame as the controller takes it (length, two bytes of id,
data), and at byte 12 the ticks when it was queued. A bare buffer: viper reads no attributes.
"""

import micropython
from micropython import const

_SLOTS = const(20)  # one for each Victron frame id


def make():
    return bytearray(16 + 16 * _SLOTS)


@micropython.viper
def put(queue, can_id: int, data, size: int, now: int) -> int:
    """0 queued, 1 replaced the waiting frame of that id, 2 full."""
    words = ptr32(queue)
    store = ptr8(queue)
    source = ptr8(data)
    high = can_id >> 3
    low = (can_id & 7) << 5
    result = 0
    i = 0
    at = 0
    while i <= words[1]:
        if i == _SLOTS:
            return 2
        at = words[0] + i
        if at >= _SLOTS:
            at -= _SLOTS
        at = at * 16 + 16
        if i == words[1]:
            words[1] = i + 1
            i = _SLOTS
        elif store[at + 1] == high and store[at + 2] == low:
            result = 1
            i = _SLOTS
        i += 1
    store[at] = size
    store[at + 1] = high
    store[at + 2] = low
    i = 0
    while i < size:
        store[at + 3 + i] = source[i]
        i += 1
    words[(at >> 2) + 3] = now
    return result


@micropython.viper
def take(queue, frame) -> bool:
    """Move the oldest slot into `frame` (16 bytes); False when there is none."""
    words = ptr32(queue)
    target = ptr32(frame)
    if words[1] == 0:
        return False
    at = words[0] * 4 + 4
    i = 0
    while i < 4:
        target[i] = words[at + i]
        i += 1
    words[0] = words[0] + 1
    if words[0] == _SLOTS:
        words[0] = 0
    words[1] = words[1] - 1
    return True


def queued_at(frame):
    """Ticks when the frame that `take` gave was queued. No viper: `frame` belongs to whoever took it."""
    return frame[12] | frame[13] << 8 | frame[14] << 16 | frame[15] << 24
