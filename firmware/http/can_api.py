"""GET /api/can/status and /api/can/limits."""

from firmware.http.api import reply, stream


def register(app, parts):
    async def get_status(request):
        return reply(parts.can.status())

    async def get_limits(request):
        return stream(parts.can.limits())

    return {"GET /api/can/status": get_status, "GET /api/can/limits": get_limits}
