"""GET /api/status, /api/metrics/runtime and /api/event-bus/metrics."""

from firmware import live as field
from firmware.http.api import reply
from firmware.http.battery import measured


def battery(live):
    """The `battery` object of the status; everything but `status` is None while disconnected."""
    values = dict(measured(live))
    values["cells_count"] = live.get(field.CELL_COUNT) if live.connected() else None
    values["status"] = live.status()
    return values


def mqtt_state(parts):
    """The `mqtt` object of the status."""
    uri = parts.config.get("mqtt.broker_uri")
    if parts.mqtt is None or not uri:
        return {"connected": False, "broker": uri}
    status = parts.mqtt.status()
    return {"connected": status["connected"], "broker": status["broker"]}


def register(app, parts):
    board = parts.board

    async def get_status(request):
        return reply(
            {
                "uptime_ms": board.uptime_ms(),
                "free_heap": app.heap_free(),
                "min_heap": board.heap_min(),
                "task_count": len(parts.tasks.list()),
                "wifi": board.network(),
                "mqtt": mqtt_state(parts),
                "battery": battery(parts.live),
                "age_ms": parts.live.age_ms(),
                "bms_reason": parts.bms.reason if parts.bms else "safe mode: " + parts.safe_mode,
                "password_set": app.auth.password_set,
            }
        )

    async def get_runtime(request):
        states = [state for _, state in parts.tasks.list()]
        return reply(
            {
                "uptime_s": board.uptime_ms() // 1000,
                "free_heap": app.heap_free(),
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
