"""GET and POST /api/ota: the state of updates, and an upload (multipart field `firmware`). An upload may take minutes."""

import sys
from micropython import const
from firmware import lazy
from firmware.http.api import ApiError, reply

_STALL_MS = const(15_000)  # without a byte, or while one piece is written
_TOTAL_MS = const(900_000)
_DRAIN_MAX = const(1_048_576)  # of a refused upload, so that its sender gets to read why
_DRAIN_MS = const(5_000)
_SWEEP_MS = const(1_000)  # what was not asked for so long goes
_HEAP = const(26 * 1024)  # what an update needs on a board, and 1.45 times as much on a 64-bit machine
_TITLES = {400: "Invalid update", 413: "Update too large", 500: "Update failed", 503: "Update not possible now"}
_TYPE = "application/octet-stream"


def register(app, parts):
    async def get_ota(request):
        ota = parts.ota
        state = lazy.once("system.slots").Slots(parts.board.root_dir).state()
        state.update(
            {
                "state": ota.state,
                "update_mode": ota.update_mode,
                "progress_percent": ota.percent,
                "error": ota.error,
                "partition": ota.partition,
                "version": ota.version,
                "reboot_required": ota.partition != "",
            }
        )
        return reply(state)

    async def post_ota(request):
        try:
            return reply(await _receive(app, parts, request))
        except ApiError as error:
            await _drain(request)
            raise error

    return {"GET /api/ota": get_ota, "POST /api/ota": post_ota}


async def _drain(request):
    """Read the rest of a refused upload: an answer amid the upload gets lost in the sender's network."""
    connection = request.stream
    connection.allow(_DRAIN_MS, _DRAIN_MS)
    if request.headers.get("expect") or connection.unread > _DRAIN_MAX:
        return
    try:
        while await connection.read():
            pass
    except OSError:
        pass


def _room(app, parts):
    """Raises ApiError 503 when the heap has no room for an update."""
    app.sweep(_SWEEP_MS)
    parts.forget()
    needed = _HEAP * 145 // 100 if sys.maxsize > 1 << 32 else _HEAP
    free = parts.board.heap_free()
    if free < needed:
        text = "%d KB of memory free, an update needs %d: close dashboards, or restart in update_mode" % (
            free // 1024,
            needed // 1024,
        )
        raise ApiError(503, "LOW_MEMORY", "Update not possible now", text)


async def _receive(app, parts, request):
    """Install the upload; gives the answer. Raises ApiError."""
    form = lazy.once("http.multipart").Multipart(request)
    connection = request.stream
    board = parts.board
    started = board.ticks_ms()

    def alive():
        left = _TOTAL_MS - board.ticks_diff(board.ticks_ms(), started)
        if left > 0:
            connection.allow(_STALL_MS, left)

    module = lazy.load("system.update")
    update = module.Update(parts, alive)
    try:
        update.begin()
        try:
            _room(app, parts)
            alive()
            await _upload(update, form, request)
            form = None  # its code goes before more is loaded
            result = await update.install()
        except BaseException as error:  # also when the server ends a connection that stands still
            update.failed(error)
            raise
        finally:
            update.end()
    except module.UpdateError as error:
        raise ApiError(error.status, error.code, _TITLES[error.status], str(error))
    finally:
        if not parts.ota.busy:
            lazy.drop("system.update")
    result["status"] = "ok"
    result["reboot_required"] = True
    return result


async def _upload(update, form, request):
    """Hand the file of the form to `update`. Raises ApiError, UpdateError."""
    if request.headers.get("expect"):
        request.headers["expect"] = ""
        await request.stream.awrite(b"HTTP/1.1 100 Continue\r\n\r\n")
        await request.stream.flush()
    if not await form.next():
        raise ApiError(400, "MISSING_FIELD", _TITLES[400], "the form has no field firmware")
    if form.name != "firmware":
        raise ApiError(400, "INVALID_FIELD", _TITLES[400], "expected the field firmware, got %s" % repr(form.name[:40]))
    if (form.type or (form.filename is not None and _TYPE)) != _TYPE:
        raise ApiError(415, "UNSUPPORTED_MEDIA_TYPE", "Unsupported media type", "expected " + _TYPE)

    async def read():
        piece = await form.read()
        if not piece and await form.next():  # before anything is installed
            raise ApiError(400, "INVALID_FIELD", _TITLES[400], "the form has more than the field firmware")
        return piece

    await update.receive(read, max(1, request.content_length))
