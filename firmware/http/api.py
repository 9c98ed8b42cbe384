"""What the handlers of the API share: answers, and errors in the format of the API. To read a request: `body.py`.

A module of the API has `register(app, parts)`, which gives its routes: {"GET /api/x": handler, "POST /api/x/*": handler}.
A handler is `async def handler(request)` (`request, last` when its path ends in `*`); `guarded(handler)` marks one that needs the
admin password to be set. It gives `reply(...)`, `stream(...)` or raises ApiError.
"""

import json
from firmware import lazy
from microdot import Response
from microdot.microdot import HTTPException

_JSON = {"Content-Type": "application/json", "Cache-Control": "no-store", "X-Content-Type-Options": "nosniff"}


class ApiError(HTTPException):
    """An answer that is an error: {"error", "code", "details"}. Give its arguments by position (an exception of MicroPython)."""

    def __init__(self, status, code, message, details="", headers=None):
        super().__init__(status, message)
        self.message = message
        self.code = code
        self.details = details
        self.headers = headers

    def response(self):
        body = {"error": self.message, "code": self.code, "details": self.details}
        return reply(body, self.status_code, self.headers)


def _response(body, status, more):
    headers = dict(_JSON)
    if more:
        headers.update(more)
    return Response(body, status, headers, "OK" if status == 200 else lazy.once("http.errors").reason(status))


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
