"""Reading what a request brings: its body and its parameters. Loaded by those who need it."""

import json
from micropython import const
from firmware.http.api import ApiError

BODY_MAX = const(4096)  # of a JSON body, unless the endpoint says otherwise
_DEPTH_MAX = const(8)
_EXACT = 1e15


async def read_body(request, limit=BODY_MAX, too_long=413):
    """The body as bytes. Raises ApiError `too_long` when it is over `limit`."""
    connection = request.stream
    if request.content_length > limit:
        code = "PAYLOAD_TOO_LARGE" if too_long == 413 else "BAD_REQUEST"
        raise ApiError(too_long, code, "Body too long", "at most %d bytes" % limit)
    if request.headers.get("expect"):
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
    return _whole(value, 0)


def only(body, names):
    """Raises ApiError 400 when `body` has a key that is not in `names`."""
    for key in body:
        if key not in names:
            raise ApiError(400, "INVALID_PARAMETER", "Invalid parameter", "unknown key; known: " + ", ".join(names))


def _whole(value, depth):
    """The value with numbers like 100.0 as integers, which they are in JSON. Raises ApiError when it is nested too deep."""
    if depth > _DEPTH_MAX:
        raise ApiError(400, "INVALID_JSON", "Invalid JSON", "nested too deep")
    if isinstance(value, float):
        return int(value) if -_EXACT < value < _EXACT and value == int(value) else value
    if isinstance(value, dict):
        for key in value:
            if not isinstance(key, str):  # the parser takes {1: 2}
                raise ApiError(400, "INVALID_JSON", "Invalid JSON", "names must be strings")
            value[key] = _whole(value[key], depth + 1)
    elif isinstance(value, list):
        for i in range(len(value)):
            value[i] = _whole(value[i], depth + 1)
    return value


def int_arg(request, name, default, low, high):
    """The whole number of query parameter `name`, `default` when absent. Raises ApiError 400 outside low..high."""
    text = request.args.get(name) if request.args else None
    if text is None:
        return default
    if text.isdigit() and len(text) < 10 and low <= int(text) <= high:
        return int(text)
    raise ApiError(400, "INVALID_PARAMETER", "Invalid parameter", "%s must be %d-%d" % (name, low, high))
