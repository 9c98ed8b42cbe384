"""The resolver: packets against hand-made ones, a server on this machine, silence, and what is kept."""

import asyncio
import socket
import struct
import sys
import time

from firmware.net import dns
from firmware.net.dns import is_address
from firmware.net.resolver import Resolver
from tests.unit.help import FakeClock, raises

# Answer of BIND for broker.example.com: CNAME to mq.example.com, then A 192.0.2.7 (RFC 1035 4.1, compression)
_HEAD = b"\x12\x34\x81\x80\x00\x01\x00\x02\x00\x00\x00\x00\x06broker\x07example\x03com\x00\x00\x01\x00\x01"
_CNAME = b"\xc0\x0c\x00\x05\x00\x01\x00\x00\x01\x2c\x00\x05\x02mq\xc0\x13"
_A = b"\xc0\x30\x00\x01\x00\x01\x00\x00\x00\x3c\x00\x04\xc0\x00\x02\x07"
# Avahi's answer to a one-shot question: no question inside, class with the cache-flush bit
_MDNS = (
    b"\x00\x00\x84\x00\x00\x00\x00\x01\x00\x00\x00\x00\x06broker\x05local\x00\x00\x01\x80\x01\x00\x00\x00\x78\x00\x04"
)
_MDNS += b"\x0a\x00\x00\x05"


class Board(FakeClock):
    server = None

    def dns_server(self):
        return self.server


def test_question():
    assert dns.question(0x1234, "broker.example.com", False) == _HEAD[:2] + b"\x01\0\0\1\0\0\0\0\0\0" + _HEAD[12:]
    assert dns.question(1, "a.local", True)[-2:] == b"\x80\x01"
    raises(OSError, dns.question, 1, "a..b", False)
    raises(OSError, dns.question, 1, "x" * 64, False)


def test_answer_with_alias():
    assert dns.answer(_HEAD + _CNAME + _A, 0x1234, "broker.example.com", False) == ("192.0.2.7", 60)


def test_answers_of_others_are_not_taken():
    data = _HEAD + _CNAME + _A
    assert dns.answer(data, 0x1235, "broker.example.com", False) is None
    assert dns.answer(data, 0x1234, "other.example.com", False) is None
    assert dns.answer(b"\x12\x34\x01\x80" + data[4:], 0x1234, "broker.example.com", False) is None
    for size in range(len(data)):
        assert dns.answer(data[:size], 0x1234, "broker.example.com", False) is None
    loop = _HEAD[:12] + b"\xc0\x0c\x00\x01\x00\x01"
    assert dns.answer(loop, 0x1234, "broker.example.com", False) is None


def test_no_such_name():
    data = b"\x12\x34\x81\x83\x00\x01\x00\x00" + _HEAD[8:]
    raises(OSError, dns.answer, data, 0x1234, "broker.example.com", False)


def test_mdns_answer():
    assert dns.answer(_MDNS, 77, "broker.local", True) == ("10.0.0.5", 120)
    assert dns.answer(_MDNS, 77, "other.local", True) is None


def test_addresses_pass():
    assert (
        is_address("192.168.1.10")
        and not is_address("256.1.1.1")
        and not is_address("1.2.3")
        and not is_address("a.b.c.d")
    )

    async def go():
        resolver = Resolver(Board())
        assert await resolver.resolve("192.0.2.1") == "192.0.2.1"
        assert await resolver.resolve("localhost") == "127.0.0.1"

    asyncio.run(go())


class Server:
    """A DNS server in this loop: answers A 10.1.2.3, or keeps silent."""

    def __init__(self):
        self.sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        for port in range(20053, 20153):
            try:
                self.sock.bind(socket.getaddrinfo("127.0.0.1", port)[0][-1])
                break
            except OSError:
                pass
        self.port = port
        self.sock.setblocking(False)
        self.silent = False
        self.asked = 0

    async def run(self):
        while True:
            await asyncio.sleep_ms(5)
            try:
                data, peer = self.sock.recvfrom(512)
            except OSError:
                continue
            self.asked += 1
            if not self.silent:
                head = data[:2] + b"\x81\x80\x00\x01\x00\x01\0\0\0\0"
                self.sock.sendto(
                    head + data[12:] + b"\xc0\x0c\0\1\0\1" + struct.pack(">IH", 300, 4) + b"\x0a\1\2\3", peer
                )


def _no_names():
    """A module `socket` whose getaddrinfo refuses names."""
    real = socket.getaddrinfo

    def numbers_only(host, *args):
        assert is_address(host), "getaddrinfo called with %s" % host
        return real(host, *args)

    class Fake:
        pass

    fake = Fake()
    for name in ("socket", "AF_INET", "SOCK_DGRAM", "SOCK_STREAM"):
        setattr(fake, name, getattr(socket, name))
    fake.getaddrinfo = numbers_only
    return fake


async def test_asks_once_and_keeps():
    board = Board()
    server = Server()
    board.server = ("127.0.0.1", server.port)
    task = asyncio.create_task(server.run())
    real = sys.modules.get("socket")
    sys.modules["socket"] = _no_names()  # dns.py is imported again for each question
    sys.modules.pop("firmware.net.dns", None)
    try:
        resolver = Resolver(board)
        assert await resolver.resolve("Broker.Example.com") == "10.1.2.3"
        assert await resolver.resolve("broker.example.com.") == "10.1.2.3"
        assert server.asked == 1
        board.advance(301_000)
        assert await resolver.resolve("broker.example.com") == "10.1.2.3"
        assert server.asked == 2
        assert await Resolver(board, board.server).resolve("gw.local") == "10.1.2.3"
        assert "firmware.net.dns" not in sys.modules
        # silence: the loop goes on meanwhile, and an old result is better than none
        server.silent = True
        resolver.expire("broker.example.com")
        held = 0
        asking = asyncio.create_task(resolver.resolve("broker.example.com"))
        while not asking.done():
            before = time.ticks_ms()
            await asyncio.sleep_ms(5)
            held = max(held, time.ticks_ms() - before)
        assert await asking == "10.1.2.3"
        assert server.asked == 6 and held < 1000, (server.asked, held)  # each of the four tries waits for 2 s
        failed = ""
        try:
            await resolver.resolve("new.example.com")
        except OSError as error:
            failed = str(error)
        assert "does not answer" in failed, failed
    finally:
        task.cancel()
        if real:
            sys.modules["socket"] = real
        else:
            sys.modules.pop("socket", None)
        server.sock.close()
