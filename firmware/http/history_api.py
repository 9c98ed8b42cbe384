"""GET /api/history, /api/history/archive, /files, /download; GET /api/energy. Loaded when asked.

Of all samples: `from` and `to` (ms) bound them, `limit` takes the newest of these, `step` makes one of so many.
"""

import asyncio
import json
from micropython import const
from microdot import Response
from firmware import lazy
from firmware.http.api import ApiError, Json, reply
from firmware.http.body import int_arg

_LIMIT_MAX = const(1_000_000)
_STEP_MAX = const(1000)
_FILES = (("minutes", "1m"), ("quarters", "15m"))
_CSV = {"Content-Type": "text/csv; charset=utf-8", "Cache-Control": "no-store", "X-Content-Type-Options": "nosniff"}


def _as_json(reader, head, names, samples):
    """The answer in pieces, None where others may run: `head` (a dict) with `samples` and `returned` added."""
    yield json.dumps(head)[:-1] + ',"samples":['
    pieces = [b'{"timestamp":', b"", b',"timestamp_iso":', b""]
    for name, _ in names:
        pieces += (b',"%s":' % name, b"")
    pieces.append(b"}")
    count = 0
    for row in reader.rows(names, samples, pieces, b'"', b"null"):
        yield row
        if row:
            count += 1
            pieces[0] = b',{"timestamp":'
    yield '],"returned":%d}' % count


def _as_csv(reader, names, samples):
    yield "timestamp,timestamp_iso," + ",".join([name for name, _ in names]) + "\r\n"
    pieces = [b"", b""] + [b",", b""] * (len(names) + 1) + [b"\r\n"]
    yield from reader.rows(names, samples, pieces, b"", b"")


def _choice(request, name, choices):
    """The query parameter `name`, the first of `choices` when absent. Raises ApiError 400."""
    value = request.args.get(name) if request.args else None
    if value is None:
        return choices[0]
    if value in choices:
        return value
    raise ApiError(400, "INVALID_PARAMETER", "Invalid parameter", "%s must be one of %s" % (name, ", ".join(choices)))


def _stamp(request, name):
    """Milliseconds of the query parameter `name`, None when absent. Raises ApiError 400."""
    text = request.args.get(name) if request.args else None
    if text is None:
        return None
    if text.isdigit() and len(text) < 15:
        return int(text)
    raise ApiError(400, "INVALID_PARAMETER", "Invalid parameter", "%s must be a time in ms" % name)


def _file(request):
    """(name, resolution) of the query parameter `file`. Raises ApiError 404."""
    name = (request.args.get("file") if request.args else None) or _FILES[0][0]
    for entry in _FILES:
        if name == entry[0]:
            return entry
    raise ApiError(404, "NOT_FOUND", "Not found", "file must be minutes or quarters")


def register(app, parts):
    history = parts.history
    archive, reader = history.archive, history.reader

    async def find(request, resolution, counted):
        """(total, names, samples) of a resolution, as the query has it; `total` only when it is `counted` or needed."""
        limit = int_arg(request, "limit", _LIMIT_MAX, 1, _LIMIT_MAX)
        step = int_arg(request, "step", 1, 1, _STEP_MAX)
        first, last = _stamp(request, "from"), _stamp(request, "to")
        total = 0
        if resolution == "live":
            names = reader.LIVE
            total = history.ring.count
            samples = reader.live_samples(history, max(0, total - limit))
            if first is not None or last is not None:
                samples = (item for item in samples if reader.inside(item[0], first, last))
        else:
            names = reader.ARCHIVE
            archived = reader.Archived(archive, reader.ring_of(archive, resolution), first, last)
            if counted or limit < _LIMIT_MAX:
                for item in archived.records():
                    if item is None:
                        await asyncio.sleep_ms(0)
                    else:
                        total += 1
            samples = reader.archived_samples(archived, max(0, total - limit))
        if step > 1:
            samples = lazy.once("history.thin").thinned(samples, names, reader.shape(history, resolution)[0] * step)
        return total, names, samples

    async def answer(request, resolution, head):
        total, names, samples = await find(request, resolution, True)
        head["total"] = total
        head["resolution"] = resolution
        head["interval_ms"], head["capacity"] = reader.shape(history, resolution)
        return Json(_as_json(reader, head, names, samples))

    async def get_history(request):
        return await answer(request, _choice(request, "resolution", ("live", "1m", "15m")), {})

    async def get_archive(request):
        name, resolution = _file(request)
        return await answer(request, resolution, {"file": name})

    async def get_files(request):
        files = []
        for name, resolution in _FILES:
            ring = reader.ring_of(archive, resolution)
            files.append(
                {
                    "name": name,
                    "resolution": resolution,
                    "interval_ms": ring.period * 1000,
                    "capacity": ring.capacity,
                    "size": reader.file_size(ring),
                }
            )
        return reply({"files": files})

    async def get_download(request):
        resolution = _choice(request, "resolution", ("1m", "15m", "live"))
        if request.args and "file" in request.args:
            _, resolution = _file(request)
        _, names, samples = await find(request, resolution, False)
        headers = dict(_CSV)
        headers["Content-Disposition"] = 'attachment; filename="history-%s.csv"' % resolution
        return Response(_as_csv(reader, names, samples), 200, headers, "OK")

    async def get_energy(request):
        if parts.energy is None:
            raise ApiError(503, "NOT_AVAILABLE", "Service unavailable", "this gateway runs without that part")
        return reply(parts.energy.report(parts.energy, parts.live))

    return {
        "GET /api/history": get_history,
        "GET /api/history/archive": get_archive,
        "GET /api/history/files": get_files,
        "GET /api/history/download": get_download,
        "GET /api/energy": get_energy,
    }
