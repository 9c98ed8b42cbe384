"""Piecewise linear curves and the hysteresis that goes in front of them; integers only, nothing allocated."""

from micropython import const

ABSENT = const(0x3FFFFFFF)  # live.ABSENT

# (x, permille of the full current) in pairs, x rising: 0 at and below the first x, the last value above the last x.
COLD = (0, 0, 20, 250, 50, 500, 100, 1000)  # x: 0.1 C above register 320 (dbus-serialbattery's, victron_can facts 7)
HOT_CHARGE = (0, 0, 50, 250, 100, 500, 150, 1000)  # x: 0.1 C below register 319 - 2 C
HOT_DISCHARGE = (0, 0, 50, 1000)
LOW = (0, 0, 20, 60, 50, 250, 100, 600, 200, 1000)  # x: mV of the lowest cell above the point of DCL 0


def curve(points, x):
    """The value of `points` at `x`, by straight lines; `points` as above, products stay below 2^30."""
    if x <= points[0]:
        return 0
    i = 2
    while i < len(points):
        if x < points[i]:
            low = points[i - 1]
            return low + (points[i + 1] - low) * (x - points[i - 2]) // (points[i] - points[i - 2])
        i += 2
    return points[i - 1]


def taper(x, full, small, zero):
    """Permille for the highest cell at `x` mV: 1000 to `full`, 50 at `small`, 10 just below `zero`, then 0."""
    if x >= zero:
        return 0
    if x <= full:
        return 1000
    if x < small:
        return 1000 - 950 * (x - full) // (small - full)
    return 50 - 40 * (x - small) // (zero - small)


def follow(held, x, down, up):
    """The new held value: it follows `x`, but only moves once `x` is more than `down` below or `up` above it."""
    if held == ABSENT:
        return x
    if x > held + up:
        return x - up
    if x < held - down:
        return x + down
    return held
