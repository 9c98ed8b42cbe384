"""The thresholds, alert types 1-11: compared at each poll, without allocation.

A rule is due once its value has stood beyond the limit in every poll for `alerts.debounce_sec`; it ends as soon as the value is
back behind limit and hysteresis. A value that is absent starts nothing and ends nothing. "Low" rules compare negated values, so
that every rule is "value > limit".
"""

from array import array
from micropython import const

from firmware import live as L

COUNT = const(11)

# States of a rule
_IDLE = const(0)
_WAITING = const(1)  # beyond the limit, debouncing
DUE = const(2)  # to be raised by the owner
RAISED = const(3)
ENDED = const(4)  # to be cleared by the owner

_ABSENT = const(0x3FFFFFFF)  # live.ABSENT

# of each type from 1 on: enabling key without "_enabled", limit key, from its unit to ours, hysteresis (0: 5 % of the limit)
_TABLE = (
    ("temp_high", "temperature_max_c", 10, 20),  # hottest of all sensors, 0.1 C
    ("temp_low", "temperature_min_c", -10, 20),  # coldest external sensor, the internal one where there is none
    ("cell_volt_high", "cell_voltage_max_mv", 1, 20),
    ("cell_volt_low", "cell_voltage_min_mv", -1, 20),
    ("pack_volt_high", "pack_voltage_max_mv", 1, 500),
    ("pack_volt_low", "pack_voltage_min_mv", -1, 500),
    ("discharge_current", "discharge_current_max_ma", 1, 0),
    ("charge_current", "charge_current_max_ma", 1, 0),
    ("soc_low", "soc_min_percent", -100, 200),
    ("soc_high", "soc_max_percent", 100, 200),
    ("imbalance", "imbalance_max_mv", 1, 10),
)


class Rules:
    """`changed` is True when a rule became DUE or ENDED; the owner looks at `states` and sets it back."""

    def __init__(self, live, clock):
        self._data = live.data
        self._clock = clock
        self.states = bytearray(COUNT)
        self.cells = bytearray(COUNT)  # the pack cell that made the rule due
        self.changed = False
        self._enabled = bytearray(COUNT)
        self._debounce_ms = 0
        zeros = [0] * COUNT
        self._values = array("i", zeros)
        self._limits = array("i", zeros)
        self._ends = array("i", zeros)
        self._since = array("i", zeros)  # ticks
        self._hits = array("i", zeros)  # the value that made the rule due

    def configure(self, config):
        """Take `alerts.*` anew. A rule that is switched off ends."""
        on = config.get("alerts.enabled")
        self._debounce_ms = config.get("alerts.debounce_sec") * 1000
        for i in range(COUNT):
            name, key, factor, hysteresis = _TABLE[i]
            limit = config.get("alerts." + key) * factor
            self._limits[i] = limit
            self._ends[i] = limit - (hysteresis or limit // 20)
            self._enabled[i] = on and config.get("alerts." + name + "_enabled")
            if not self._enabled[i]:
                self._end(i)

    def _end(self, i):
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

    def hit(self, i):
        """(value, limit) of when rule `i` became due, with their own signs."""
        sign = -1 if _TABLE[i][2] < 0 else 1
        return sign * self._hits[i], sign * self._limits[i]

    def _measure(self):
        data, values = self._data, self._values
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
        self._values[i] = value if value == _ABSENT else -value

    def evaluate(self):
        """Compare the snapshot with the limits. Call it at each poll; it allocates nothing."""
        self._measure()
        now = self._clock.ticks_ms()
        states, values = self.states, self._values
        for i in range(COUNT):
            state, value = states[i], values[i]
            if not self._enabled[i]:
                continue
            if value == _ABSENT:
                if state == _WAITING:
                    states[i] = _IDLE
            elif state == RAISED:
                if value <= self._ends[i]:
                    self._end(i)
            elif state < DUE:
                if value <= self._limits[i]:
                    states[i] = _IDLE
                    continue
                if state == _IDLE:
                    states[i] = _WAITING
                    self._since[i] = now
                if self._clock.ticks_diff(now, self._since[i]) >= self._debounce_ms:
                    states[i] = DUE
                    self._hits[i] = value
                    data = self._data
                    self.cells[i] = data[L.CELL_MAX_AT] if i == 2 else data[L.CELL_MIN_AT] if i == 3 else 0
                    self.changed = True
