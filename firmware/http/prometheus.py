"""GET /metrics: Prometheus text format 0.0.4, made line by line. What is not known has no sample."""

from firmware import live as field
from microdot import Response

# name, help, field of the snapshot, divisor to the base unit
_FIELDS = (
    ("voltage_volts", "Pack voltage", field.VOLTAGE, 1000),
    ("current_amperes", "Pack current, positive while charging", field.CURRENT, 1000),
    ("soc_ratio", "State of charge", field.SOC, 10_000),
    ("soh_ratio", "State of health", field.SOH, 10_000),
    ("cell_min_volts", "Lowest cell voltage", field.CELL_MIN, 1000),
    ("cell_max_volts", "Highest cell voltage", field.CELL_MAX, 1000),
)
_LIMITS = (
    ("charge_voltage_limit_volts", "CVL on CAN", field.CVL, 1000),
    ("charge_current_limit_amperes", "CCL on CAN", field.CCL, 1000),
    ("discharge_current_limit_amperes", "DCL on CAN", field.DCL, 1000),
    ("energy_in_watthours_total", "Energy charged", field.ENERGY_IN, 1),
    ("energy_out_watthours_total", "Energy discharged", field.ENERGY_OUT, 1),
)


def _head(name, text):
    kind = "counter" if name.endswith("_total") else "gauge"
    return "# HELP tinybms_%s %s\n# TYPE tinybms_%s %s\n" % (name, text, name, kind)


def _one(name, text, value):
    return "" if value is None else "%stinybms_%s %s\n" % (_head(name, text), name, value)


def _snapshot(live, table):
    for name, text, index, divisor in table:
        value = live.get(index)
        if value is not None:
            yield _one(name, text, value if divisor == 1 else value / divisor)


def _cells(live):
    count = live.get(field.CELL_COUNT) or 0
    balancing = live.get(field.BALANCING) or 0
    yield _head("cell_volts", "Cell voltage, cell 1 is the most negative")
    for i in range(count):
        value = live.get(field.CELL + i)
        if value is not None:
            yield 'tinybms_cell_volts{cell="%d"} %s\n' % (i + 1, value / 1000)
    yield _head("cell_balancing", "1 while the cell is balanced")
    for i in range(count):
        yield 'tinybms_cell_balancing{cell="%d"} %d\n' % (i + 1, balancing >> i & 1)


def _counters(parts):
    if parts.bms and parts.can:  # not in safe mode
        yield from _links(parts)
    bus = parts.bus.metrics()
    yield _one("bus_publishes_total", "Events published", bus["total_publishes"])
    yield _one("bus_dropped_total", "Events dropped by slow subscribers", bus["dropped_events"])


def _links(parts):
    counters = parts.bms.counters
    for name in ("polls", "good", "timeouts", "crc_errors", "nacks", "noise_bytes", "resends", "implausible"):
        yield _one("uart_%s_total" % name, "UART link: " + name.replace("_", " "), getattr(counters, name, None))
    can = parts.can.status()
    yield _one("can_sent_total", "CAN frames sent", can["messages_sent"])
    yield _one("can_received_total", "CAN frames received", can["messages_received"])
    yield _one("can_errors_total", "CAN errors", can["errors"])


def lines(parts):
    """The text, piece by piece."""
    live, board = parts.live, parts.board
    connected = live.connected()
    yield _one("up", "1 while the BMS answers", int(connected))
    yield _one("age_seconds", "Age of the last good poll", live.age_ms() / 1000)
    yield _head("status", "1 for the present status")
    yield 'tinybms_status{status="%s"} 1\n' % live.status()
    if connected:
        yield from _snapshot(live, _FIELDS)
        temperature = live.temperature()
        yield _one("temperature_celsius", "Pack temperature", None if temperature is None else temperature / 10)
        yield from _cells(live)
    yield from _snapshot(live, _LIMITS)
    yield from _counters(parts)
    yield _one("uptime_seconds_total", "Time since start", board.uptime_ms() // 1000)
    yield _one("heap_free_bytes", "Free heap", board.heap_free())
    yield _one("heap_min_bytes", "Smallest free heap seen", board.heap_min())
    yield _one(
        "cpu_busy_ratio", "Share of the last 10 s in which the loop did not wait", parts.tasks.cpu_percent() / 100
    )


def register(app, parts):
    async def get_metrics(request):
        headers = {"Content-Type": "text/plain; version=0.0.4; charset=utf-8", "Cache-Control": "no-store"}
        return Response(lines(parts), 200, headers, "OK")

    return {"GET /metrics": get_metrics}
