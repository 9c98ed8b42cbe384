"""Reads a multipart/form-data body part by part, in pieces; RFC 7578. Loaded for an upload.

Not microdot.multipart: that one spins without end when the client goes away in the middle, knows no quoted boundary, and takes
the boundary for one in the middle of a line.
"""

from micropython import const
from firmware.http.api import ApiError

_PIECE = const(512)
_HEAD_MAX = const(1024)  # of a part
_BOUNDARY_MAX = const(70)


def _bad(details):
    return ApiError(400, "INVALID_MULTIPART", "Invalid multipart body", details)


def _parameter(value, name):
    """The parameter `name` of a header's value, with or without quotes; None when it is not there."""
    for word in value.split(";")[1:]:
        key, _, text = word.strip().partition("=")
        if key.lower() == name:
            if len(text) > 1 and text[0] == '"' and text[-1] == '"':
                text = text[1:-1]
            return text
    return None


class Multipart:
    """`await next()` goes to the next part: then `name`, `filename` (None: a plain field), `type`; `await read()` its bytes."""

    def __init__(self, request):
        value = request.headers.get("content-type", "")
        boundary = _parameter(value, "boundary")
        if value.split(";")[0].strip().lower() != "multipart/form-data":
            raise _bad("expected Content-Type: multipart/form-data")
        if not boundary or len(boundary) > _BOUNDARY_MAX:
            raise _bad("Content-Type has no proper boundary")
        self._stream = request.stream
        self._mark = b"\r\n--" + boundary.encode()
        self._text = b"\r\n"  # what was read ahead; the first boundary may stand at the very beginning
        self._inside = True  # of a part, or of what comes before the first
        self.name = self.filename = self.type = None

    async def _more(self):
        try:
            piece = await self._stream.read(_PIECE)
        except OSError:
            piece = b""
        if not piece:
            raise ApiError(400, "UPLOAD_CUT_OFF", "Upload cut off", "the body ended in the middle")
        self._text += piece

    async def read(self):
        """A piece of the present part, b"" at its end. Raises ApiError when the body ends before."""
        while self._inside:
            at = self._text.find(self._mark)
            keep = len(self._mark) - 1
            if at < 0:
                at = len(self._text) - keep
                if at > 0:
                    piece = self._text[:at]
                    self._text = self._text[at:]
                    return piece
                await self._more()
                continue
            self._inside = False
            piece = self._text[:at]
            self._text = self._text[at + keep + 1 :]
            if piece:
                return piece
        return b""

    async def next(self):
        """Go to the next part, past what was not read; False after the last. Raises ApiError."""
        first = self.name is None
        while piece := await self.read():
            if first and piece.strip():
                raise _bad("something stands before the first boundary")
        while len(self._text) < 2:
            await self._more()
        if self._text.startswith(b"--"):
            return False
        if not self._text.startswith(b"\r\n"):
            raise _bad("a boundary is not followed by a line end")
        while (at := self._text.find(b"\r\n\r\n")) < 0:
            if len(self._text) > _HEAD_MAX:
                raise _bad("the head of a part is too long")
            await self._more()
        head = self._text[2:at]
        self._text = self._text[at + 4 :]
        self._inside = True
        self._head(head)
        return True

    def _head(self, head):
        self.name = ""
        self.filename = self.type = None
        try:
            lines = head.decode().split("\r\n")
        except ValueError:
            raise _bad("the head of a part is no text")
        for line in lines:
            key, _, value = line.partition(":")
            key = key.strip().lower()
            value = value.strip()
            if key == "content-disposition":
                if value.split(";")[0].strip().lower() != "form-data":
                    raise _bad("a part is no form-data")
                self.name = _parameter(value, "name") or ""
                self.filename = _parameter(value, "filename")
            elif key == "content-type":
                self.type = value.split(";")[0].strip().lower()
