"""The battery as the rest of the gateway sees it: polls by itself, takes reads, writes and commands in between."""

import asyncio

from firmware import bus as topics
from firmware import lazy
from firmware.bms import frames
from firmware.bms.errors import BmsError
from firmware.bms.events import Events
from firmware.bms.link import Link
from firmware.bms.poller import Poller
from firmware.lazy import seldom


class Bms:
    """`port` is the byte stream, `config` gives "uart.timeout_ms" and "uart.poll_interval_ms" and may change at any time.

    Beside the methods here: the coroutines `read`, `write_register`, `command`, `read_limits` of commands.py. Each raises
    BmsError, waits its turn (one command is in flight, first come first served) and needs `run` to be going. `catalogue` is
    the module of that name; the supervisor forgets it when nobody uses it.
    """

    Error = BmsError

    @seldom
    def __init__(self, port, live, bus, clock, config, log):
        self.counters = frames.Counters()
        self.events = Events()
        self._config = config
        self._link = Link(port, bus, clock, log, self.counters)
        self._poller = Poller(self._link, live, bus, clock, log, self.events)
        self._on_config(None, None)
        bus.subscribe(topics.CONFIG, self._on_config)

    @property
    def reason(self):
        """Why the last poll did not count, "" when it did."""
        return self._poller.reason

    def __getattr__(self, name):
        """What is asked for rarely: `bms.read(...)` is `read(bms, ...)` of commands.py, loaded for it and forgotten."""
        if name == "catalogue":  # the settings for people
            return lazy.load("bms.catalogue")
        function = getattr(lazy.once("bms.commands"), name)
        return lambda *args: function(self, *args)

    async def run(self):
        """Never returns: polls, reopens the port, survives what the line does."""
        line = asyncio.create_task(self._link.run())
        try:
            await self._poller.run()
        finally:
            line.cancel()

    def _on_config(self, topic, keys):
        self._link.timeout_ms = self._config["uart.timeout_ms"]  # not `get`: the schema is there whenever this is asked
        self._poller.interval_ms = self._config["uart.poll_interval_ms"]
