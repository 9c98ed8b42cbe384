"""Energy and charge in and out of the pack, counted in integers from each good poll, and kept across power cuts.

Trapezoid: each of the two polls at the ends of a stretch gives half of it its power, to "in" or "out" after its own sign; a
stretch of over 10 s is not counted. A counter is three numbers: whole Wh (Ah), half thousandths of a J (C) below one, and in
RAM half thousandths of those. No number reaches 2^30: power stays under 80 kW, a stretch under 10 s.

The state is one array of 31 words and its CRC: 128 bytes, which littlefs keeps inside its directory block, so that a save costs
no erased block of its own. It goes to two files in turn; the newer one that is whole is read at start.
"""

import asyncio
from array import array
from micropython import const
from firmware import bus as topics
from firmware import lazy
from firmware import live as field
from firmware.lazy import seldom

IN_WH = const(1)  # each followed by its half thousandths
OUT_WH = const(3)
IN_AH = const(5)
OUT_AH = const(7)
DAY = const(9)  # local days since 1970 of the day that is counted; 0: not known
DAY_START = const(10)  # 10..17: the eight words above at its start
YESTERDAY = const(18)  # 18..21: in, out in 0.01 Wh; in, out in 0.01 Ah; -1: not known
HIGH_SOC_S = const(22)  # seconds with SoC at or above HIGH_SOC
RECORDS = const(23)  # 23..30, ABSENT until known
CELL_LOW, CELL_HIGH = const(23), const(24)  # mV
PACK_LOW, PACK_HIGH = const(25), const(26)  # mV
COLD, WARM = const(27), const(28)  # 0.1 C
CHARGE, DISCHARGE = const(29), const(30)  # largest currents, mA
SEQUENCE = const(0)  # counts the saves
WORDS = const(31)

UNIT = const(7_200_000)  # half thousandths of a J in a Wh, of a C in an Ah
HIGH_SOC = const(9000)  # 0.01 %
_GAP_MS = const(10_000)
_SAVE_WH = const(10)
_SAVE_TICKS = const(60)  # of the task: 10 minutes
_TICK_S = const(10)
_CLOCK_SAME_MS = const(500)
_ABSENT = const(0x3FFFFFFF)


class Energy:
    """`live`, `bus`, `clock` (the board), `config` and `log` as everywhere; `data_dir` is where its files go."""

    @seldom
    def __init__(self, live, bus, clock, config, log, data_dir):
        self.state = array("i", bytes(4 * WORDS))
        self._micro = array("i", bytes(4 * 9))  # at the index of its counter
        self.path = data_dir + "/energy."
        self.live = live
        self.clock = clock
        self.config = config
        self.log = log
        self._last = None  # ticks of the last poll; None: nothing to count from
        self._power = 0  # mW and mA then
        self._current = 0
        self._high_ms = 0
        self.next_day = None  # uptime in seconds at which the day ends; None until the clock is set
        self.marked = True
        self.base_ms = 0
        self.offset = None
        self.ticks = 0  # of the task since the last save
        self.saved_wh = 0
        self.changed = False
        self.failing = False
        lazy.once("history.counters").load(self)
        config.get("time.utc_offset_min")  # while the schema is loaded
        self.mark = array("i", self.state)  # the state when the day ended that is counted; at first, at start
        bus.subscribe(topics.POLL, self._on_poll)

    # -- each poll ---------------------------------------------------------------------------------------------------

    def _on_poll(self, topic, payload):
        """Allocates nothing."""
        data = self.live.data
        voltage, current = data[field.VOLTAGE], data[field.CURRENT]
        now = self.clock.ticks_ms()
        if voltage == _ABSENT or current == _ABSENT:
            self._last = None
            return
        if not self.marked and self.clock.uptime_s() >= self.next_day:
            for i in range(IN_WH, DAY):
                self.mark[i] = self.state[i]
            self.marked = True
        size = -current if current < 0 else current
        power = voltage * (size // 1000) + voltage * (size % 1000) // 1000
        if current < 0:
            power = -power
        if self._last is not None:
            ms = self.clock.ticks_diff(now, self._last)
            if 0 < ms <= _GAP_MS:
                self._count(self._power, self._current, ms)
                self._count(power, current, ms)
                if HIGH_SOC <= data[field.SOC] < _ABSENT:
                    ms += self._high_ms
                    self._high_ms = ms % 1000
                    self.state[HIGH_SOC_S] += ms // 1000
                    self.changed = True
                data[field.ENERGY_IN] = self.state[IN_WH]
                data[field.ENERGY_OUT] = self.state[OUT_WH]
        self._last, self._power, self._current = now, power, current
        self._note(CELL_LOW, data[field.CELL_MIN], data[field.CELL_MAX])
        self._note(PACK_LOW, voltage, voltage)
        warm = self.live.temperature()
        if warm is not None:
            self._note(COLD, warm, warm)
        if current:
            self._note(CHARGE - 1 if current > 0 else DISCHARGE - 1, _ABSENT, abs(current))

    def _count(self, power, current, ms):
        """Half of a stretch of `ms` with `power` mW and `current` mA."""
        if current > 0:
            self._add(IN_WH, power, ms)
            self._add(IN_AH, current, ms)
        elif current < 0:
            self._add(OUT_WH, -power, ms)
            self._add(OUT_AH, -current, ms)

    def _add(self, at, rate, ms):
        state, micro = self.state, self._micro
        rest = rate % 1000 * ms + micro[at]
        micro[at] = rest % 1000
        half = state[at + 1] + rate // 1000 * ms + rest // 1000
        if half >= UNIT:
            state[at] += half // UNIT
            half %= UNIT
        state[at + 1] = half
        self.changed = True

    def _note(self, at, low, high):
        """`low` may be a new record at `at`, `high` one behind it; ABSENT: no value."""
        state = self.state
        if low < state[at]:  # ABSENT is above everything
            state[at] = low
            self.changed = True
        if high != _ABSENT and (state[at + 1] == _ABSENT or high > state[at + 1]):
            state[at + 1] = high
            self.changed = True

    def _follow_clock(self):
        """Look whether a day has ended, or the clock or its offset has changed: then `days` does the rest."""
        clock = self.clock
        if not clock.time_valid:
            return
        moved = clock.epoch_ms() - clock.uptime_ms() - self.base_ms
        if (
            not -_CLOCK_SAME_MS <= moved <= _CLOCK_SAME_MS
            or self.offset != self.config.get("time.utc_offset_min")
            or clock.uptime_s() >= self.next_day
        ):
            lazy.once("history.days").follow(self)

    @property
    def report(self):
        """`report(energy, live)` of firmware.history.report, loaded when asked."""
        from firmware.history.report import report

        return report

    # -- files -------------------------------------------------------------------------------------------------------

    def save(self):
        """Write the state; what fails is tried again later."""
        lazy.once("history.counters").save(self)

    def tick(self):
        """Each 10 s: look at the clock, and save after 10 Wh or 10 minutes with something new."""
        if self._last is not None and self.clock.ticks_diff(self.clock.ticks_ms(), self._last) > _GAP_MS:
            self._last = None  # before the ticks go round
        self._follow_clock()
        self.ticks += 1
        state = self.state
        if self.changed and (self.ticks >= _SAVE_TICKS or state[IN_WH] + state[OUT_WH] - self.saved_wh >= _SAVE_WH):
            self.save()

    async def run(self):
        while True:
            self.tick()
            await asyncio.sleep(_TICK_S)

    def stop(self):
        """Before a restart."""
        if self.changed:
            self.save()
