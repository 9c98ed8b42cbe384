"""/ws/telemetry: the battery each second, made once for all clients."""

import asyncio
import json
from micropython import const
from firmware import live as field
from firmware.http import ws
from firmware.http.status import battery

_PERIOD_MS = const(1000)
_PROTECTIONS = ("ov", "uv", "oc_charge", "oc_discharge", "temp_high", "temp_low")


def _has(bits, bit):
    return bool(bits >> bit & 1)


def protection(live):
    """The `protection` object: from the active events of the BMS, and by its thresholds while those are not known.

    Bits: tinybms_uart facts 11; fault 0x00 + n is bit n of FAULTS, warning 0x30 + n bit n of WARNINGS.
    """
    faults, warnings = live.get(field.FAULTS), live.get(field.WARNINGS)
    if faults is None or warnings is None:
        return _by_thresholds(live)
    return {
        "ov": _has(faults, 0x03),
        "uv": _has(faults, 0x02) or _has(warnings, 0x01),
        "oc_charge": _has(faults, 0x06) or _has(faults, 0x07),
        "oc_discharge": _has(faults, 0x05),
        "temp_high": _has(faults, 0x04),
        "temp_low": _has(faults, 0x0A) or _has(warnings, 0x07),
    }


def _over(value, limit):
    """True when `value` has reached `limit`, None when one of them is not known."""
    return None if value is None or limit is None else value >= limit


def _by_thresholds(live):
    current, temperature = live.get(field.CURRENT), live.temperature()
    draw = None if current is None else -current
    return {
        "ov": _over(live.get(field.CELL_MAX), live.get(field.SET_OV)),
        "uv": _over(live.get(field.SET_UV), live.get(field.CELL_MIN)),
        "oc_charge": _over(current, live.get(field.SET_CHARGE_OC)),
        "oc_discharge": _over(draw, live.get(field.SET_DISCHARGE_OC)),
        "temp_high": _over(temperature, live.get(field.SET_HOT)),
        "temp_low": _over(live.get(field.SET_COLD), temperature),
    }


def _cells(live):
    """JSON text of each cell, in pack order (index 0 is pack cell 1, the most negative)."""
    balancing = live.get(field.BALANCING) or 0
    for i in range(live.get(field.CELL_COUNT) or 0):
        voltage = live.get(field.CELL + i)
        yield '{"index":%d,"voltage_mv":%s,"balancing":%s}' % (
            i,
            "null" if voltage is None else voltage,
            "true" if balancing >> i & 1 else "false",
        )


def message(live, board):
    """The telemetry message as JSON text. Everything is null, and `cells` empty, while disconnected."""
    connected = live.connected()
    values = battery(live)
    del values["cells_count"]
    status = values.pop("status")
    values["type"] = "battery_data"
    values["timestamp_ms"] = board.epoch_ms()
    values["age_ms"] = live.age_ms()
    values["status"] = status
    values["protection"] = protection(live) if connected else dict.fromkeys(_PROTECTIONS)
    values["cvl_mv"], values["ccl_ma"], values["dcl_ma"] = live.get(field.CVL), live.get(field.CCL), live.get(field.DCL)
    cells = ",".join(_cells(live)) if connected else ""
    return json.dumps(values)[:-1] + ', "cells": [' + cells + "]}"


class Telemetry:
    """Makes one frame a second while there are clients, and puts it into the queue of each."""

    def __init__(self, app, parts):
        self._app = app
        self._parts = parts
        self._queues = []
        self._task = None

    async def serve(self, request):
        if self._task is None or self._task.done():
            self._task = asyncio.create_task(self._run())
        live, board = self._parts.live, self._parts.board
        return await ws.serve(
            self._app, request, (), None, size=3, first=lambda: message(live, board), joined=self._queues
        )

    async def _run(self):
        await asyncio.sleep_ms(_PERIOD_MS)
        while self._queues:
            frame = ws.text_frame(message(self._parts.live, self._parts.board))
            for queue in self._queues:
                queue.put(ws.FRAME, frame)
            await asyncio.sleep_ms(_PERIOD_MS)


def register(app, parts):
    return {"GET /ws/telemetry": Telemetry(app, parts).serve}
