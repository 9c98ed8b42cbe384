"""A question to a DNS server or, for `.local`, to everybody (one-shot mDNS, RFC 6762 section 5.1). Loaded for each question.

Packets: RFC 1035 section 4. Only A records are of use.
"""

import asyncio
import os
import socket
import struct
from micropython import const

_TRIES = const(3)
_WAIT_MS = const(2000)
_STEP_MS = const(20)
_PACKET_MAX = const(512)
_A = const(1)
_IN = const(1)
_UNICAST = const(0x8000)  # mDNS: answer to me alone
_NO_SUCH_NAME = const(3)
_NAME_STEPS = const(64)  # labels and pointers of one name; more is a loop
_KEPT_MAX = const(8)
_KEEP_MIN_S = const(60)
_KEEP_MAX_S = const(86_400)


def is_address(name):
    """True for an IPv4 address in numbers."""
    parts = name.split(".")
    for part in parts:
        if not part.isdigit() or len(part) > 3 or int(part) > 255:
            return False
    return len(parts) == 4


async def resolve(resolver, name, old):
    """The address of `name`, kept in `resolver` (resolver.Resolver); `old` when nobody answers. Raises OSError."""
    if is_address(name):
        return name
    if name == "localhost":
        return "127.0.0.1"
    local = name.endswith(".local")
    server = resolver.mdns if local else resolver.board.dns_server()
    found = await lookup(name, server, local) if server else None
    if found:
        kept, (address, ttl) = resolver.kept, found
        if name not in kept and len(kept) >= _KEPT_MAX:
            kept.pop(min(kept, key=lambda name: kept[name][1]))
        kept[name] = (address, resolver.board.uptime_s() + max(_KEEP_MIN_S, min(_KEEP_MAX_S, ttl)))
        return address
    if old is None:
        if local:
            raise OSError("nobody answers for " + name)
        raise OSError("DNS server %s does not answer" % server[0] if server else "no DNS server")
    return old


def question(number, name, local):
    """The packet that asks for the A record of `name`. Raises OSError for what is no name."""
    packet = bytearray(struct.pack(">6H", number, 0 if local else 0x0100, 1, 0, 0, 0))
    for label in name.encode().split(b"."):
        if not 0 < len(label) < 64:
            raise OSError("%s is no host name" % name)
        packet.append(len(label))
        packet.extend(label)
    packet.append(0)
    packet.extend(struct.pack(">HH", _A, _IN | (_UNICAST if local else 0)))
    return packet


def _name(data, at):
    """(name in small letters, place after it); follows the pointers of compression."""
    labels = []
    after = 0
    for _ in range(_NAME_STEPS):
        size = data[at]
        if size >= 0xC0:
            after = after or at + 2
            at = (size & 0x3F) << 8 | data[at + 1]
        elif size:
            labels.append(bytes(data[at + 1 : at + 1 + size]))
            at += 1 + size
        else:
            return b".".join(labels).decode().lower(), after or at + 1
    raise ValueError


def answer(data, number, name, local):
    """(address, seconds it may be kept) from a packet; None when it is not the answer. Raises OSError for "there is none"."""
    try:
        return _answer(data, number, name, local)
    except (IndexError, ValueError):
        return None


def _answer(data, number, name, local):
    given, flags, questions, answers, _, _ = struct.unpack_from(">6H", data, 0)
    if not flags & 0x8000 or (given != number and not local):
        return None
    at = 12
    for _ in range(questions):
        asked, at = _name(data, at)
        if asked != name and not local:
            return None
        at += 4
    for _ in range(answers):
        owner, at = _name(data, at)
        kind, group, ttl, size = struct.unpack_from(">HHIH", data, at)
        at += 10
        # A DNS server also follows aliases, so that the owner may be another name
        if kind == _A and group & 0x7FFF == _IN and size == 4 and (owner == name or not local):
            return "%d.%d.%d.%d" % struct.unpack_from("4B", data, at), ttl & 0x3FFFFFF
        at += size
    if local:
        return None
    code = flags & 15
    if code in (0, _NO_SUCH_NAME):
        raise OSError("%s is not known" % name if code else "%s has no IPv4 address" % name)
    raise OSError("DNS server failed (code %d)" % code)


async def lookup(name, server, local):
    """(address, ttl in s) of `name`, None when nobody answered. `server`: (address, port). Raises OSError: it does not exist."""
    number = int.from_bytes(os.urandom(2), "big")
    packet = question(number, name, local)
    where = socket.getaddrinfo(server[0], server[1])[0][-1]
    sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    try:
        sock.setblocking(False)
        if not local:
            sock.connect(where)  # only the server can answer
        for _ in range(_TRIES):
            try:
                sock.sendto(packet, where)
            except OSError:
                pass  # no network at this moment
            found = await _listen(sock, number, name, local)
            if found:
                return found
    finally:
        sock.close()
    return None


async def _listen(sock, number, name, local):
    for _ in range(_WAIT_MS // _STEP_MS):
        await asyncio.sleep_ms(_STEP_MS)
        try:
            data = sock.recv(_PACKET_MAX)
        except OSError:
            continue  # nothing there yet, or the port is closed
        found = answer(data, number, name, local) if data else None
        if found:
            return found
    return None
