"""GET /api/status, /api/metrics/runtime and /api/event-bus/metrics."""

from firmware import live as field
from firmware.http.api import reply


def battery(live):
    """The `battery` object of the status; everything but `status` is None while disconnected."""
    if not live.connected():
        keys = ("voltage_mv", "current_ma", "soc_percent", "soh_percent", "temperature_c", "cells_count")
        values = dict.fromkeys(keys)
    else:
        values = measured(live)
        values["cells_count"] = live.get(field.CELL_COUNT)
    values["status"] = live.status()
    return values


def measured(live):
    """What /api/status and /ws/telemetry say alike of a connected battery."""
    return {
        "voltage_mv": live.get(field.VOLTAGE),
        "current_ma": live.get(field.CURRENT),
        "soc_percent": whole(live.get(field.SOC)),
        "soh_percent": whole(live.get(field.SOH)),
        "temperature_c": tenths(live.temperature()),
    }


def whole(hundredths):
    """Whole percent, rounded down, of 0.01 %; None stays None."""
    return None if hundredths is None else hundredths // 100


def tenths(value):
    """0.1 C as the number that JSON shows; None stays None."""
    return None if value is None else value / 10


def mqtt_state(parts):
    """The `mqtt` object of the status."""
    if parts.mqtt is None:
        return {"connected": False, "broker": parts.config.get("mqtt.broker_uri")}
    status = parts.mqtt.status()
    return {"connected": status["connected"], "broker": status["broker"]}


def register(app, parts):
    board = parts.board

    async def get_status(request):
        return reply(
            {
                "uptime_ms": board.uptime_ms(),
                "free_heap": board.heap_free(),
                "min_heap": board.heap_min(),
                "task_count": len(parts.tasks.list()),
                "wifi": board.network(),
                "mqtt": mqtt_state(parts),
                "battery": battery(parts.live),
                "age_ms": parts.live.age_ms(),
                "bms_reason": parts.bms.reason,
                "password_set": app.auth.password_set,
            }
        )

    async def get_runtime(request):
        states = [state for _, state in parts.tasks.list()]
        return reply(
            {
                "uptime_s": board.uptime_ms() // 1000,
                "free_heap": board.heap_free(),
                "min_heap_ever": board.heap_min(),
                "largest_free_block": board.largest_block(),
                "tasks": {
                    "total": len(states),
                    "running": states.count("Running") + states.count("Ready"),
                    "blocked": states.count("Blocked"),
                    "suspended": states.count("Suspended"),
                },
                "cpu_usage_percent": parts.tasks.cpu_percent(),
            }
        )

    async def get_bus(request):
        return reply(parts.bus.metrics())

    return {
        "GET /api/status": get_status,
        "GET /api/metrics/runtime": get_runtime,
        "GET /api/event-bus/metrics": get_bus,
    }
