"""/ws/telemetry: the battery each second, made once for all clients."""

import asyncio
from micropython import const
from firmware import live as field
from firmware.http import ws
from firmware.http.battery import measured, word

_PERIOD_MS = const(1000)
_SIZE = const(1200)  # about the bytes of a message with 16 cells
_OTHER_PROTECTIONS = ("uv", "oc_charge", "oc_discharge", "temp_high", "temp_low")


def protection(live):
    """Values of `ov` and _OTHER_PROTECTIONS, from the active events of the BMS; by its thresholds while those are not known.

    Bits: tinybms_uart facts 11; fault 0x00 + n is bit n of FAULTS, warning 0x30 + n bit n of WARNINGS.
    """
    if not live.connected():
        return (None,) * 6
    faults, warnings = live.get(field.FAULTS), live.get(field.WARNINGS)
    if faults is None or warnings is None or faults & field.UNKNOWN_FAULT:
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


def _members(pairs):
    """JSON of each (name, value), as it follows others in an object."""
    for name, value in pairs:
        yield b',"%s":%s' % (name, word(value))


def _cells(live):
    """JSON of each cell, in pack order (index 0 is pack cell 1, the most negative)."""
    balancing = live.get(field.BALANCING) or 0
    form = b'{"index":%d,"voltage_mv":%s,"balancing":%s}'
    for i in range(live.get(field.CELL_COUNT) or 0):
        yield form % (i, word(live.get(field.CELL + i)), word(balancing >> i & 1 == 1))
        form = b',{"index":%d,"voltage_mv":%s,"balancing":%s}'


def pieces(live, board):
    """The telemetry message as pieces of JSON. Everything is null, and `cells` empty, while disconnected."""
    head = b'{"type":"battery_data","timestamp_ms":%d,"age_ms":%d,"status":"%s"'
    yield head % (board.epoch_ms(), live.age_ms(), live.status())
    yield b","
    yield measured(live, live.connected())
    limits = b',"cvl_mv":%s,"ccl_ma":%s,"dcl_ma":%s,"protection":{"ov":%s'
    ov, *others = protection(live)
    yield limits % (word(live.get(field.CVL)), word(live.get(field.CCL)), word(live.get(field.DCL)), word(ov))
    yield from _members(zip(_OTHER_PROTECTIONS, others))
    yield b'},"cells":['
    if live.connected():
        yield from _cells(live)
    yield b"]}"


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

    def _start(self):
        if self._task is None or self._task.done():
            self._task = asyncio.create_task(self._run())

    def join(self, queue):
        """`queue` gets a frame now and each second, until it leaves."""
        self._start()
        self._queues.append(queue)
        queue.put(ws.FRAME, self._frame())

    def leave(self, queue):
        if queue in self._queues:
            self._queues.remove(queue)

    async def serve(self, request):
        self._start()
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
    feed = Telemetry(app, parts)
    return {"GET /ws/telemetry": feed.serve, "feed": feed}  # ws_page joins the feed
