"""The texts of the topics `status` and `metrics`. Whole numbers are turned into decimal text, no floats."""

import json
from firmware import live as L

# name, field, digits after the point (of the unit in the name)
_ROWS = (
    ("voltage_v", L.VOLTAGE, 3), ("current_a", L.CURRENT, 3), ("soc_percent", L.SOC, 2), ("soh_percent", L.SOH, 2),
    ("temp_internal_c", L.TEMP_INT, 1), ("temp_ext1_c", L.TEMP_EXT1, 1), ("temp_ext2_c", L.TEMP_EXT2, 1),
    ("cell_min_v", L.CELL_MIN, 3), ("cell_max_v", L.CELL_MAX, 3), ("cell_min_at", L.CELL_MIN_AT, 0),
    ("cell_max_at", L.CELL_MAX_AT, 0), ("balancing", L.BALANCING, 0), ("time_left_s", L.TIME_LEFT, 0),
)  # fmt: skip
_LASTING = (  # known while the battery is away, too
    ("cvl_v", L.CVL, 3), ("ccl_a", L.CCL, 3), ("dcl_a", L.DCL, 3), ("energy_in_kwh", L.ENERGY_IN, 3),
    ("energy_out_kwh", L.ENERGY_OUT, 3), ("charge_count", L.STAT_CHARGE_COUNT, 0), ("full_count", L.STAT_FULL_COUNT, 0),
)  # fmt: skip
_COUNTERS = ("polls", "good", "timeouts", "crc_errors", "nacks", "noise_bytes")
# name, bits of FAULTS, bits of WARNINGS (tinybms_uart facts 11), as in /ws/telemetry
_ALARMS = (
    ("ov", 1 << 3, 0), ("uv", 1 << 2, 1 << 1), ("oc_charge", 1 << 6 | 1 << 7, 0), ("oc_discharge", 1 << 5, 0),
    ("temp_high", 1 << 4, 0), ("temp_low", 1 << 10, 1 << 7),
)  # fmt: skip


def fixed(value, digits):
    """JSON text of value / 10^digits; null for None."""
    if value is None or not digits:
        return "null" if value is None else str(value)
    text = str(abs(value) + 10**digits)  # a leading 1 (or more) keeps the zeros
    whole = int(text[:-digits]) - 1
    return "%s%d.%s" % ("-" if value < 0 else "", whole, text[-digits:])


def status(live, board):
    """The battery of /api/status and the limits."""
    get = live.get
    on = live.connected()
    soc, soh, temperature = get(L.SOC), get(L.SOH), live.temperature()
    battery = {
        "voltage_mv": get(L.VOLTAGE) if on else None,
        "current_ma": get(L.CURRENT) if on else None,
        "soc_percent": None if soc is None or not on else soc // 100,
        "soh_percent": None if soh is None or not on else soh // 100,
        "temperature_c": None if temperature is None or not on else temperature / 10,
        "cells_count": get(L.CELL_COUNT) if on else None,
        "status": live.status(),
    }
    limits = {"cvl_mv": get(L.CVL), "ccl_ma": get(L.CCL), "dcl_ma": get(L.DCL)}
    return json.dumps(
        {"timestamp_ms": board.epoch_ms(), "age_ms": live.age_ms(), "battery": battery, "limits": limits}
    ).encode()


def metrics(live, board, counters, can):
    """Everything measured. What is not known, or old, is null; `cells` is empty while the battery is away."""
    get = live.get
    on = live.connected()
    out = ['{"timestamp_ms":%d,"age_ms":%d,"status":"%s"' % (board.epoch_ms(), live.age_ms(), live.status())]
    for name, field, digits in _ROWS:
        out.append('"%s":%s' % (name, fixed(get(field) if on else None, digits)))
    for name, field, digits in _LASTING:
        out.append('"%s":%s' % (name, fixed(get(field), digits)))
    volt, amps, low, high = (get(L.VOLTAGE), get(L.CURRENT), get(L.CELL_MIN), get(L.CELL_MAX)) if on else (None,) * 4
    power = None if volt is None or amps is None else volt * amps // 100_000
    out.append('"power_w":%s' % fixed(power, 1))
    out.append('"cell_spread_v":%s' % fixed(None if low is None or high is None else high - low, 3))
    out.append('"temperature_c":%s' % fixed(live.temperature() if on else None, 1))
    cells = [fixed(get(L.CELL + i), 3) for i in range((get(L.CELL_COUNT) or 0) if on else 0)]
    out.append('"cells":[%s]' % ",".join(cells))
    faults, warnings = get(L.FAULTS) if on else None, get(L.WARNINGS) if on else None
    flags = []
    for name, fault, warning in _ALARMS:
        known = faults is not None and warnings is not None
        flags.append(
            '"%s":%s' % (name, ("true" if faults & fault or warnings & warning else "false") if known else "null")
        )
    out.append('"protection":{%s}' % ",".join(flags))
    for name in _COUNTERS:
        out.append('"uart_%s":%d' % (name, getattr(counters, name, 0)))
    out.append(
        '"can_sent":%d,"can_errors":%d,"uptime_s":%d,"heap_free":%d}'
        % (can["messages_sent"], can["errors"], board.uptime_s(), board.heap_free())
    )
    return ",".join(out).encode()
