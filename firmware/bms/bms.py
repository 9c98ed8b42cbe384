"""The battery as the rest of the gateway sees it: polls by itself, takes reads, writes and commands in between."""

import asyncio

from firmware import bus as topics
from firmware.bms import frames
from firmware.bms.errors import BmsError
from firmware.bms.events import Events
from firmware.bms.link import Link
from firmware.bms.poller import Poller


class Bms:
    """`port` is the byte stream, `config` gives "uart.timeout_ms" and "uart.poll_interval_ms" and may change at any time.

    Every coroutine but `run` raises BmsError, waits its turn (one command is in flight, first come first served) and needs
    `run` to be going.
    """

    Error = BmsError

    def __init__(self, port, live, bus, clock, config, log):
        self.counters = frames.Counters()
        self.events = Events()
        self._config = config
        self._link = Link(port, bus, clock, log, self.counters)
        self._poller = Poller(self._link, live, bus, clock, log, self.events)
        self._configure()
        bus.subscribe(topics.CONFIG, self._on_config)

    @property
    def reason(self):
        """Why the last poll did not count, "" when it did."""
        return self._poller.reason

    @property
    def catalogue(self):
        """The settings for people (firmware.bms.catalogue), loaded when asked."""
        from firmware.bms import catalogue

        return catalogue

    @property
    def event_base(self):
        """Time of the BMS at the last reading of the events, s; the age of event i is `events.age(i)`."""
        return self.events.base

    async def run(self):
        """Never returns: polls, reopens the port, survives what the line does."""
        line = asyncio.create_task(self._link.run())
        try:
            await self._poller.run()
        finally:
            line.cancel()

    def _on_config(self, topic, keys):
        self._configure()

    def _configure(self):
        self._link.timeout_ms = self._config.get("uart.timeout_ms")
        self._poller.interval_ms = self._config.get("uart.poll_interval_ms")

    # What is asked for rarely lies in `commands`, loaded when it is asked for. Each gives a coroutine to await.

    def read(self, address, count):
        """List of `count` (1-127) words from register `address` on."""
        return _commands().read(self._link, address, count)

    def write_register(self, address, value):
        """Write one setting (300-399; -32768...65535) and give what the register reads then, a word."""
        return _commands().write_register(self._link, self._poller, address, value)

    def command(self, option):
        """0x02: 1 clears the events, 2 the statistics, 5 restarts the BMS. True when the BMS acknowledged."""
        return _commands().command(self._link, self._poller, option)

    def read_limits(self, option):
        """0x1D: 44 words for registers 300-343; option 1 lowest, 2 highest, 3 default, 4 present value."""
        return _commands().read_limits(self._link, option)


def _commands():
    from firmware.bms import commands

    return commands
