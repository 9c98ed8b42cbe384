"""Runs first in the webassembly port (tools/wasm.py): what MicroPython on a board has and this port lacks.

Sockets that connect nowhere, `asyncio.run` for a program that is not the browser's, streams. What is named here costs no heap on
a board: it lies in the firmware.
"""

import asyncio
import binascii  # noqa: F401  (Python here, C on a board)
import builtins
import os
import random
import sys
import time
import uctypes
from asyncio import core


class _Module:
    """A module that the port lacks; what is not in it is a function that does nothing."""

    def __init__(self, name, **contents):
        self.__name__ = name
        for key, value in contents.items():
            setattr(self, key, value)
        sys.modules[name] = self


class Socket:
    """A socket that never gets a connection or a byte."""

    def __init__(self, *args):
        pass

    def _nothing(self, *args):
        return None

    bind = listen = setblocking = settimeout = setsockopt = close = connect = _nothing

    def accept(self, *args):
        raise OSError(11)

    recv = recvfrom = read = readinto = accept

    def send(self, data, *args):
        return len(data)

    sendto = write = send


class _Poll:
    def register(self, *args):
        pass

    unregister = modify = register

    def poll(self, *args):
        return ()

    ipoll = poll


class _Queue:
    """Stands for the poller of asyncio: who waits for a stream here waits for ever."""

    def _wait(self, stream):
        core.cur_task.data = self

    queue_read = queue_write = _wait

    def remove(self, task):
        pass

    def wait_io_event(self, dt):
        pass


class Stream:
    def __init__(self, s, e=None):
        self.s = s

    async def wait_closed(self):
        self.s.close()

    close = lambda self: None  # noqa: E731

    def get_extra_info(self, name):
        return ("0.0.0.0", 0)

    async def readinto(self, buf):
        await asyncio.sleep(1 << 18)

    read = readline = readexactly = readinto

    def write(self, buf):
        pass

    async def drain(self):
        pass


class _Server:
    async def wait_closed(self):
        await asyncio.sleep(1 << 18)

    def close(self):
        pass


async def start_server(callback, host, port, backlog=5, ssl=None):
    return _Server()


async def open_connection(host, port, ssl=None, server_hostname=None):
    raise OSError(113)


def run(coroutine):
    """`asyncio.run` of other ports: here the loop belongs to JavaScript, which only goes on when we return."""
    ended = []
    task = core.create_task(coroutine)
    task.state = lambda task, error: ended.append(error)  # as asyncio.gather does
    before = core.cur_task
    try:
        while not ended:
            core._run_iter()
            time.sleep_ms(1)
    finally:
        core.cur_task = before
    if isinstance(ended[0], StopIteration):
        return ended[0].value
    raise ended[0]


_SOCKET = {
    "socket": Socket,
    "AF_INET": 2,
    "SOCK_STREAM": 1,
    "SOCK_DGRAM": 2,
    "SOL_SOCKET": 1,
    "SO_REUSEADDR": 2,
    "IPPROTO_TCP": 6,
}
_SOCKET["getaddrinfo"] = lambda host, port, *rest: [(2, 1, 0, "", (host, port))]
_Module("socket", **_SOCKET)
_Module("usocket", **_SOCKET)
os.urandom = lambda count: bytes(random.getrandbits(8) for _ in range(count))
_Module("select", poll=_Poll, POLLIN=1, POLLOUT=4, POLLERR=8, POLLHUP=16)
_Module("termios", setraw=None, tcgetattr=None, tcsetattr=None, TCSANOW=0)
_Module("tls", SSLContext=None, PROTOCOL_TLS_CLIENT=0, CERT_NONE=0, CERT_REQUIRED=2)
for _name, _value in (("run", run), ("start_server", start_server), ("open_connection", open_connection),
                      ("StreamReader", Stream), ("StreamWriter", Stream), ("Stream", Stream)):  # fmt: skip
    setattr(asyncio, _name, _value)
core._io_queue = _Queue()


def _pointer(kind):
    """What viper's cast gives, with bounds that nobody checks: a number is read as the board reads it."""

    def cast(buffer):
        if type(buffer) is _ARRAY:
            return buffer
        return uctypes.struct(uctypes.addressof(buffer), {"all": (uctypes.ARRAY, 1 << 20 | kind)}).all

    return cast


_ARRAY = type(uctypes.struct(uctypes.addressof(bytearray(4)), {"all": (uctypes.ARRAY, 1 | uctypes.UINT16)}).all)
builtins.ptr8 = _pointer(uctypes.UINT8)
builtins.ptr16 = _pointer(uctypes.UINT16)
builtins.ptr32 = _pointer(uctypes.INT32)
builtins.uint = lambda number: number
