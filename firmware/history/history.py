"""The history part: takes samples from the good polls for the ring, and hands each poll to the archive.

While the BMS is lost there are no samples: a gap, never a value that is old.
"""

import asyncio
import os
from micropython import const
from firmware import bus as topics
from firmware.history.archive import Archive
from firmware.history.ring import Ring
from firmware.history.since import Since
from firmware.lazy import seldom

_TICK_S = const(5)
_LONG_AGO_MS = const(-60_001)  # longer than any interval: the first poll is a sample


class History:
    """`live`, `bus`, `clock` (the board), `config` and `log` as everywhere; `data_dir` is where its files go."""

    @seldom
    def __init__(self, live, bus, clock, config, log, data_dir):
        self.since = Since(clock)
        self.ring = Ring(live)
        directory = data_dir + "/history"
        try:
            os.mkdir(directory)
        except OSError:
            pass  # there already; a real failure shows at the first file
        self.archive = Archive(directory, self.since, clock, log)
        self.clock = clock
        self.interval_ms = 1000
        self._live = live
        self._config = config
        self._due = clock.ticks_add(clock.ticks_ms(), _LONG_AGO_MS)
        self._on_config(None, ("history.interval_ms",))
        bus.subscribe(topics.POLL, self._on_poll)
        bus.subscribe(topics.CONFIG, self._on_config)

    def _on_config(self, topic, keys):
        if "history.interval_ms" in keys:
            self.interval_ms = self._config.get("history.interval_ms")

    def _on_poll(self, topic, payload):
        since, clock = self.since, self.clock
        since.advance()
        now = clock.ticks_ms()
        late = clock.ticks_diff(now, self._due)
        interval = self.interval_ms
        if not -interval <= late <= interval:  # after a gap, or the interval was made shorter
            self._due = now
            late = 0
        # A poll that comes a little early counts, so that samples keep their distance however the polls jitter
        if late >= -(interval >> 4):
            self._due = clock.ticks_add(self._due, interval)
            self.ring.add(since.s, since.ms)
        self.archive.add(self._live)

    @property
    def reader(self):
        """What reads all this (firmware.history.reader), loaded when asked."""
        from firmware.history import reader

        return reader

    def tick(self):
        self.since.advance()
        self.archive.tick()

    async def run(self):
        while True:
            self.tick()
            await asyncio.sleep(_TICK_S)

    def stop(self):
        """Before a restart: write what would be lost."""
        self.archive.write_all()
