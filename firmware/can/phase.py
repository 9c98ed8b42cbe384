"""BULK, ABSORPTION, FLOAT: where in a charge the pack is. SoC is never believed alone.

Absorption begins at the top, by the pack's voltage or the highest cell, and ends by tail current with a small spread, by the
BMS's own "fully charged", or by time. Float ends by SoC or by voltage.
"""

from micropython import const

from firmware import live as L
from firmware.lazy import seldom

BULK = const(1)  # as in charge
ABSORPTION = const(2)
FLOAT = const(3)

_ABSENT = const(0x3FFFFFFF)  # live.ABSENT
_NEAR_MV = const(25)  # a cell; so close to the target is at the top
_TAIL_MS = const(60_000)  # tail current and small spread for so long end absorption
_AWAY_MS = const(300_000)  # so long away from the top: BULK again
_LOW_MS = const(600_000)  # rebulk by voltage
_LOW_MV = const(100)  # mean cell so far below float
_SOC_FULL = const(9800)  # 0.01 %: a restart goes on with FLOAT, with
_FULL_MV = const(10)  # mean cell not more than this below float
_SOC_DROP = const(200)  # 0.01 %; and SoC must have fallen so far since FLOAT


class Phase:
    """`now` is BULK, ABSORPTION or FLOAT; `targets` and `cells` are kept up to date by the owner."""

    @seldom
    def __init__(self, targets, cells):
        self._targets = targets
        self._cells = cells
        self._soc_top = _ABSENT  # highest SoC since FLOAT began
        self._low_ms = 0
        self._enter(BULK)

    @seldom
    def start(self, data):
        """The gateway has started: BULK, or FLOAT when the pack looks like it."""
        self._enter(BULK)
        if self._is_full(data):
            self._enter_float(data)

    def update(self, data, dt, charges):
        """Look again, `dt` ms later; `charges`: CCL was not 0."""
        if self.now == FLOAT:
            if self._discharged(data, dt):
                self._enter(BULK)
        elif self._at_top(data):
            self._absorb(data, dt, charges)
        else:
            self._tail_ms = 0
            self._away_ms = min(self._away_ms + dt, _AWAY_MS)
            self._absorb_ms = max(self._absorb_ms - dt, 0)  # a load that comes and goes must not begin it anew
            if self._away_ms == _AWAY_MS:
                self.now = BULK

    def _at_top(self, data):
        targets = self._targets
        if data[L.VOLTAGE] >= targets.cvl_absorption - _NEAR_MV * targets.cells:
            return True
        return self._cells.high >= targets.high - _NEAR_MV

    def _absorb(self, data, dt, charges):
        targets, cells = self._targets, self._cells
        self.now = ABSORPTION
        self._away_ms = 0
        self._absorb_ms += dt
        spread = data[L.SET_DISBALANCE]
        spread = 20 if spread == _ABSENT or spread < 20 else spread
        tail = charges and -targets.tail < data[L.CURRENT] < targets.tail and cells.high - cells.low <= spread
        self._tail_ms = self._tail_ms + dt if tail else 0
        done = self._tail_ms >= _TAIL_MS or self._absorb_ms >= targets.absorb_ms
        if done or data[L.STATUS] == L.FULLY_CHARGED:
            self._enter_float(data)

    def _discharged(self, data, dt):
        """By SoC, but not alone: it must have fallen, and the voltage with it. With a SoC that is stuck, by voltage."""
        targets, volt, soc = self._targets, data[L.VOLTAGE], data[L.SOC]
        floating = targets.float_mv * targets.cells
        if soc != _ABSENT:
            if self._soc_top == _ABSENT or soc > self._soc_top:
                self._soc_top = soc
            if soc < targets.rebulk and soc <= self._soc_top - _SOC_DROP and volt < floating:
                return True
        self._low_ms = self._low_ms + dt if volt < floating - _LOW_MV * targets.cells else 0
        return self._low_ms >= _LOW_MS

    def _enter(self, phase):
        self.now = phase
        self._absorb_ms = self._tail_ms = self._away_ms = 0

    def _enter_float(self, data):
        self._enter(FLOAT)
        self._soc_top = data[L.SOC]
        self._low_ms = 0

    @seldom
    def _is_full(self, data):
        """Looks like FLOAT: the BMS or its SoC says so, and voltage and current agree."""
        targets = self._targets
        full = data[L.STATUS] == L.FULLY_CHARGED or (data[L.SOC] != _ABSENT and data[L.SOC] >= _SOC_FULL)
        high = data[L.VOLTAGE] >= targets.cvl_float - _FULL_MV * targets.cells
        return full and high and data[L.CURRENT] < targets.tail
