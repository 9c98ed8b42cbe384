"""What /api/status and /ws/telemetry say alike of the battery."""

from firmware import live as field

_FORM = b'"voltage_mv":%s,"current_ma":%s,"soc_percent":%s,"soh_percent":%s,"temperature_c":%s'
_NOTHING = ("null",) * 5


def measured(live, connected):
    """JSON of each measurement, as members of an object; all null while not `connected`. Percent are whole, rounded down."""
    if not connected:
        return _FORM % _NOTHING
    get = live.get
    soc, soh, temperature = get(field.SOC), get(field.SOH), live.temperature()
    return _FORM % (
        word(get(field.VOLTAGE)),
        word(get(field.CURRENT)),
        "null" if soc is None else soc // 100,
        "null" if soh is None else soh // 100,
        "null" if temperature is None else temperature / 10,
    )


def word(value):
    """What `%s` writes as the JSON of a number, a bool or None."""
    if value is None:
        return "null"
    if value is True:
        return "true"
    return "false" if value is False else value
