"""Which events of the BMS's list came after those that were seen before the gateway restarted. Loaded once."""


def unseen(events, seen):
    """Number of events at the end of the list that are not in `seen` (4 bytes each: stamp, id; the newest last; zero: none).

    All events count when none of `seen` is in the list: first contact, another BMS, or more happened than the BMS keeps.
    Events of the same second may stand in another order than before.
    """
    known = []
    for at in range(0, len(seen), 4):
        if seen[at + 3]:
            known.append((seen[at] | seen[at + 1] << 8 | seen[at + 2] << 16, seen[at + 3]))
    listed = [(events.stamp(i), events.id(i)) for i in range(events.count)]
    while known:
        newest = known[-1]
        if newest in listed:
            break
        known.pop()
    else:
        return events.count
    last = len(listed) - 1
    while listed[last][0] != newest[0]:
        last -= 1
    fresh = len(listed) - 1 - last
    if len(known) * 4 < len(seen) or known[0][0] != newest[0]:  # all of that second were seen, so more of it are new
        there = len([1 for stamp, _ in listed if stamp == newest[0]])
        fresh += max(there - len([1 for stamp, _ in known if stamp == newest[0]]), 0)
    return fresh
