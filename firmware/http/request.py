"""Read the head of an HTTP request into a Microdot Request, with limits on everything a stranger can send."""

from micropython import const
from firmware import lazy
from microdot import Request
from microdot.microdot import NoCaseDict
from firmware.http.api import ApiError
from firmware.http.connection import TooLong

_HEADERS_MAX = const(40)
_URL_MAX = const(512)
_LENGTH_DIGITS = const(8)

# The headers that anything here looks at; the others are read and forgotten
_KEPT = (
    " host origin authorization content-length content-type connection upgrade sec-websocket-key sec-websocket-version"
    " expect if-none-match x-requested-with "
)


def _bad(details):
    return ApiError(400, "BAD_REQUEST", "Malformed request", details)


async def _headers(connection):
    """{lower-case name: value} of the headers that are kept. Raises ApiError."""
    headers = NoCaseDict()
    for _ in range(_HEADERS_MAX):
        line = await connection.line()
        if line is None:
            raise _bad("headers cut off")
        if not line:
            return headers
        name, colon, value = line.partition(b":")
        if not colon or not name or name != name.strip():
            raise _bad("header without a name")
        name = name.lower().decode()
        value = value.strip().decode()
        if name == "transfer-encoding":
            raise _bad("Transfer-Encoding is not supported, send Content-Length")
        if " " + name + " " in _KEPT:
            if headers.get(name, value) != value:
                raise _bad("two different headers %s" % name)
            headers[name] = value
    raise _bad("more than %d headers" % _HEADERS_MAX)


def _start(line):
    """(method, url, version) of the request line. Raises ApiError."""
    words = line.decode().split(" ")
    if len(words) != 3 or not words[2].startswith("HTTP/1."):
        raise _bad("request line")
    method, url, version = words
    if not method.isalpha() or not method.isupper() or len(method) > 10:
        raise _bad("method")
    if not url.startswith("/") or len(url) > _URL_MAX:
        raise _bad("path must start with / and have at most %d characters" % _URL_MAX)
    return method, url, version[5:]


async def read_request(app, connection):
    """The next request, or None when the client sent nothing. Raises ApiError for what cannot be understood."""
    try:
        line = await connection.line()
        if line is None:
            return None
        method, url, version = _start(line)
        headers = await _headers(connection)
        length = headers.get("content-length", "0")
        if not length.isdigit() or len(length) > _LENGTH_DIGITS:
            raise _bad("Content-Length")
        if version != "1.0" and "host" not in headers:
            raise _bad("Host is missing")
        connection.unread = int(length)
        path, _, query = url.partition("?")
        request = Request(app, connection.peer, method, path, version, headers, b"", connection)
        if query:
            request.args = lazy.once("http.query").parse(query)
        return request
    except TooLong:
        raise _bad("line too long")
    except ValueError:  # UnicodeError too: bytes that are no text, %zz
        raise _bad("not text")
