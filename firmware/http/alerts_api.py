"""/api/alerts/... and /ws/alerts. Loaded when asked."""

import asyncio
from micropython import const

from firmware import bus as topics
from firmware import lazy
from firmware.config.config import ConfigError
from firmware.http import ws
from firmware.http.api import ApiError, reply, stream
from firmware.http.body import int_arg, read_json

_LIMIT = const(50)
_LIMIT_MAX = const(1000)
_PAGE = const(8)  # alerts in RAM at once


def _history(alerts, language, offset, limit):
    """Yield the entries of the log, newest first, from `offset` on. What comes in between does not shift them."""
    texts = alerts.texts(language)
    end = alerts.log.count - offset
    while limit > 0 and end > 0:
        page = alerts.page(end, min(_PAGE, limit))
        for alert in page:
            yield texts.history_entry(alert)
        limit -= _PAGE
        end = alerts.find(page[-1].id) if page else 0


async def _statistics(alerts):
    """Counted over the log as it is."""
    counts = [0, 0, 0]
    acknowledged = total_ms = 0
    end = alerts.log.count
    while end > 0:
        page = alerts.page(end, _PAGE)
        for alert in page:
            counts[alert.severity] += 1
            raised, answered = alert.times[:2]
            if answered is not None and alert.relative & 3 in (0, 3):
                acknowledged += 1
                total_ms += max(answered - raised, 0)
        end = alerts.find(page[-1].id) if page else 0
        await asyncio.sleep_ms(0)
    return {
        "total_alerts": sum(counts),
        "active_alert_count": len(alerts.active),
        "critical_count": counts[2],
        "warning_count": counts[1],
        "info_count": counts[0],
        "avg_acknowledgment_time_ms": total_ms // acknowledged if acknowledged else 0,
    }


def register(app, parts):
    alerts, config = parts.alerts, parts.config

    def watcher(request):
        language = lazy.once("http.query").lang(request.args, None)
        return lazy.once("http.ws_alerts").Alerts(parts, language)

    async def get_active(request):
        entries = watcher(request).active()
        return stream({"alerts": entries, "count": len(entries)})

    async def get_history(request):
        limit = int_arg(request, "limit", _LIMIT, 1, _LIMIT_MAX)
        offset = int_arg(request, "offset", 0, 0, 1_000_000)
        entries = _history(alerts, lazy.once("http.query").lang(request.args, None), offset, limit)
        return stream({"alerts": entries, "total": alerts.log.count, "limit": limit, "offset": offset})

    async def get_statistics(request):
        return reply(await _statistics(alerts))

    async def get_config(request):
        return reply(config.group("alerts"))

    async def post_config(request):
        body = await read_json(request)
        try:
            config.update_group("alerts", body)
        except ConfigError as error:
            raise ApiError(400, "INVALID_CONFIG", "Invalid configuration", error.details)
        except OSError as error:
            raise ApiError(500, "STORAGE_ERROR", "Configuration not saved", str(error))
        return reply({"success": True})

    async def acknowledge_all(request):
        return reply({"success": True, "acknowledged_count": alerts.acknowledge_all()})

    async def acknowledge(request, last):
        try:
            alert_id = int(last) if last.isdigit() else -1
            alerts.acknowledge(alert_id)
        except KeyError:
            raise ApiError(404, "ALERT_NOT_FOUND", "Not found", "no alert with id %s" % last[:20])
        return reply({"success": True, "alert_id": alert_id})

    async def clear_history(request):
        try:
            count = alerts.clear_history()
        except OSError as error:
            raise ApiError(500, "STORAGE_ERROR", "History not cleared", str(error))
        return reply({"success": True, "deleted_count": count})

    async def watch(request):
        one = watcher(request)
        return await ws.serve(app, request, (topics.ALERT,), one.convert, first=one.opening)

    return {
        "GET /api/alerts/active": get_active,
        "GET /api/alerts/history": get_history,
        "GET /api/alerts/statistics": get_statistics,
        "GET /api/alerts/config": get_config,
        "POST /api/alerts/config": post_config,
        "POST /api/alerts/acknowledge": acknowledge_all,
        "POST /api/alerts/acknowledge/*": acknowledge,
        "DELETE /api/alerts/history": clear_history,
        "GET /ws/alerts": watch,
    }
