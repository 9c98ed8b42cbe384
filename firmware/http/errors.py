"""Errors that say no more than their status, and their traces in the log. Loaded for one use."""

import io
import sys
from firmware.http.api import ApiError

_REASONS = (
    "200 OK,202 Accepted,302 Found,400 Bad Request,401 Unauthorized,403 Forbidden,404 Not Found,405 Method Not Allowed,"
    "413 Payload Too Large,415 Unsupported Media Type,429 Too Many Requests,500 Internal Server Error,"
    "503 Service Unavailable,"
)


def reason(status):
    """The reason phrase of a status code."""
    at = _REASONS.find("%d " % status)
    return "Error" if at < 0 else _REASONS[at + 4 : _REASONS.find(",", at)]


def plain(status, headers=None):
    """The ApiError that says no more than its status."""
    name = reason(status)
    return ApiError(status, name.upper().replace(" ", "_"), name, "", headers)


def no_route(routes, path, pattern):
    """The ApiError 404, or 405 when the path knows other methods."""
    allowed = [route.partition(" ")[0] for route in routes if route.partition(" ")[2] in (path, pattern)]
    if not allowed:
        return plain(404)
    if "GET" in allowed and not path.startswith("/ws/"):
        allowed.append("HEAD")
    return plain(405, {"Allow": ", ".join(allowed)})


def log(target, error):
    """The last lines of the traceback of `error` into the log `target`."""
    text = io.StringIO()
    sys.print_exception(error, text)
    for line in text.getvalue().strip().split("\n")[-3:]:
        target.error("http", line.strip())
