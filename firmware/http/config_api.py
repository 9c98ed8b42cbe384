"""GET and POST /api/config, its schema, backup and restore."""

from micropython import const
from firmware.config.config import ConfigError
from firmware.http.api import ApiError, Json, guarded, reply, stream
from firmware.http.body import int_arg, read_json

_BODY_MAX = const(8192)
_RESTART_MS = const(750)


def saved(parts, change, *args):
    """Call `change(*args)` of the configuration; the answer with the texts of the reference, a restart where one is needed.

    `warnings` is there when pins were changed: what is to be watched with them. Raises ApiError 400 INVALID_CONFIG, 500 when it
    cannot be stored.
    """
    try:
        keys, restart = change(*args)
    except ConfigError as error:
        raise ApiError(400, "INVALID_CONFIG", "Invalid configuration", error.details)
    except OSError as error:
        raise ApiError(500, "STORAGE_ERROR", "Configuration not saved", str(error))
    if restart:
        parts.restart(_RESTART_MS)
    answer = {"success": True, "message": "Configuration saved, restarting..." if restart else "Configuration saved"}
    for key in keys:
        if key.endswith("_pin") or key == "system.board":
            answer["warnings"] = parts.board.pin_warnings(parts.config)
            break
    return reply(answer)


def register(app, parts):
    config = parts.config

    async def get_config(request):
        return Json(config.pieces())

    async def get_schema(request):
        return Json(config.schema())

    async def post_config(request):
        return saved(parts, config.update, await read_json(request, _BODY_MAX))

    async def get_backup(request):
        secrets = int_arg(request, "secrets", 0, 0, 1) == 1
        if secrets:
            await app.auth.check(request, True)
        return stream(config.backup(secrets), 200, {"Content-Disposition": 'attachment; filename="tinybms-gw.json"'})

    async def post_restore(request):
        return saved(parts, config.restore, await read_json(request, _BODY_MAX))

    return {
        "GET /api/config": get_config,
        "POST /api/config": post_config,
        "GET /api/config/schema": get_schema,
        "GET /api/config/backup": get_backup,
        "POST /api/config/restore": guarded(post_restore),
    }
