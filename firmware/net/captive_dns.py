"""The name server of the access point: every name is the gateway. Loaded when the access point starts.

Packets: RFC 1035 section 4. An A question gets the address, any other an empty answer (so that nobody waits for IPv6); what is no
plain question is ignored.
"""

import asyncio
import socket
from asyncio import core
from micropython import const

_PACKET_MAX = const(512)
_AT_ONCE = const(8)  # packets answered before the others of the loop have their turn
_HEAD = const(12)
_NAME_MAX = const(255)
_A = const(1)
_ANY = const(255)
_IN = const(1)
_TTL_S = const(5)  # short: the names are wrong for everybody who is online again
_RETRY_MS = const(5000)


def answer(data, address):
    """The packet that answers `data`, None for what is no question. `address`: four bytes."""
    if len(data) < _HEAD or data[2] & 0xF8 or data[4] or data[5] != 1:
        return None  # a response, another opcode, not one question
    at = _HEAD
    while True:
        if at >= len(data) or at - _HEAD >= _NAME_MAX:
            return None
        size = data[at]
        at += 1 + size
        if not size:
            break
        if size > 63:
            return None  # a pointer: there is nothing it could point to
    if at + 4 > len(data):
        return None
    kind = data[at] << 8 | data[at + 1]
    group = (data[at + 2] & 0x7F) << 8 | data[at + 3]
    known = group == _IN and kind in (_A, _ANY)
    head = bytes(data[:2]) + bytes((0x84 | data[2] & 1, 0x80, 0, 1, 0, known, 0, 0, 0, 0))  # authoritative
    packet = head + bytes(data[_HEAD : at + 4])
    if known:
        packet += b"\xc0\x0c\0\x01\0\x01\0\0\0" + bytes((_TTL_S, 0, 4)) + address
    return packet


def _socket(address, port):
    sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    try:
        sock.setblocking(False)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        sock.bind(socket.getaddrinfo(address, port)[0][-1])  # a number: no question to anybody
    except OSError:
        sock.close()
        raise
    return sock


async def serve(address, port, log):
    """Answer on address:port until cancelled."""
    four = bytes(int(part) for part in address.split("."))
    said = False
    while True:
        try:
            sock = _socket(address, port)
        except OSError as error:
            if not said:
                log.warning("wifi", "no names at the access point: %s" % error)
                said = True
            await asyncio.sleep_ms(_RETRY_MS)
            continue
        try:
            await _answer_all(sock, four)
        finally:
            sock.close()


async def _answer_all(sock, address):
    while True:
        yield core._io_queue.queue_read(sock)
        for _ in range(_AT_ONCE):
            try:
                data, peer = sock.recvfrom(_PACKET_MAX)
                packet = answer(data, address)
                if packet:
                    sock.sendto(packet, peer)
            except OSError:  # nothing more there; or the client has gone
                break
        await asyncio.sleep_ms(0)
