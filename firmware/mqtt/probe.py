"""POST /api/mqtt/test: one connection with settings that are only tried. Loaded when asked."""

import asyncio
from micropython import const
from firmware.mqtt import client, opening, settings

_PUBACK_MS = const(5000)
_STEP_MS = const(20)


async def test(part, values):
    """{"success", "stage", "error", "verified"}: `stage` is where it failed, or "ok"; see client.Failure.

    It logs in under a name of its own, without a will, so that the running connection stays.
    """
    config, board = part.parts.config, part.parts.board
    tried = settings.make(lambda key: values[key] if key in values else config[key])
    if not tried.host:
        return {"success": False, "stage": "config", "error": "no broker_uri", "verified": False}
    tried.client_id += b"-test"
    tried.will_topic = None
    connection = client.Connection(tried.client_id, board, lambda topic, payload: None)
    try:
        await opening.open(connection, tried, board, part.resolver)
        await _try_topic(connection, tried, board)
    except client.Failure as failure:
        text = str(failure)
        return {"success": False, "stage": failure.stage, "error": text[text.find(": ") + 2 :], "verified": False}
    finally:
        await connection.close(connection.connack == 0)
    return {"success": True, "stage": "ok", "error": "", "verified": connection.verified}


async def _try_topic(connection, tried, board):
    """An empty message below the status topic; a broker that forbids it says nothing or ends the connection."""
    await connection.publish(tried.topics["status"] + b"/test", b"", False, 1)
    for _ in range(_PUBACK_MS // _STEP_MS):
        if connection.acked == 1:
            return
        if connection.failed:
            raise client.Failure("mqtt", "the broker ended the connection: is publishing allowed?")
        await asyncio.sleep_ms(_STEP_MS)
    raise client.Failure("mqtt", "the broker does not acknowledge a message")
