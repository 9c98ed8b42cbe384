"""A network inside the process: stands for the modules `socket` and `select`. Addresses are (host, port); nothing leaves it.

`Net.down`: no connection is made and no byte passes, as without WiFi. A host without a listener refuses, one in `Net.silent`
does not answer.
"""

import errno

from tools.soak.clock import Stream

_BUFFER = 4096  # bytes on their way to one end, as in lwIP; more has to wait


class Pipe(Stream):
    """One end of a connection (or a socket that is to become one)."""

    def __init__(self, net):
        self.net = net
        self.peer = None
        self.data = bytearray()
        self.ended = False  # the other end is closed
        self.closed = False
        self.failed = False
        self.backlog = None
        self.address = None
        self.outside = False  # not an end of the gateway

    # -- as a socket ---------------------------------------------------------------------------------------------------

    def setsockopt(self, *args):
        pass

    def setblocking(self, on):
        pass

    def bind(self, address):
        if address in self.net.listeners:
            raise OSError(errno.EADDRINUSE)
        self.address = address

    def listen(self, count=5):
        self.backlog = []
        self.net.listeners[self.address] = self

    def accept(self):
        if not self.backlog:
            raise OSError(errno.EAGAIN)
        return self.backlog.pop(0), ("10.0.0.9", 50000)

    def connect(self, address):
        listener = self.net.listeners.get(address)
        if self.net.down or address in self.net.silent:
            raise OSError(errno.EINPROGRESS)
        if listener is None or len(listener.backlog) >= 8:
            raise OSError(errno.ECONNREFUSED)
        other = Pipe(self.net)
        self.join(other)
        listener.backlog.append(other)
        listener.wake_reader()
        raise OSError(errno.EINPROGRESS)

    def join(self, other):
        self.peer, other.peer = other, self
        self.net.ends += [self, other]

    def readable(self):
        return bool(self.data) or self.ended or self.closed or self.failed or bool(self.backlog)

    def writable(self):
        return self.failed or self.peer is None or (len(self.peer.data) < _BUFFER and not self.net.down)

    def read(self, count=512):
        if self.failed:
            raise OSError(errno.ECONNRESET)
        if not self.data:
            return b"" if self.ended else None
        data = bytes(self.data[:count])
        self.data = self.data[count:]
        if self.peer:
            self.peer.wake_writer()
        return data

    recv = read

    def readinto(self, buf):
        data = self.read(len(buf))
        if data is None:
            return None
        buf[: len(data)] = data
        return len(data)

    def write(self, data):
        if self.failed or self.closed:
            raise OSError(errno.ECONNRESET)
        peer = self.peer
        if peer is None or peer.closed:
            raise OSError(errno.ECONNRESET)
        if self.net.down:
            return None
        room = _BUFFER - len(peer.data)
        if room <= 0:
            return None
        peer.data.extend(data[:room])
        peer.wake_reader()
        return min(room, len(data))

    send = write

    def close(self):
        if self.closed:
            return
        self.closed = True
        if self.backlog is not None:
            self.net.listeners.pop(self.address, None)
            self.wake_reader()  # who waits for a connection: it may look for another listener
        peer, self.peer = self.peer, None
        if peer:
            self.net.ends.remove(self)
            self.net.ends.remove(peer)
            peer.peer = None
            peer.ended = True
            peer.wake_reader()
            peer.wake_writer()

    def reset(self):
        """The connection breaks: both ends see an error."""
        for end in (self, self.peer):
            if end:
                end.failed = True
                end.wake_reader()
                end.wake_writer()


class Net:
    """The module `socket`."""

    SOL_SOCKET = SO_REUSEADDR = AF_INET = SOCK_DGRAM = SOCK_STREAM = 1

    def __init__(self):
        self.listeners = {}
        self.silent = set()
        self.down = False
        self.ends = []  # of connections that are open

    def socket(self, *args):
        return Pipe(self)

    def cut(self):
        """The gateway is gone, without a word: what it held is closed, its tasks are not woken."""
        for end in list(self.ends):
            if not end.outside:
                end.reader = end.writer = None
                end.close()
        for listener in list(self.listeners.values()):
            if not listener.outside:
                listener.reader = None
                listener.close()

    def getaddrinfo(self, host, port, *args):
        return [(0, 0, 0, "", (host, port))]


class Poll:
    """Of the module `select`, as far as firmware/mqtt/opening.py needs it: can the socket be written?"""

    def __init__(self):
        self._pipe = None

    def register(self, pipe, flags):
        self._pipe = pipe

    def poll(self, ms=0):
        if self._pipe.failed:
            return [(self._pipe, Select.POLLERR)]
        return [(self._pipe, Select.POLLOUT)] if self._pipe.peer else []


class Select:
    POLLIN, POLLOUT, POLLERR, POLLHUP = 1, 4, 8, 16
    poll = Poll
