"""GET /api/status, /api/metrics/runtime and /api/event-bus/metrics."""

import json
from asyncio import core
from firmware import live as field
from firmware.http.api import Json, reply
from firmware.http.battery import measured, word

_FORM = (
    b'{"uptime_ms":%d,"free_heap":%d,"min_heap":%d,"task_count":%d,"wifi":%s,"mqtt":%s,"battery":{%s,"cells_count":%s,'
    b'"status":"%s"},"age_ms":%d,"bms_reason":%s,"password_set":%s}'
)


def mqtt_state(parts):
    """The `mqtt` object of the status."""
    uri = parts.config.get("mqtt.broker_uri")
    if parts.mqtt is None or not uri:
        return {"connected": False, "broker": uri}
    status = parts.mqtt.status()
    return {"connected": status["connected"], "broker": status["broker"]}


def task_states(tasks):
    """[(name, state)]: Running (asks right now), Ready (waits for its turn), Blocked (waits for time
    or data), Suspended (waits for its restart, or could not start). A task that has ended is left out."""
    states = []
    for entry in tasks.entries:
        task = entry.task
        if entry.waiting or entry.failed:
            state = "Suspended"
        elif task is core.cur_task:
            state = "Running"
        elif task.done():
            continue
        else:  # in the run queue, and its time has come?
            due = task.data is None and core.ticks_diff(core.ticks(), task.ph_key) >= 0
            state = "Ready" if due else "Blocked"
        states.append((entry.name, state))
    return states


def _task_count(tasks):
    """How many `task_states` has."""
    count = 0
    for entry in tasks.entries:
        if entry.waiting or entry.failed or not entry.task.done():
            count += 1
    return count


class _Text:
    """JSON of what seldom changes, made again when it has."""

    value = None

    def of(self, value):
        if value != self.value:
            self.value, self.text = value, json.dumps(value)
        return self.text


def register(app, parts):
    board, live = parts.board, parts.live
    wifi, mqtt, reason = _Text(), _Text(), _Text()

    def status():
        connected = live.connected()
        return _FORM % (
            board.uptime_ms(),
            app.heap_free(),
            board.heap_min(),
            _task_count(parts.tasks),
            wifi.of(board.network()),
            mqtt.of(mqtt_state(parts)),
            measured(live, connected),
            word(live.get(field.CELL_COUNT) if connected else None),
            live.status(),
            live.age_ms(),
            reason.of(parts.bms.reason if parts.bms else "safe mode: " + parts.safe_mode),
            word(app.auth.password_set),
        )

    async def get_status(request):
        return Json(status())

    async def get_runtime(request):
        states = [state for _, state in task_states(parts.tasks)]
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
