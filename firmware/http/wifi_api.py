"""GET /api/wifi and /api/wifi/scan, POST /api/wifi/connect."""

from firmware.http.api import ApiError, reply, stream
from firmware.http.body import int_arg

_RETRY_S = "3"


def _host(parts):
    """What there is to say of a computer."""
    report = parts.board.network()
    report["state"] = "connected"
    report["failure"] = report["configured_ssid"] = report["ap_ip"] = ""
    report["fallback"] = False
    report["ap_stations"] = 0
    return report


def register(app, parts):
    async def get_wifi(request):
        secrets = int_arg(request, "secrets", 0, 0, 1) == 1
        if secrets:
            await app.auth.check(request, True)
        wifi = getattr(parts, "wifi", None)
        if wifi is None:
            return reply(_host(parts))
        report = wifi.report()
        if secrets:
            report["ap_password"] = wifi.ap_password()
        return reply(report)

    def need_wifi():
        wifi = getattr(parts, "wifi", None)
        if wifi is None:
            raise ApiError(503, "NOT_AVAILABLE", "Service unavailable", "this machine has no WiFi of ours")
        return wifi

    async def get_scan(request):
        if app.auth.password_set:
            await app.auth.check(request, True)  # it stops the radio's other work for seconds
        try:
            networks = await need_wifi().scan()
        except OSError as error:
            raise ApiError(503, "SCAN_FAILED", "No scan", str(error), {"Retry-After": _RETRY_S})
        return stream({"networks": networks})

    async def post_connect(request):
        need_wifi().connect()
        return reply({"success": True})

    return {"GET /api/wifi": get_wifi, "GET /api/wifi/scan": get_scan, "POST /api/wifi/connect": post_connect}
