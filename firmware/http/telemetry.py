"""/ws/telemetry: the battery each second, made once for all clients."""

import asyncio
import json
from micropython import const
from firmware import live as field
from firmware.http import ws
from firmware.http.battery import measured

_PERIOD_MS = const(1000)
_SIZE = const(1280)  # about the bytes of a message with 16 cells
_PROTECTIONS = ("ov", "uv", "oc_charge", "oc_discharge", "temp_high", "temp_low")


def protection(live):
    """The values of _PROTECTIONS: from the active events of the BMS, and by its thresholds while those are not known.

    Bits: tinybms_uart facts 11; fault 0x00 + n is bit n of FAULTS, warning 0x30 + n bit n of WARNINGS.
    """
    if not live.connected():
        return (None,) * 6
    faults, warnings = live.get(field.FAULTS), live.get(field.WARNINGS)
    if faults is None or warnings is None:
        return _by_thresholds(live)
    return (
        faults & 1 << 0x03 != 0,
        faults & 1 << 0x02 != 0 or warnings & 1 << 0x01 != 0,
        faults & (1 << 0x06 | 1 << 0x07) != 0,
        faults & 1 << 0x05 != 0,
        faults & 1 << 0x04 != 0,
        faults & 1 << 0x0A != 0 or warnings & 1 << 0x07 != 0,
    )


def _over(value, limit):
    """True when `value` has reached `limit`, None when one of them is not known."""
    return None if value is None or limit is None else value >= limit


def _by_thresholds(live):
    get = live.get
    current, temperature = get(field.CURRENT), live.temperature()
    return (
        _over(get(field.CELL_MAX), get(field.SET_OV)),
        _over(get(field.SET_UV), get(field.CELL_MIN)),
        _over(current, get(field.SET_CHARGE_OC)),
        _over(None if current is None else -current, get(field.SET_DISCHARGE_OC)),
        _over(temperature, get(field.SET_HOT)),
        _over(get(field.SET_COLD), temperature),
    )


def _values(pairs):
    """JSON text of each (name, value), as it follows others in an object."""
    for name, value in pairs:
        yield ', "%s": %s' % (name, json.dumps(value))


def _cells(live):
    """JSON text of each cell, in pack order (index 0 is pack cell 1, the most negative)."""
    balancing = live.get(field.BALANCING) or 0
    comma = ""
    for i in range(live.get(field.CELL_COUNT) or 0):
        voltage = json.dumps(live.get(field.CELL + i))
        yield '%s{"index":%d,"voltage_mv":%s,"balancing":%s}' % (comma, i, voltage, json.dumps(balancing >> i & 1 == 1))
        comma = ","


def pieces(live, board):
    """The telemetry message as pieces of JSON text. Everything is null, and `cells` empty, while disconnected."""
    head = '{"type": "battery_data", "timestamp_ms": %d, "age_ms": %d, "status": "%s"'
    yield head % (board.epoch_ms(), live.age_ms(), live.status())
    yield from _values(measured(live))
    cvl, ccl, dcl = live.get(field.CVL), live.get(field.CCL), live.get(field.DCL)
    yield from _values((("cvl_mv", cvl), ("ccl_ma", ccl), ("dcl_ma", dcl)))
    yield ', "protection": {'
    comma = ""
    for name, value in zip(_PROTECTIONS, protection(live)):
        yield '%s"%s": %s' % (comma, name, json.dumps(value))
        comma = ", "
    yield '}, "cells": ['
    if live.connected():
        yield from _cells(live)
    yield "]}"


def frame(live, board):
    """The message as a frame."""
    return ws.frame_of(pieces(live, board), _SIZE)


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
        return await ws.serve(self._app, request, (), None, size=3, first=self._frame, joined=self._queues)

    def _frame(self):
        return frame(self._parts.live, self._parts.board)

    async def _run(self):
        while True:
            await asyncio.sleep_ms(_PERIOD_MS)
            if not self._queues:
                break
            made = self._frame()
            for queue in self._queues:
                queue.put(ws.FRAME, made)
            made = None  # not kept while this waits


def register(app, parts):
    return {"GET /ws/telemetry": Telemetry(app, parts).serve}
