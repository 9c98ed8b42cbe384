"""The thresholds, alert types 1-11: compared at each poll, without allocation.

A rule is due once its value has stood beyond the limit in every poll for `alerts.debounce_sec`; it ends as soon as the value is
back behind limit and hysteresis. A value that is absent starts nothing and ends nothing. "Low" rules compare negated values, so
that every rule is "value > limit".
"""

from array import array
from micropython import const

from firmware import live as L
from firmware.lazy import seldom

COUNT = const(11)

# States of a rule
_IDLE = const(0)
_WAITING = const(1)  # beyond the limit, debouncing
DUE = const(2)  # to be raised by the owner
RAISED = const(3)
ENDED = const(4)  # to be cleared by the owner

_ABSENT = const(0x3FFFFFFF)  # live.ABSENT
LIMITS = const(11)  # where they begin in `numbers`
ENDS = const(22)
_SINCE = const(33)
HITS = const(44)
CELLS = const(55)


class Rules:
    """`changed` is True when a rule became DUE or ENDED; the owner looks at `states` and sets it back. `limits` configures it."""

    @seldom
    def __init__(self, live, clock):
        self._data = live.data
        self._clock = clock
        self.states = bytearray(COUNT)
        self.changed = False
        self.debounce_ms = 0
        # of each rule: value, LIMITS, ENDS, since when it is beyond (ticks), HITS (value that made it due), CELLS (of the pack)
        self.numbers = array("i", bytes(4 * 6 * COUNT))

    def end(self, i):
        """Rule `i` is over."""
        if self.states[i] >= RAISED:
            self.states[i] = ENDED
            self.changed = True
        else:
            self.states[i] = _IDLE

    def forget(self):
        """There is no data any more: what was debouncing starts anew."""
        for i in range(COUNT):
            if self.states[i] == _WAITING:
                self.states[i] = _IDLE

    def _measure(self):
        data, values = self._data, self.numbers
        internal, one, two = data[L.TEMP_INT], data[L.TEMP_EXT1], data[L.TEMP_EXT2]
        cold = two if one == _ABSENT or two < one else one  # ABSENT is above every temperature
        hot = internal
        if one != _ABSENT and (hot == _ABSENT or one > hot):
            hot = one
        if two != _ABSENT and (hot == _ABSENT or two > hot):
            hot = two
        values[0] = hot
        self._low(1, internal if cold == _ABSENT else cold)
        high, low = data[L.CELL_MAX], data[L.CELL_MIN]
        values[2] = high
        self._low(3, low)
        values[4] = data[L.VOLTAGE]
        self._low(5, data[L.VOLTAGE])
        self._low(6, data[L.CURRENT])
        values[7] = data[L.CURRENT]
        self._low(8, data[L.SOC])
        values[9] = data[L.SOC]
        values[10] = _ABSENT if high == _ABSENT or low == _ABSENT else high - low

    def _low(self, i, value):
        self.numbers[i] = value if value == _ABSENT else -value

    def evaluate(self):
        """Compare the snapshot with the limits. Call it at each poll; it allocates nothing."""
        self._measure()
        now = self._clock.ticks_ms()
        states, numbers = self.states, self.numbers
        for i in range(COUNT):
            state, value = states[i], numbers[i]
            if value == _ABSENT:
                if state == _WAITING:
                    states[i] = _IDLE
            elif state == RAISED:
                if value <= numbers[ENDS + i]:
                    self.end(i)
            elif state < DUE:
                if value <= numbers[LIMITS + i]:
                    states[i] = _IDLE
                    continue
                if state == _IDLE:
                    states[i] = _WAITING
                    numbers[_SINCE + i] = now
                if self._clock.ticks_diff(now, numbers[_SINCE + i]) >= self.debounce_ms:
                    states[i] = DUE
                    numbers[HITS + i] = value
                    numbers[CELLS + i] = self._data[L.CELL_MAX_AT if i == 2 else L.CELL_MIN_AT]
                    self.changed = True
