"""Seconds since start that fit a small int for years, and the Unix time of that start."""

from firmware.lazy import seldom


class Since:
    """`s` and `ms` (0-999) since it was made, as of the last `advance`, which somebody calls at least every few days."""

    @seldom
    def __init__(self, clock):
        self.s = 0
        self.ms = 0
        self._clock = clock
        self._ticks = clock.ticks_ms()

    def advance(self):
        """Catch up with the clock; allocates nothing."""
        now = self._clock.ticks_ms()
        ms = self.ms + self._clock.ticks_diff(now, self._ticks)
        self._ticks = now
        self.s += ms // 1000
        self.ms = ms % 1000

    def base_ms(self):
        """Unix milliseconds of second 0; about 0 until the clock is set."""
        self.advance()
        return self._clock.epoch_ms() - self.s * 1000 - self.ms
