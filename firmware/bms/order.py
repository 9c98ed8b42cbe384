"""The order of events that are new; loaded when several come at once (see `events`)."""

from micropython import const

_AGE = const(0xFFFFFF)


def oldest_first(entries, base):
    """`entries` (4 bytes each) with the oldest first; `base` is the time of the BMS.

    Equal ages keep the order of the ring, which begins where the age jumps up.
    """
    count = len(entries)
    ages = [(base - (e[0] | e[1] << 8 | e[2] << 16)) & _AGE for e in entries]
    ups = sum(1 for i in range(1, count) if ages[i] > ages[i - 1])
    downs = sum(1 for i in range(1, count) if ages[i] < ages[i - 1])
    if ups > downs:  # newest first
        entries.reverse()
        ages.reverse()
    jump = start = 0
    for i in range(1, count):
        if ages[i] - ages[i - 1] > jump:
            jump = ages[i] - ages[i - 1]
            start = i
    order = sorted(range(count), key=lambda i: (-ages[i], (i - start) % count))
    return [entries[i] for i in order]
