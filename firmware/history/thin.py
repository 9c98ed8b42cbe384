"""One sample of many, for long ranges. Loaded when asked."""


def thinned(samples, names, period):
    """(start, values) of each `period` ms: the mean; of minima the lowest, of maxima and of the spread the highest.

    `samples`: as `live_samples` or `archived_samples` give them, with the `names` of their values.
    """
    signs = [_sign(name) for name, _ in names]
    start = values = counts = None
    for item in samples:
        if item is None:
            yield None
            continue
        stamp = item[0] // period * period
        if stamp != start:
            if values:
                yield start, _summary(values, counts, signs)
            start = stamp
            values, counts = [None] * len(signs), [0] * len(signs)
        for i, value in enumerate(item[1]):
            if value is None:
                continue
            counts[i] += 1
            if counts[i] == 1:
                values[i] = value
            elif not signs[i]:
                values[i] += value
            elif signs[i] * value > signs[i] * values[i]:
                values[i] = value
    if values:
        yield start, _summary(values, counts, signs)


def _sign(name):
    """What remains of many: 0 the mean, 1 the highest, -1 the lowest."""
    if name.endswith("_min"):
        return -1
    return 1 if name.endswith("_max") or name == "cell_spread" else 0


def _summary(values, counts, signs):
    for i in range(len(values)):
        if counts[i] > 1 and not signs[i]:
            values[i] = (values[i] + counts[i] // 2) // counts[i]
    return values
