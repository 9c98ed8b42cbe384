"""What the energy counters have to say, as an object for JSON. Loaded when asked."""

from firmware import live as field
from firmware.history import energy as counter
from firmware.history.days import since

_NAMES = ("charged_wh", "discharged_wh", "charged_ah", "discharged_ah")
_RECORDS = (
    ("cell_voltage_min_mv", counter.CELL_LOW, 1),
    ("cell_voltage_max_mv", counter.CELL_HIGH, 1),
    ("pack_voltage_min_mv", counter.PACK_LOW, 1),
    ("pack_voltage_max_mv", counter.PACK_HIGH, 1),
    ("temperature_min_c", counter.COLD, 10),
    ("temperature_max_c", counter.WARM, 10),
    ("charge_current_max_ma", counter.CHARGE, 1),
    ("discharge_current_max_ma", counter.DISCHARGE, 1),
)


def _day(hundredths):
    return dict(zip(_NAMES, (value / 100 for value in hundredths)))


def report(energy, live):
    """The object of GET /api/energy. Lifetime in whole Wh and Ah, days to 0.01; what is not known is None."""
    state = energy.state
    today = yesterday = None
    if energy.next_day is not None:
        today = _day([since(state, counter.IN_WH + 2 * i, state) for i in range(4)])
        if state[counter.YESTERDAY] >= 0:
            yesterday = _day([state[counter.YESTERDAY + i] for i in range(4)])
    records = {}
    for name, at, divisor in _RECORDS:
        value = state[at]
        if value == field.ABSENT:
            value = None
        elif divisor > 1:
            value /= divisor
        records[name] = value
    return {
        "lifetime": dict(zip(_NAMES, (state[counter.IN_WH + 2 * i] for i in range(4)))),
        "today": today,
        "yesterday": yesterday,
        "cycles": _cycles(state, live),
        "full_charges": live.get(field.STAT_FULL_COUNT),
        "high_soc_s": state[counter.HIGH_SOC_S],
        "high_soc_percent": counter.HIGH_SOC // 100,
        "records": records,
    }


def _cycles(state, live):
    """Equivalent full cycles: discharged charge over the configured capacity, to 0.01."""
    capacity = live.get(field.SET_CAPACITY)
    if not capacity:
        return None
    return state[counter.OUT_AH] * 100_000 // capacity / 100
