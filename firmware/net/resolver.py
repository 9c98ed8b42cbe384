"""Names to addresses without ever blocking: `getaddrinfo` holds an ESP32 for 7 s and more (esp32_micropython facts 12, T4).

Made when MQTT needs it; `dns.py` is loaded for each name that is not among the kept results.
"""

from firmware import lazy


class Resolver:
    """`board` gives `dns_server()`, an (address, port) or None, and `uptime_s()`. `mdns` is where `.local` names are asked."""

    def __init__(self, board, mdns=("224.0.0.251", 5353)):
        self.board = board
        self.mdns = mdns
        self.kept = {}  # name: (address, uptime in s until which it counts)

    async def resolve(self, name):
        """The IPv4 address of `name` as text; an address is given back as it is. Raises OSError with a text.

        When nobody answers, an older result is better than none.
        """
        name = name.rstrip(".").lower()
        address, until = self.kept.get(name, (None, 0))
        if address and self.board.uptime_s() < until:
            return address
        return await lazy.once("net.dns").resolve(self, name, address)

    def expire(self, name):
        """Ask again next time: nobody answers at the address that is kept."""
        name = name.rstrip(".").lower()
        if name in self.kept:
            self.kept[name] = (self.kept[name][0], 0)
