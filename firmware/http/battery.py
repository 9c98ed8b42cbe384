"""What /api/status and /ws/telemetry say alike of the battery."""

from firmware import live as field


def _nothing(index):
    return None


def measured(live):
    """(name, value) of each measurement; all None while disconnected. Percent are whole, rounded down."""
    connected = live.connected()
    get = live.get if connected else _nothing
    yield "voltage_mv", get(field.VOLTAGE)
    yield "current_ma", get(field.CURRENT)
    yield "soc_percent", _whole(get(field.SOC))
    yield "soh_percent", _whole(get(field.SOH))
    temperature = live.temperature() if connected else None
    yield "temperature_c", None if temperature is None else temperature / 10


def _whole(hundredths):
    return None if hundredths is None else hundredths // 100
