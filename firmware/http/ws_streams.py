"""/ws/events, /ws/uart and /ws/can: what goes over the bus, for people. Loaded when somebody watches."""

import binascii
from micropython import const
from firmware import bus as topics
from firmware import live as field
from firmware.http import ws

_UART_GAP_MS = const(390)  # between two frames of one direction: about 5 a second with both
_READ = const(0x03)
_FAST_REPLY = const(3 + 112 + 2)  # bytes of the reply to "read registers 0-55" (tinybms_uart facts 4)


class Events:
    """Converts what is published into system events. One for each client: it knows the last status."""

    def __init__(self, parts):
        self._live = parts.live
        self._clock = parts.board
        self._status = parts.live.status()

    def convert(self, topic, payload):
        name = data = None
        if topic == topics.EVENT:
            name, data = payload
        elif topic == topics.GX:
            name, data = ("GX_CONNECTED" if payload else "GX_DISCONNECTED"), {}
        else:  # STATUS, LINK, POLL
            status = self._live.status()
            if status == self._status:
                return None
            name, data = "BATTERY_STATUS_CHANGE", {"from": self._status, "to": status}
            self._status = status
        return {"type": "system_event", "event": name, "timestamp_ms": self._clock.epoch_ms(), "data": data}


class UartFrames:
    def __init__(self, parts):
        self._live = parts.live
        self._clock = parts.board
        self._last = {}

    def convert(self, topic, payload):
        direction, frame = payload
        now = self._clock.ticks_ms()
        last = self._last.get(direction)
        if last is not None and 0 <= self._clock.ticks_diff(now, last) < _UART_GAP_MS:
            return None
        self._last[direction] = now
        parsed = {"command": frame[1] if len(frame) > 1 else None, "length": len(frame)}
        if direction == "RX" and len(frame) == _FAST_REPLY and frame[1] == _READ:
            live = self._live
            parsed["voltage_mv"] = live.get(field.VOLTAGE)
            parsed["current_ma"] = live.get(field.CURRENT)
            parsed["cells"] = [live.get(field.CELL + i) for i in range(live.get(field.CELL_COUNT) or 0)]
        return {
            "type": "uart_frame",
            "timestamp_ms": self._clock.epoch_ms(),
            "direction": direction,
            "raw": binascii.hexlify(frame).decode().upper(),
            "parsed": parsed,
        }


class CanFrames:
    def __init__(self, parts):
        self._can = parts.can
        self._clock = parts.board

    def convert(self, topic, payload):
        direction, can_id, data = payload
        return {
            "type": "can_frame",
            "timestamp_ms": self._clock.epoch_ms(),
            "direction": direction,
            "can_id": "0x%03X" % can_id,
            "data": list(data),
            "dlc": len(data),
            "decoded": self._can.decode(can_id, data),
        }


CONVERTERS = {"events": Events, "uart": UartFrames, "can": CanFrames}  # of ws_page


def register(app, parts):
    async def events(request):
        watched = (topics.EVENT, topics.STATUS, topics.LINK, topics.POLL, topics.GX)
        return await ws.serve(app, request, watched, Events(parts).convert)

    async def uart(request):
        return await ws.serve(app, request, (topics.UART_FRAME,), UartFrames(parts).convert)

    async def can(request):
        return await ws.serve(app, request, (topics.CAN_FRAME,), CanFrames(parts).convert, size=16)

    return {"GET /ws/events": events, "GET /ws/uart": uart, "GET /ws/can": can}
