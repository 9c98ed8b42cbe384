"""Is there a GX? It sends 0x305 and 0x307 each second (victron_can facts 2); lost when none came for 30 s after one was seen.

Information only: what we send does not depend on it, and these ids are never sent.
"""

from micropython import const

from firmware import bus as _bus

IDS = (0x305, 0x307)
_LOST_MS = const(30_000)
_DAY_MS = const(86_400_000)


class Presence:
    def __init__(self, bus, clock):
        self._bus = bus
        self._clock = clock
        self._seen_at = None  # ticks of the last frame; None: never, or over a day ago
        self.ever = False
        self.present = False

    def frame(self, can_id):
        """A frame was received."""
        if can_id in IDS:
            self._seen_at = self._clock.ticks_ms()
            self.ever = True

    def age_ms(self):
        """Milliseconds since the GX was heard, None when never or over a day ago."""
        if self._seen_at is None:
            return None
        age = self._clock.ticks_diff(self._clock.ticks_ms(), self._seen_at)
        if 0 <= age < _DAY_MS:
            return age
        self._seen_at = None
        return None

    def check(self):
        """Call at least once a second: publishes bus.GX when the GX appears or is lost."""
        age = self.age_ms()
        present = age is not None and age < _LOST_MS
        if present != self.present:
            self.present = present
            self._bus.publish(_bus.GX, present)
