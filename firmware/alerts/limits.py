"""The limits of the thresholds, from the configuration to `rules` and back. Loaded for the moment."""

from micropython import const

from firmware.alerts.rules import CELLS, COUNT, ENDS, HITS, LIMITS

_NEVER = const(0x3FFFFFFF)  # limit of a rule that is switched off: no value is above it

# of each type from 1 on: enabling key without "_enabled", limit key, from its unit to ours, hysteresis (0: 5 % of the limit)
_TABLE = (
    ("temp_high", "temperature_max_c", 10, 20),  # hottest of all sensors, 0.1 C
    ("temp_low", "temperature_min_c", -10, 20),  # coldest external sensor, the internal one where there is none
    ("cell_volt_high", "cell_voltage_max_mv", 1, 20),
    ("cell_volt_low", "cell_voltage_min_mv", -1, 20),
    ("pack_volt_high", "pack_voltage_max_mv", 1, 500),
    ("pack_volt_low", "pack_voltage_min_mv", -1, 500),
    ("discharge_current", "discharge_current_max_ma", 1, 0),
    ("charge_current", "charge_current_max_ma", 1, 0),
    ("soc_low", "soc_min_percent", -100, 200),
    ("soc_high", "soc_max_percent", 100, 200),
    ("imbalance", "imbalance_max_mv", 1, 10),
)


def configure(rules, config):
    """Take `alerts.*` anew. A rule that is switched off ends."""
    on = config["alerts.enabled"]
    rules.debounce_ms = config["alerts.debounce_sec"] * 1000
    for i in range(COUNT):
        name, key, factor, hysteresis = _TABLE[i]
        limit = config["alerts." + key] * factor
        enabled = on and config["alerts." + name + "_enabled"]
        rules.numbers[LIMITS + i] = limit if enabled else _NEVER
        rules.numbers[ENDS + i] = limit - (hysteresis or limit // 20)
        if not enabled:
            rules.end(i)


def hit(rules, i):
    """(value, limit, pack cell or 0) of when rule `i` became due, with their own signs."""
    name, key, factor, hysteresis = _TABLE[i]
    sign = -1 if factor < 0 else 1
    cell = rules.numbers[CELLS + i] if "cell" in name else 0
    return sign * rules.numbers[HITS + i], sign * rules.numbers[LIMITS + i], cell
