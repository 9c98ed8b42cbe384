"""Opens the listening socket. Loaded at the start and forgotten."""

import os
import socket
from micropython import const

_BACKLOG = const(5)


def listen(host, port):
    """(socket that does not block, its port); port 0 takes any free one. Raises OSError."""
    for _ in range(20):
        tried = port or 20_000 + int.from_bytes(os.urandom(2), "big") % 40_000
        listener = socket.socket()
        try:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listener.bind(socket.getaddrinfo(host, tried)[0][-1])
            listener.listen(_BACKLOG)
            listener.setblocking(False)
            return listener, tried
        except OSError as error:
            listener.close()
            if port:
                raise error
    raise OSError("no free port")
