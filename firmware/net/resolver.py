"""Names to addresses without ever blocking: `getaddrinfo` holds an ESP32 for 7 s and more (esp32_micropython facts 12, T4).

Only the kept results stay in memory; asking (`dns.py`) is loaded when it is needed and dropped again.
"""

import sys
from micropython import const

_NAMES_MAX = const(8)
_KEEP_MIN_S = const(60)
_KEEP_MAX_S = const(86_400)


def is_address(name):
    """True for an IPv4 address in numbers."""
    parts = name.split(".")
    for part in parts:
        if not part.isdigit() or len(part) > 3 or int(part) > 255:
            return False
    return len(parts) == 4


class Resolver:
    """`board` gives `dns_server()`, an (address, port) or None, and `uptime_s()`. `mdns` is where `.local` names are asked."""

    def __init__(self, board, mdns=("224.0.0.251", 5353)):
        self._board = board
        self._mdns = mdns
        self._kept = {}  # name: (address, uptime in s until which it counts)

    async def resolve(self, name):
        """The IPv4 address of `name` as text; an address is given back as it is. Raises OSError with a text.

        When nobody answers, an older result is better than none.
        """
        if is_address(name):
            return name
        name = name.rstrip(".").lower()
        if name == "localhost":
            return "127.0.0.1"
        address, until = self._kept.get(name, (None, 0))
        if address and self._board.uptime_s() < until:
            return address
        try:
            address, ttl = await self._ask(name)
        except _Silent:
            if address is None:
                raise
            return address
        if name not in self._kept and len(self._kept) >= _NAMES_MAX:
            self._kept.pop(min(self._kept, key=lambda kept: self._kept[kept][1]))
        ttl = max(_KEEP_MIN_S, min(_KEEP_MAX_S, ttl))
        self._kept[name] = (address, self._board.uptime_s() + ttl)
        return address

    def expire(self, name):
        """Ask again next time: nobody answers at the address that is kept."""
        name = name.rstrip(".").lower()
        if name in self._kept:
            self._kept[name] = (self._kept[name][0], 0)

    async def _ask(self, name):
        local = name.endswith(".local")
        server = self._mdns if local else self._board.dns_server()
        if server is None:
            raise _Silent("no DNS server")
        dns = __import__("firmware.net.dns", None, None, ("dns",))
        try:
            found = await dns.lookup(name, server, local)
        finally:
            sys.modules.pop("firmware.net.dns", None)
            package = sys.modules["firmware.net"]
            if hasattr(package, "dns"):
                del package.dns
        if found is None:
            raise _Silent("nobody answers for %s" % name if local else "DNS server %s does not answer" % server[0])
        return found


class _Silent(OSError):
    pass
