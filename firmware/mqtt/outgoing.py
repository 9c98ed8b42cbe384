"""What the session sends next. Out of order it goes by class: alerts first, each until it is acknowledged; then answers to
commands; then status, configuration and metrics, which are made when they are sent, so that only the newest exists; then CAN
frames.
"""

import asyncio
import gc
import json
from micropython import const
from firmware import live as field
from firmware.lazy import load
from firmware.mqtt import client, messages

_STATUS_MS = const(10_000)
_METRICS_MS = const(1000)
_PIECES = const(16)  # of the configuration, about one each key, looked up without a pause


async def send_one(session, connection, now):
    """Send what is most urgent; False when nothing is due."""
    parts, settings = session.parts, session.settings
    diff = parts.board.ticks_diff
    if not session.waits and (session.alert or len(session.alerts)):
        return await _send_alert(session, connection)
    if len(session.answers):
        topic, payload = await session.answers.get()
        await _publish(session, topic, payload)
        return True
    live = parts.live
    if not (session.waits and settings.qos):
        soc = live.get(field.SOC)
        soc = None if soc is None else soc // 100
        if session.status_due or soc != session.soc or diff(now, session.status_at) >= _STATUS_MS:
            session.status_due = False
            session.soc = soc
            session.status_at = now
            await _publish(session, "status", messages.status(live, parts.board))
            return True
        if session.part.config_due:
            session.part.config_due = False
            gc.collect()
            await _publish(session, "config", await _config(parts.config))
            session.tidy()
            return True
        if (
            live.polls != session.polls
            and diff(now, session.metrics_at) >= _METRICS_MS
            or diff(now, session.metrics_at) >= _STATUS_MS
        ):
            session.polls = live.polls
            session.metrics_at = now
            message = messages.metrics(live, parts.board, parts.bms.counters, parts.can.driver)
            await _publish(session, "metrics", message)
            return True
    if session.frames and len(session.frames):
        _, frame = await session.frames.get()
        for topic, payload in load("mqtt.frames").messages(settings.topics, parts, *frame):
            await _publish(session, topic, payload)
        return True
    return False


async def _publish(session, name, payload):
    """Send on the topic `name` of the settings, or the topic itself (bytes), as the settings want it."""
    settings = session.settings
    pid = 0
    if isinstance(name, str):
        topic, retain = settings.topics[name], settings.retain
        if settings.qos:
            pid = session.take_pid()
    else:
        topic, retain = name, False
    await session.connection.publish(topic, payload, retain, pid)
    session.part.sent += 1


async def _send_alert(session, connection):
    again = session.alert is not None
    if not again:
        _, payload = await session.alerts.get()
        alerts = session.parts.alerts
        alert = alerts and alerts.get(payload[0])
        if not alert:
            return True  # gone from the log since
        session.alert = (json.dumps(alerts.texts().entry(alert)).encode(), session.take_pid())
    else:  # the connection broke before the answer came
        session.waits = session.pid = session.alert[1]
        connection.acked = 0
        session.since = session.parts.board.ticks_ms()
    await connection.publish(session.settings.topics["alerts"], session.alert[0], False, session.waits, again)
    session.part.sent += 1
    return True


async def _config(config):
    pieces = config.pieces
    size = 0
    for i, piece in enumerate(pieces()):
        size += len(piece.encode())
        if i % _PIECES == 0:
            await asyncio.sleep_ms(0)
    return client.Body(size, (piece.encode() for piece in pieces()))
