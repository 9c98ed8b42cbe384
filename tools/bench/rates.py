"""Requests a second of the gateway against a Microdot without anything around it, in turns of one run.

A second is one of the server's processor time, so that neither the client nor other programs count.
"""

import socket
import statistics
import time

from tests.integration.parts import Parts
from tools.bench.table import Row
from tools.processes import ROOT, micropython

PATHS = {"status": "/api/status", "history": "/api/history?limit=40"}
LEAST = {"status": 0.7, "history": None}
_REQUEST = "GET %s HTTP/1.1\r\nHost: 127.0.0.1\r\nAccept: */*\r\n\r\n"


def ask(port, path):
    """The body of one request over a connection of its own."""
    with socket.create_connection(("127.0.0.1", port), 10) as sock:
        sock.sendall((_REQUEST % path).encode())
        data = b""
        while piece := sock.recv(65536):
            data += piece
    head, _, body = data.partition(b"\r\n\r\n")
    if not head.split(b" ")[1] == b"200":
        raise SystemExit(f"bench: {path}: {head.decode()}")
    return body


def busy_s(pid):
    """Processor time of a process so far, in seconds (first number of schedstat: ns)."""
    with open(f"/proc/{pid}/schedstat") as file:
        return int(file.read().split()[0]) / 1e9


def cost(server, path, count):
    """Seconds of the server's processor time a request: what others do on this machine does not count."""
    port, pid = server
    before = busy_s(pid)
    for _ in range(count):
        ask(port, path)
    return (busy_s(pid) - before) / count


def free_port():
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return sock.getsockname()[1]


def start_bare(parts, bodies):
    """A bare Microdot that answers with these bodies (a list of bytes); gives (port, pid)."""
    files = []
    for i, body in enumerate(bodies):
        files.append(parts.directory / f"body{i}")
        files[-1].write_bytes(body)
    port = free_port()
    command = [micropython(), "-X", "heapsize=1M", ROOT / "tools" / "bench" / "bare.py", port, *files]
    bare = parts.start("bare", command, cwd=ROOT)
    bare.wait_line("ready", 10)
    return port, bare.pid


def rows(quick):
    parts = Parts()
    try:
        gateway = parts.start_all(config={"history": {"interval_ms": 250}, "uart": {"poll_interval_ms": 250}})
        parts.bus()
        parts.wait_connected()
        time.sleep(2 if quick else 11)
        yield from _compare(parts, (gateway.port, gateway.child.pid), *((3, 10) if quick else (15, 25)))
    finally:
        parts.stop()


def _compare(parts, gateway, turns, count):
    bodies = [ask(gateway[0], path) for path in PATHS.values()]
    bare = start_bare(parts, bodies)
    for (name, path), body in zip(PATHS.items(), bodies, strict=True):
        pairs = [(cost(gateway, path, count), cost(bare, path, count)) for _ in range(turns)]
        ratio = statistics.median(theirs / ours for ours, theirs in pairs)
        ours, theirs = (1 / statistics.median(column) for column in zip(*pairs, strict=True))
        least = LEAST[name]
        yield Row(
            f"requests of {path.partition('?')[0]} against a bare Microdot",
            f"{ratio:.2f} x ({ours:.0f}/s against {theirs:.0f}/s, {len(body)} bytes)",
            f">= {least} x" if least else "",
            ratio >= least if least else None,
        )
