"""Commands under <base>/cmd/NAME, answered on <base>/rsp; loaded when one comes. Each needs its permission, mqtt.commands.NAME.

The payload is a JSON object or empty; what it holds as "request_id" comes back in the answer: {"command", "success", ...} or
{"command", "success": false, "error": text}.
"""

import json
from micropython import const
from firmware import lazy
from firmware import live as field
from firmware.config import config as configs

_BMS_RESTART = const(5)  # option of command 0x02 (tinybms_uart facts 4)
_BMS_PAUSE_S = const(5)  # between two restarts of the BMS: it opens its switches each time
_RESTART_MS = const(750)
_FIRST = const(300)
_COUNT = const(44)
_MIN, _MAX = const(1), const(2)  # options of 0x1D


class _Refused(Exception):
    pass


async def carry_out(session, topic, payload):
    """Do what the message asks and put the answer into the outbox."""
    base = session.settings.base
    name = topic.decode()[len(base) + 5 :]
    answer = {"command": name}
    try:
        if name not in session.settings.commands:
            raise _Refused("not allowed" if hasattr(_Commands, name) and name[0] != "_" else "unknown command")
        body = json.loads(payload) if payload else {}
        if not isinstance(body, dict):
            raise _Refused("expected a JSON object")
        if "request_id" in body:
            answer["request_id"] = body.pop("request_id")
        answer.update(await getattr(_Commands(session), name)(body))
        answer["success"] = True
        session.parts.log.info("mqtt", "command %s done" % name)
    except Exception as error:
        answer["success"] = False
        answer["error"] = _reason(session, error)
        session.parts.log.debug("mqtt", "command %s: %s" % (name, answer["error"]))
    session.answers.put(base.encode() + b"/rsp", json.dumps(answer).encode())


def _reason(session, error):
    bms = session.parts.bms
    if isinstance(error, configs.ConfigError):
        return error.details
    if isinstance(error, (_Refused, bms.Error)):
        return str(error)
    if isinstance(error, ValueError):
        return getattr(error, "details", "invalid JSON")
    return "%s: %s" % (type(error).__name__, error)


class _Commands:
    """A method for each command; gives what the answer holds."""

    def __init__(self, session):
        self._part = session.part
        self._parts = session.parts

    async def acknowledge(self, body):
        """{"alert_id": n}, or all."""
        alerts = self._parts.alerts
        if alerts is None:
            raise _Refused("no alerts on this gateway")
        if "alert_id" not in body:
            return {"acknowledged_count": alerts.acknowledge_all()}
        try:
            alerts.acknowledge(body["alert_id"])
        except KeyError:
            raise _Refused("no such alert")
        return {"alert_id": body["alert_id"]}

    async def limits(self, body):
        """{"cvl_mv", "ccl_ma", "dcl_ma"}: beside the user's own for override_timeout_s; 0 or null takes one away."""
        try:
            return lazy.once("mqtt.limits").command(self._part, body)
        except ValueError as error:
            raise _Refused(str(error))
        finally:
            self._parts.config.release()

    async def config(self, body):
        """Groups of POST /api/config, but for those that hold rights and access."""
        for group, values in body.items():
            # who may write these three could take all other rights
            if group in ("mqtt", "auth", "wifi") or not isinstance(values, dict):
                raise _Refused("%s cannot be changed here" % group)
        keys, restart = self._parts.config.update(body)
        if restart:
            self._parts.restart(_RESTART_MS)
        return {"changed": list(keys), "restart": restart}

    async def registers(self, body):
        """{"key" or "address", "value"}, checked as by POST /api/registers."""
        bms, catalogue = self._parts.bms, self._parts.bms.catalogue
        name = body.get("key", body.get("address"))
        if type(name) not in (str, int) or "value" not in body:
            raise _Refused("key (or address) and value are needed")
        line = catalogue.find(name)
        words = await bms.read(_FIRST, _COUNT)
        lows, highs = await self._read_limits(_MIN), await self._read_limits(_MAX)
        firmware = self._parts.live.get(field.FIRMWARE)
        for address, word in catalogue.check_write(name, body["value"], words, lows, highs, firmware):
            read_back = await bms.write_register(address, word)
            if read_back != word and not line.get("once"):
                raise _Refused("register %d reads %d after %d was written" % (address, read_back, word))
        return {"key": line["key"], "value": body["value"], "restart": line.get("restart", False)}

    async def _read_limits(self, option):
        try:
            return await self._parts.bms.read_limits(option)
        except self._parts.bms.Error:
            return None  # a BMS that does not know 0x1D

    async def restart_bms(self, body):
        now = self._parts.board.uptime_s()
        last = self._part.bms_restart
        if last is not None and now - last < _BMS_PAUSE_S:
            raise _Refused("the BMS was just restarted")
        self._part.bms_restart = now
        return {"bms_status": "ok" if await self._parts.bms.command(_BMS_RESTART) else "sent"}

    async def restart_gateway(self, body):
        if not self._parts.restart(_RESTART_MS):
            raise _Refused("this gateway may not restart itself")
        return {"delay_ms": _RESTART_MS}
