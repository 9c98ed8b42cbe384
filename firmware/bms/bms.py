"""The battery as the rest of the gateway sees it: polls by itself, takes reads, writes and commands in between."""

import asyncio

from firmware import bus as topics
from firmware.bms import frames
from firmware.bms.errors import BmsError
from firmware.bms.events import Events
from firmware.bms.link import Link
from firmware.bms.poller import Poller

CLEAR_EVENTS = 1  # options of `command` (0x02)
CLEAR_STATISTICS = 2
RESTART = 5


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

    async def read(self, address, count):
        """List of `count` (1-127) words from register `address` on."""
        if not (0 <= address <= 0xFFFF and 1 <= count <= 127):
            raise BmsError("range", "registers {}+{}".format(address, count))
        await self._link.ask(frames.read(address, count), frames.READ, 2 * count)
        frame = self._link.frame
        return [frames.word(frame, n) for n in range(count)]

    async def write_register(self, address, value):
        """Write one setting (300-399; -32768...65535) and give what the register reads then, a word.

        The caller compares: some registers take a value and read 0xFFFF after. 0x10 is what field devices use; a BMS that
        refuses it for a single register gets 0x0D (tinybms_uart facts 4, 18).
        """
        if not (300 <= address <= 399 and -32768 <= value <= 0xFFFF):
            raise BmsError("range", "register {} = {}".format(address, value))
        ask = self._link.ask
        ah, al, vh, vl = address >> 8, address & 0xFF, (value >> 8) & 0xFF, value & 0xFF
        try:
            try:
                await ask(frames.request(frames.WRITE, ah, al, 0, 1, 2, vh, vl), frames.WRITE, ah, 8)
            except BmsError as error:
                if error.code != "nack":
                    raise
                await ask(frames.request(frames.WRITE_ONE, 4, al, ah, vl, vh), frames.ACK, frames.WRITE_ONE, 5)
            return (await self.read(address, 1))[0]
        finally:  # also when the answer was lost: it may have been written
            self._poller.settings_changed()

    async def command(self, option):
        """0x02: CLEAR_EVENTS, CLEAR_STATISTICS or RESTART. True when the BMS acknowledged.

        A restart is sent once, to a BMS that was woken before, as a second one would restart it twice; whether it answers
        before it restarts is not documented, so False is no error there.
        """
        if option not in (CLEAR_EVENTS, CLEAR_STATISTICS, RESTART):
            raise BmsError("range", "command {}".format(option))
        tx = frames.request(frames.RESET, option)
        try:
            if option != RESTART:
                await self._link.ask(tx, frames.ACK, frames.RESET, 5)
                return True
            await self.read(50, 1)
            try:
                await self._link.ask(tx, frames.ACK, frames.RESET, 5, False)
            except BmsError as error:
                if error.code != "timeout":
                    raise
                return False
            return True
        finally:
            self._poller.restarted()

    async def read_limits(self, option):
        """0x1D: 44 words for registers 300-343; option 1 lowest, 2 highest, 3 default, 4 present value."""
        if not 1 <= option <= 4:
            raise BmsError("range", "option {}".format(option))
        await self._link.ask(frames.request(frames.LIMITS, option, 0, 44), frames.LIMITS, 88)
        frame = self._link.frame
        return [frame[3 + 2 * n] | frame[4 + 2 * n] << 8 for n in range(44)]
