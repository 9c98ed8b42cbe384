"""What the handlers of the API share: answers, errors in the format of the API, and reading a request's parts.

A module of the API has `register(app, parts)`, which gives its routes: {"GET /api/x": handler, "POST /api/x/*": handler}.
A handler is `async def handler(request)` (`request, last` when its path ends in `*`); `guarded(handler)` marks one that needs the
admin password to be set. It gives `reply(...)`, `stream(...)` or raises ApiError.
"""

import json
from micropython import const
from microdot import Response
from microdot.microdot import HTTPException

BODY_MAX = const(4096)  # of a JSON body, unless the endpoint says otherwise
_JSON = {"Content-Type": "application/json", "Cache-Control": "no-store", "X-Content-Type-Options": "nosniff"}


class ApiError(HTTPException):
    """An answer that is an error: {"error", "code", "details"}. Give its arguments by position (an exception of MicroPython)."""

    def __init__(self, status, code, message, details="", headers=None):
        super().__init__(status, message)
        self.reason = self  # Microdot hands the reason to `Web.error_response`, which wants all of it
        self.message = message
        self.code = code
        self.details = details
        self.headers = headers

    def response(self):
        body = {"error": self.message, "code": self.code, "details": self.details}
        return reply(body, self.status_code, self.headers)


_REASONS = {
    200: "OK",
    202: "Accepted",
    400: "Bad Request",
    401: "Unauthorized",
    403: "Forbidden",
    404: "Not Found",
    405: "Method Not Allowed",
    413: "Payload Too Large",
    429: "Too Many Requests",
    503: "Service Unavailable",
}


def _response(body, status, more):
    headers = dict(_JSON)
    if more:
        headers.update(more)
    return Response(body, status, headers, _REASONS.get(status, "Error"))


def reply(body, status=200, headers=None):
    """A small JSON answer (under 1 KB)."""
    return _response(json.dumps(body).encode(), status, headers)


def stream(body, status=200, headers=None):
    """A JSON answer of any size, made piece by piece; lists in it may be generators."""
    from firmware.http.json_stream import pieces

    return _response(pieces(body), status, headers)


def pieces_of_json(text):
    """A JSON answer whose text comes in pieces from the generator `text`."""
    return _response(text, 200, None)


def guarded(handler):
    """Mark a handler that can do harm and that the public reference does not know: 403 until a password is set."""
    return handler, True


async def read_body(request, limit=BODY_MAX, too_long=413):
    """The body as bytes. Raises ApiError `too_long` when it is over `limit`."""
    connection = request.stream
    if request.content_length > limit:
        code = "PAYLOAD_TOO_LARGE" if too_long == 413 else "BAD_REQUEST"
        raise ApiError(too_long, code, "Body too long", "at most %d bytes" % limit)
    if request.headers.get("Expect"):
        await connection.awrite(b"HTTP/1.1 100 Continue\r\n\r\n")
        await connection.flush()
    body = await connection.read(request.content_length)
    if len(body) != request.content_length:
        raise ApiError(400, "BAD_REQUEST", "Body cut off")
    return body


async def read_json(request, limit=BODY_MAX, too_long=413, empty=None):
    """The JSON object of the body; `empty` instead when there is no body. Raises ApiError 400 or `too_long`."""
    body = await read_body(request, limit, too_long)
    if not body and empty is not None:
        return empty
    try:
        value = json.loads(body)
    except (ValueError, RuntimeError):  # RuntimeError: nested too deep
        raise ApiError(400, "INVALID_JSON", "Invalid JSON")
    if not isinstance(value, dict):
        raise ApiError(400, "INVALID_JSON", "Invalid JSON", "expected an object")
    return value


def int_arg(request, name, default, low, high):
    """The whole number of query parameter `name`, `default` when absent. Raises ApiError 400 outside low..high."""
    text = request.args.get(name) if request.args else None
    if text is None:
        return default
    if text.isdigit() and len(text) < 10 and low <= int(text) <= high:
        return int(text)
    raise ApiError(400, "INVALID_PARAMETER", "Invalid parameter", "%s must be %d-%d" % (name, low, high))
