"""The file in the form that the rescue page is sent."""

from micropython import const

PIECE = const(1024)
HEAD_MAX = const(4096)


class Refused(Exception):
    """An answer that is an error: status, code, text."""


class Body:
    """The rest of a request: `size` bytes, of which `begun` came with the head."""

    def __init__(self, client, begun, size):
        self._client, self._begun, self._left = client, begun[:size], size

    def read(self):
        """The next piece, b"" at the end."""
        piece = self._begun
        self._begun = b""
        if not piece and self._left:
            piece = self._client.recv(min(PIECE, self._left))
        self._left -= len(piece)
        return piece


def file_of_form(body, kind, take):
    """Gives each piece of the file `firmware` in a multipart form to `take`. `kind`: the content type. Raises Refused."""
    _, found, boundary = kind.partition("boundary=")
    if not kind.startswith("multipart/form-data") or not found:
        raise Refused(400, "INVALID_FORM", "expected multipart/form-data")
    marker = b"\r\n--" + boundary.split(";")[0].strip().strip('"').encode()
    text = b"\r\n"
    while b"\r\n\r\n" not in text:
        piece = body.read()
        if not piece or len(text) > HEAD_MAX:
            raise Refused(400, "INVALID_FORM", "no form with a file")
        text += piece
    head, _, text = text.partition(b"\r\n\r\n")
    if not head.startswith(marker) or b'name="firmware"' not in head:
        raise Refused(400, "INVALID_FIELD", "expected the field firmware")
    keep = len(marker)
    while (at := text.find(marker)) < 0:
        if len(text) > keep:
            take(text[:-keep])
            text = text[-keep:]
        piece = body.read()
        if not piece:
            raise Refused(400, "INVALID_FORM", "the upload is cut off")
        text += piece
    take(text[:at])
    while body.read():  # an answer amid the upload would get lost
        pass
