"""The web page: gzipped files of the www directory, made by tools/build.py."""

import os
from firmware.http.api import ApiError
from microdot import Response

# A hash in the name (app.1a2b3c4d.js) means that the content never changes
_FOR_EVER = "public, max-age=31536000, immutable"
_PAGE = {
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Content-Security-Policy": "default-src 'self'; img-src 'self' data:; "
    "connect-src 'self' ws: wss:; frame-ancestors 'none'; base-uri 'none'; form-action 'self'",
}
_TYPES = {
    "html": "text/html; charset=UTF-8",
    "css": "text/css; charset=UTF-8",
    "js": "text/javascript; charset=UTF-8",
    "json": "application/json",
    "webmanifest": "application/manifest+json",
    "svg": "image/svg+xml",
    "png": "image/png",
    "ico": "image/x-icon",
    "txt": "text/plain; charset=UTF-8",
    "woff2": "font/woff2",
}


def _plain(path):
    """True for a path of plain names; nothing that could lead out of the directory."""
    if len(path) > 80 or ".." in path or "//" in path:
        return False
    for char in path:
        if not (char.isalpha() or char.isdigit() or char in "._-/") or ord(char) > 127:
            return False
    return not path.startswith(".") and "/." not in path


def _hashed(name):
    words = name.split(".")
    if len(words) < 3 or len(words[-2]) != 8:
        return False
    return all(char in "0123456789abcdef" for char in words[-2])


def send(root, path, more=None):
    """The file `path` below `root` as a response; raises ApiError 404. `path` has no leading slash."""
    kind = _TYPES.get(path.rsplit(".", 1)[-1])
    if kind is None or not _plain(path):
        raise ApiError(404, "NOT_FOUND", "Not found")
    try:
        size = os.stat(root + "/" + path + ".gz")[6]
        file = open(root + "/" + path + ".gz", "rb")
    except OSError:
        raise ApiError(404, "NOT_FOUND", "Not found")
    headers = dict(_PAGE)
    headers["Content-Type"] = kind
    headers["Content-Encoding"] = "gzip"
    headers["Content-Length"] = str(size)
    headers["Cache-Control"] = _FOR_EVER if _hashed(path) else "no-cache"
    return Response(file, 200, headers, "OK")


def register(app, parts):
    root = parts.board.www_dir

    async def get_file(request, last=None):
        return send(root, request.path[1:] or "index.html")

    async def get_openapi(request):
        return send(root, "openapi.json")

    return {"GET /*": get_file, "GET /api/openapi.json": get_openapi}
