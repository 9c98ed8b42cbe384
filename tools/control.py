"""The control channel of the simulators: one JSON object a line over TCP, one JSON object back.

Request `{"cmd": "state", ...}`, reply `{"ok": true, ...}` or `{"ok": false, "error": "..."}`.
"""

from __future__ import annotations

import asyncio
import json
import socket

_LINE_MAX = 1 << 20  # bytes; a state may be long


def host_port(url, default_host="127.0.0.1"):
    """(host, port) of "HOST:PORT", ":PORT", "PORT" or "scheme://HOST:PORT"; ValueError when there is no port."""
    where = url.split("://", 1)[-1].rstrip("/")
    host, _, port = where.rpartition(":")
    number = int(port)
    if not 0 <= number <= 65535:
        raise ValueError(f"no port: {url}")
    return host or default_host, number


def name_of(server):
    """Where an asyncio server listens, as HOST:PORT."""
    return ":".join(map(str, server.sockets[0].getsockname()[:2]))


class ControlError(RuntimeError):
    """The other end said no; the text is its reason."""


class Control:
    """A client of a control channel. OSError when the other end is gone."""

    def __init__(self, host, port, timeout=5.0):
        self._socket = socket.create_connection((host, port), timeout)
        self._file = self._socket.makefile("rwb")

    @classmethod
    def from_url(cls, url):
        """For the line that a simulator prints, "socket://HOST:PORT"."""
        return cls(*host_port(url))

    def call(self, cmd, **values):
        """Send a command and give the reply as a dict; ControlError when it is refused."""
        self._file.write(json.dumps({"cmd": cmd, **values}).encode() + b"\n")
        self._file.flush()
        line = self._file.readline()
        if not line:
            raise ConnectionError("the control channel was closed")
        reply = json.loads(line)
        if not reply.pop("ok", False):
            raise ControlError(reply.get("error", "refused"))
        return reply

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        for part in (self._file, self._socket):
            try:
                part.close()
            except OSError:
                pass


def _answer(handler, line):
    try:
        request = json.loads(line)
        reply = handler(request.pop("cmd"), request) or {}
        return {"ok": True, **reply}
    except KeyError as error:
        return {"ok": False, "error": f"missing {error}"}
    except (ValueError, TypeError, AttributeError) as error:
        return {"ok": False, "error": str(error)}


async def serve(handler, host, port):
    """Serve `handler(cmd, request) -> dict or None` (ValueError: refused, with its text); gives the asyncio server."""

    async def client(reader, writer):
        try:
            while line := await reader.readline():
                writer.write(json.dumps(_answer(handler, line)).encode() + b"\n")
                await writer.drain()
        except (OSError, ValueError):  # gone, or a line without end
            pass
        finally:
            writer.close()

    return await asyncio.start_server(client, host, port, limit=_LINE_MAX)
