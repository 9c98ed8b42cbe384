"""Read the head of an HTTP request into a Microdot Request, with limits on everything a stranger can send."""

from micropython import const
from firmware import lazy
from microdot import Request
from firmware.http.api import ApiError
from firmware.http.connection import TooLong

_HEADERS_MAX = const(40)
_URL_MAX = const(512)
_LENGTH_DIGITS = const(8)

# The headers that anything here looks at; the others are passed over
_KEPT = (
    " host origin authorization content-length content-type upgrade sec-websocket-key sec-websocket-version"
    " expect x-requested-with transfer-encoding "
)
# Length and first letter of those, in one byte: most of the others are known by it without making a text of their names
_MARKS = bytes(len(name) << 2 ^ ord(name[0]) for name in _KEPT.split())


class _Request(Request):
    """Microdot's, with the attributes that handlers use here: of all of them most of the memory for a request would go."""

    args = None
    content_length = 0

    def __init__(self, connection, method, path, headers):
        self.client_addr = connection.peer
        self.method = method
        self.path = path
        self.headers = headers  # {lower-case name: value}
        self._stream = connection


def _bad(details):
    return ApiError(400, "BAD_REQUEST", "Malformed request", details)


def _start(line, end):
    """(method, url, True for HTTP/1.0) of the request line, the first `end` bytes of `line`. Raises ApiError."""
    one = line.find(b" ", 0, end)
    two = line.find(b" ", one + 1, end)
    if one < 0 or two < 0 or line.find(b"HTTP/1.", two, end) != two + 1 or line.find(b" ", two + 1, end) > 0:
        raise _bad("request line")
    method = line[:one].decode()
    if not method.isalpha() or not method.isupper() or one > 10:
        raise _bad("method")
    if line[one + 1] != 0x2F or two - one > _URL_MAX + 1:
        raise _bad("path must start with / and have at most %d characters" % _URL_MAX)
    return method, line[one + 1 : two].decode(), end - two == 9 and line[end - 1] == 0x30


def _header(headers, line, at, end):
    """Bytes `at` to `end` of `line` into `headers`, if it is one of those that are kept. Raises ApiError."""
    colon = line.find(b":", at, end)
    if colon <= at or line[at] <= 0x20 or line[colon - 1] <= 0x20:
        raise _bad("header without a name")
    if ((colon - at) << 2 ^ (line[at] | 0x20)) & 0xFF not in _MARKS:
        return
    name = line[at:colon].lower().decode()
    if name == "transfer-encoding":
        raise _bad("Transfer-Encoding is not supported, send Content-Length")
    if " " + name + " " in _KEPT:
        value = line[colon + 1 : end].strip().decode()
        if headers.get(name, value) != value:
            raise _bad("two different headers %s" % name)
        headers[name] = value


async def read_request(connection):
    """The next request, or None when the client sent nothing. Raises ApiError for what cannot be understood."""
    headers = {}
    start = None
    at = size = count = 0
    try:
        while True:
            end = connection.buffer.find(b"\n", at, size) if size else -1
            if end < 0:
                size = await connection.more(at, size)
                at = 0
                if size:
                    continue
                if start is None:
                    return None
                raise _bad("headers cut off")
            line = connection.buffer
            last = end - 1 if end > at and line[end - 1] == 0x0D else end
            if start is None:
                start = _start(line, last)
            elif last == at:
                break
            else:
                count += 1
                if count > _HEADERS_MAX:
                    raise _bad("more than %d headers" % _HEADERS_MAX)
                _header(headers, line, at, last)
            at = end + 1
        connection.rest(end + 1, size)
        return _made(connection, headers, *start)
    except TooLong:
        raise _bad("line too long")
    except ValueError:  # UnicodeError too: bytes that are no text, %zz
        raise _bad("not text")


def _made(connection, headers, method, url, old):
    if not old and "host" not in headers:
        raise _bad("Host is missing")
    path, _, query = url.partition("?")
    request = _Request(connection, method, path, headers)
    length = headers.get("content-length")
    if length is not None:
        if not length.isdigit() or len(length) > _LENGTH_DIGITS:
            raise _bad("Content-Length")
        request.content_length = connection.unread = int(length)
    if query:
        request.args = lazy.once("http.query").parse(query)
    return request
