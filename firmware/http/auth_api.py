"""GET /api/auth/status and /check, POST and DELETE /api/auth/password."""

from micropython import const
from firmware.http.api import ApiError, guarded, reply
from firmware.http.body import only, read_json

_BODY_MAX = const(512)
_SHORTEST = const(8)
_LONGEST = const(64)


def register(app, parts):
    auth = app.auth

    async def get_status(request):
        return reply({"password_set": auth.password_set, "protect_reads": parts.config.get("auth.protect_reads")})

    async def post_password(request):
        body = await read_json(request, _BODY_MAX)
        only(body, ("password",))
        password = body.get("password")
        if not isinstance(password, str) or not _SHORTEST <= len(password.encode()) <= _LONGEST:
            details = "password must be %d-%d characters" % (_SHORTEST, _LONGEST)
            raise ApiError(400, "INVALID_PASSWORD", "Invalid password", details)
        await auth.login().set_password(password)
        return reply({"success": True, "password_set": True})

    async def delete_password(request):
        auth.forget()
        return reply({"success": True, "password_set": False})

    return {
        "GET /api/auth/status": get_status,
        "GET /api/auth/check": guarded(get_status),  # is this the right password?
        "POST /api/auth/password": post_password,
        "DELETE /api/auth/password": delete_password,
    }
