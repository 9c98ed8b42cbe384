"""GET and POST /api/mqtt/config, GET /api/mqtt/status, POST /api/mqtt/test."""

from firmware.config.config import ConfigError
from firmware.http.api import ApiError, guarded, reply, stream
from firmware.http.body import read_json


def _invalid(error):
    return ApiError(400, "INVALID_CONFIG", "Invalid configuration", error.details)


def register(app, parts):
    config, mqtt = parts.config, parts.mqtt

    async def get_config(request):
        return stream(config.group("mqtt"))

    async def post_config(request):
        body = await read_json(request)
        try:
            config.update_group("mqtt", body)
        except ConfigError as error:
            raise _invalid(error)
        except OSError as error:
            raise ApiError(500, "STORAGE_ERROR", "Configuration not saved", str(error))
        return reply({"success": True, "message": "MQTT configuration updated"})

    async def get_status(request):
        return reply(mqtt.status())

    async def post_test(request):
        body = await read_json(request, empty={})
        try:
            values = config.preview_group("mqtt", body)
        except ConfigError as error:
            raise _invalid(error)
        if app.low_memory():
            raise ApiError(503, "LOW_MEMORY", "Service unavailable")
        return reply(await mqtt.test(values))

    return {
        "GET /api/mqtt/config": get_config,
        "POST /api/mqtt/config": post_config,
        "GET /api/mqtt/status": get_status,
        "POST /api/mqtt/test": guarded(post_test),
    }
