"""What the handlers of the API share: answers, and errors in the format of the API. To read a request: `body.py`.

A module of the API has `register(app, parts)`, which gives its routes: {"GET /api/x": handler, "POST /api/x/*": handler}.
A handler is `async def handler(request)` (`request, last` when its path ends in `*`); `guarded(handler)` marks one that needs the
admin password to be set. It gives `reply(...)`, `stream(...)` or raises ApiError.
"""

import json
from firmware import lazy
from microdot import Response
from microdot.microdot import HTTPException

# Status, reason, further headers
_HEAD = (
    b"HTTP/1.1 %d %s\r\nContent-Type: application/json\r\nCache-Control: no-store\r\nX-Content-Type-Options: nosniff\r\n%s"
    b"Connection: close\r\n\r\n"
)


class Json(Response):
    """A JSON answer: `body` as bytes or in pieces, `headers` besides those that each has. Its head is one text, made at once."""

    is_head = False

    def __init__(self, body, status=200, headers=None):
        self.body = body
        self.status_code = status
        self.headers = headers

    def head(self):
        status, more = self.status_code, ""
        if isinstance(self.body, bytes):
            more = "Content-Length: %d\r\n" % len(self.body)
        if self.headers:
            more += lines(self.headers)
        return _HEAD % (status, "OK" if status == 200 else lazy.once("http.errors").reason(status), more)


def lines(headers):
    """`headers` as they are sent, each with its end of line."""
    return "".join("%s: %s\r\n" % pair for pair in headers.items())


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


def reply(body, status=200, headers=None):
    """A small JSON answer (under 1 KB)."""
    return Json(json.dumps(body).encode(), status, headers)


def stream(body, status=200, headers=None):
    """A JSON answer of any size, made piece by piece; lists in it may be generators."""
    from firmware.http.json_stream import pieces

    return Json(pieces(body), status, headers)


def guarded(handler):
    """Mark a handler that can do harm and that the public reference does not know: 403 until a password is set."""
    return handler, True
