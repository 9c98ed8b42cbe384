"""GET /api/system/tasks, /info, /logs; POST /api/system/restart, /time."""

from micropython import const
from firmware import lazy
from firmware.http.api import ApiError, guarded, reply, stream
from firmware.http.body import int_arg, only, read_json

_LOG_HEAD = const(10)  # bytes of a line of the log before its source (system/log.py)
_BMS_RESTART = const(5)  # option of command 0x02 (tinybms_uart facts 4)
_BMS_PAUSE_MS = const(5_000)  # between two restarts of the BMS: it opens its switches each time
_RESTART_BODY_MAX = const(256)
_DELAY_MS = const(750)
_DELAY_MAX_MS = const(60_000)
_TIME_LOW = 1_735_689_600_000  # 2025-01-01; no const: over 30 bits
_TIME_HIGH = 4_102_444_800_000  # 2100-01-01


def _bad(details):
    return ApiError(400, "INVALID_PARAMETER", "Invalid parameter", details)


def log_lines(log):
    """(timestamp_ms, level name, source, text) of each line that the Log keeps, oldest first."""
    kept = bytes(log.kept[: log.end])  # others may be written meanwhile
    at = 0
    while at < len(kept):
        end = at + (kept[at] | kept[at + 1] << 8)
        head = at + _LOG_HEAD
        text = head + kept[at + 3]
        stamp = int.from_bytes(kept[at + 4 : head], "little")
        yield stamp, log.levels[kept[at + 2]], kept[head:text].decode(), kept[text:end].decode()
        at = end


def register(app, parts):
    board = parts.board

    async def get_tasks(request):
        return stream(
            {
                "tasks": (
                    {"name": name, "state": state, "priority": 0, "stack_high_water_mark": 0}
                    for name, state in lazy.once("http.status").task_states(parts.tasks)
                )
            }
        )

    async def get_info(request):
        info = board.info()
        info["version"] = parts.version
        info["time_valid"] = board.time_valid
        info["time_source"] = board.time_source
        info["timestamp_ms"] = board.epoch_ms()
        info["uptime_ms"] = board.uptime_ms()
        info["config_problem"] = parts.config.problem
        info["pin_warnings"] = board.pin_warnings(parts.config)
        info["hostname"] = parts.config.get("system.hostname")
        info["password_set"] = app.auth.password_set
        info.update(lazy.once("system.health").Health(board).report())
        info["safe_mode"] = parts.safe_mode
        slots = lazy.once("system.slots").Slots(board.root_dir)
        info["slot"] = slots.running
        info["slots"] = slots.state()
        return stream(info)

    async def get_logs(request):
        limit = int_arg(request, "limit", 0, 1, 1000)
        lines = list(log_lines(parts.log))
        skip = max(0, len(lines) - limit) if limit else 0
        return stream(
            {
                "lines": (
                    {"timestamp_ms": stamp, "level": level, "source": source, "text": text}
                    for stamp, level, source, text in lines[skip:]
                ),
                "total": len(lines),
            }
        )

    async def post_restart(request):
        body = await read_json(request, _RESTART_BODY_MAX, 400, {})
        only(body, ("target", "delay_ms", "update_mode"))
        target = body.get("target", "bms")
        delay_ms = body.get("delay_ms", _DELAY_MS)
        update_mode = body.get("update_mode", False)
        if target not in ("bms", "gateway"):
            raise _bad('target must be "bms" or "gateway"')
        if type(delay_ms) is not int or not 0 <= delay_ms <= _DELAY_MAX_MS:
            raise _bad("delay_ms must be an integer, 0 to %d" % _DELAY_MAX_MS)
        if type(update_mode) is not bool or update_mode and target != "gateway":
            raise _bad("update_mode must be true or false, and is for the gateway")
        if update_mode and board.may_restart:
            with open(board.data_dir + "/update_mode", "w"):
                pass  # for firmware/start.py
        if target == "gateway":
            return _restart_gateway(parts, delay_ms, False, "skipped", 200)
        return await _restart_bms(app, parts, delay_ms)

    async def post_time(request):
        body = await read_json(request, _RESTART_BODY_MAX)
        only(body, ("timestamp_ms",))
        stamp = body.get("timestamp_ms")
        if type(stamp) is not int or not _TIME_LOW <= stamp < _TIME_HIGH:
            raise _bad("timestamp_ms must be Unix milliseconds, 2025 to 2099")
        applied = not board.time_valid  # a clock that NTP has set is better than a browser
        if applied:
            board.set_epoch_ms(stamp)
        return reply({"success": True, "applied": applied, "time_valid": board.time_valid})

    return {
        "GET /api/system/tasks": get_tasks,
        "GET /api/system/info": get_info,
        "GET /api/system/logs": guarded(get_logs),
        "POST /api/system/restart": post_restart,
        "POST /api/system/time": post_time,
    }


def _answer(status, code, attempted, bms_status, gateway, delay_ms):
    return reply(
        {
            "status": status,
            "bms_attempted": attempted,
            "bms_status": bms_status,
            "gateway_restart": gateway,
            "delay_ms": delay_ms,
        },
        code,
    )


def _restart_gateway(parts, delay_ms, attempted, bms_status, code):
    try:
        parts.restart(delay_ms)
    except Exception as error:
        raise ApiError(500, "RESTART_FAILED", "Cannot schedule the restart", str(error))
    return _answer("scheduled", code, attempted, bms_status, True, delay_ms)


async def _restart_bms(app, parts, delay_ms):
    if parts.bms is None:
        raise ApiError(503, "NOT_AVAILABLE", "Service unavailable", "safe mode: " + parts.safe_mode)
    now = parts.board.uptime_ms()
    if app.door.bms_restarted is not None and now - app.door.bms_restarted < _BMS_PAUSE_MS:
        return _answer("throttled", 200, False, "throttled", False, 0)
    app.door.bms_restarted = now
    try:
        confirmed = await parts.bms.command(_BMS_RESTART)
    except parts.bms.Error as error:
        parts.log.warning("http", "BMS restart failed (%s), the gateway restarts instead" % error)
        return _restart_gateway(parts, delay_ms, True, error.code, 202)
    return _answer("scheduled", 200, True, "ok" if confirmed else "sent", False, 0)
