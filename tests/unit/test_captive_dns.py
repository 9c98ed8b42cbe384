"""firmware/net/captive_dns.py: packets, and the server over real UDP."""

import asyncio
import os
import socket
import struct

from firmware.net import captive_dns
from firmware.net import dns
from tests.unit.help import FakeLog

_ADDRESS = b"\xc0\xa8\x04\x01"


def _question(name=b"\x07captive\x05apple\x03com\x00", kind=1, group=1, flags=0x0100, count=1):
    return struct.pack(">6H", 0x1234, flags, count, 0, 0, 0) + name + struct.pack(">HH", kind, group)


def test_answer():
    packet = captive_dns.answer(_question(), _ADDRESS)
    assert packet[:12] == b"\x12\x34\x85\x80\0\x01\0\x01\0\0\0\0", packet[:12]
    assert packet[12:].startswith(b"\x07captive\x05apple\x03com\x00\0\x01\0\x01")
    assert packet.endswith(b"\xc0\x0c\0\x01\0\x01\0\0\0\x05\0\x04" + _ADDRESS)
    assert dns.answer(packet, 0x1234, "captive.apple.com", False) == ("192.168.4.1", 5)


def test_other_questions_have_no_answer():
    for kind in (28, 65, 16, 12):  # AAAA, HTTPS, TXT, PTR
        packet = captive_dns.answer(_question(kind=kind), _ADDRESS)
        assert packet[6:8] == b"\0\0" and packet[3] & 15 == 0, "no error, nothing known"
    assert captive_dns.answer(_question(group=3), _ADDRESS)[6:8] == b"\0\0"
    assert captive_dns.answer(_question(kind=255), _ADDRESS)[6:8] == b"\0\x01"
    assert captive_dns.answer(_question(b"\0"), _ADDRESS), "the root is a name"


def test_more_after_the_question_is_left_out():
    """EDNS: an additional record follows, which the answer does not hold."""
    packet = captive_dns.answer(_question() + b"\0\0\x29\x10\0\0\0\0\0\0\0", _ADDRESS)
    assert packet == captive_dns.answer(_question(), _ADDRESS)


def test_hostile():
    good = _question()
    bad = [b"", b"\0", good[:11], good[:12], good[:-1], good[:20]]
    bad += [
        _question(flags=0x8180),  # an answer
        _question(flags=0x2800),  # another opcode
        _question(count=0),
        _question(count=2),
        _question(count=0x0101),
        _question(b"\xc0\x0c"),  # points at itself
        _question(b"\x3fshort"),
        _question(b"\x40" + b"a" * 64 + b"\0"),
        _question(b"\x3f" + b"a" * 63 + b"\x3f" + b"a" * 63 + b"\x3f" + b"a" * 63 + b"\x3f" + b"a" * 63 + b"\x01a\0"),
        _question(b"\x01a" * 200),
    ]
    for packet in bad:
        assert captive_dns.answer(packet, _ADDRESS) is None, packet
    for _ in range(2000):
        packet = bytearray(good)
        for _ in range(3):
            packet[int.from_bytes(os.urandom(1), "big") % len(packet)] = os.urandom(1)[0]
        packet = captive_dns.answer(bytes(packet), _ADDRESS)
        assert packet is None or len(packet) <= len(good) + 16, "never more than the question and one record"
        captive_dns.answer(os.urandom(60), _ADDRESS)


def _port():
    return 20_000 + int.from_bytes(os.urandom(2), "big") % 40_000


async def _ask(sock, data):
    sock.send(data)
    for _ in range(100):
        await asyncio.sleep_ms(10)
        try:
            return sock.recv(600)
        except OSError:
            pass
    return None


async def test_serves():
    port, log = _port(), FakeLog()
    task = asyncio.create_task(captive_dns.serve("127.0.0.1", port, log))
    await asyncio.sleep_ms(20)
    sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    sock.setblocking(False)
    sock.connect(socket.getaddrinfo("127.0.0.1", port)[0][-1])
    try:
        assert dns.answer(await _ask(sock, _question()), 0x1234, "captive.apple.com", False) == ("127.0.0.1", 5)
        found = await dns.lookup("anything.example", ("127.0.0.1", port), False)
        assert found == ("127.0.0.1", 5), "our own resolver understands it"
        for _ in range(30):
            sock.send(os.urandom(40) + b"\0")
            sock.send(b"")
        ticks = 0
        for _ in range(20):
            await asyncio.sleep_ms(1)
            ticks += 1
        assert ticks == 20
        assert await _ask(sock, _question()), "it goes on"
    finally:
        task.cancel()
        await asyncio.sleep_ms(10)
    assert not log.lines, log.lines
    try:  # the port is free again
        again = captive_dns._socket("127.0.0.1", port)
    finally:
        sock.close()
    again.close()


async def test_port_in_use():
    log = FakeLog()
    taken = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    port = _port()
    taken.bind(socket.getaddrinfo("127.0.0.1", port)[0][-1])
    task = asyncio.create_task(captive_dns.serve("127.0.0.1", port, log))
    await asyncio.sleep_ms(50)
    assert len(log.lines) == 1 and "no names" in log.lines[0][2]
    task.cancel()
    await asyncio.sleep_ms(10)
    taken.close()
