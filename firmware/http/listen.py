"""Opens the listening socket at the start, and the door (door.py) to a connection while there is no server. Loaded for that."""

import asyncio
import os
import socket
import sys
from micropython import const

_BACKLOG = const(5)
# Free heap that the server wants: its modules and what it makes, and what it must find free before it serves (web.low_memory)
_BOARD_NEEDS = const(29 * 1024)
_NEEDS = const(42 * 1024)  # objects of a 64-bit machine are half as large again
_PATIENCE = const(4)  # looks at the heap before the client is told
_LOOK_MS = const(500)
_REFUSAL = (
    b"HTTP/1.1 503 Service Unavailable\r\nContent-Type: application/json\r\nRetry-After: 5\r\nConnection: close\r\n\r\n"
    b'{"error": "Service unavailable", "code": "LOW_MEMORY", "details": ""}'
)


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


async def enter(door, parts, socket):
    """True when the server is loaded. False when that cannot be: the heap has had no room for a while, or a file is bad. Then it
    is in the log, and the client has been told. `socket`: the one that listens, where a connection waits."""
    needed = _NEEDS if sys.maxsize > 1 << 32 else _BOARD_NEEDS
    for _ in range(_PATIENCE):
        parts.forget()
        free = parts.board.heap_free()
        why = "%d KB free, the server needs %d" % (free // 1024, needed // 1024)
        if free >= needed:
            try:
                door.server()
                return True
            except MemoryError:  # free, but in pieces
                pass
            except Exception as error:  # no reason to stop what is required
                why = "%s: %s" % (type(error).__name__, error)
                break
        await asyncio.sleep_ms(_LOOK_MS)
    parts.log.error("http", "connection refused: " + why)
    try:
        sock = socket.accept()[0]
        sock.setblocking(False)
        sock.write(_REFUSAL)
        await asyncio.sleep_ms(_LOOK_MS)
        sock.read(1024)  # what is not read when it closes would tear the answer out of the network
        sock.close()
    except OSError:
        pass  # the client has gone
    return False
