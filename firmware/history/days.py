"""Where one day of the energy counters ends and the next begins. Loaded at midnight and when the clock is set."""

from micropython import const
from firmware.history.energy import DAY, DAY_START, IN_WH, UNIT, YESTERDAY

_DAY_S = const(86_400)


def follow(energy):
    """The clock, its offset or the day is new: end days, and tell when the next one ends."""
    clock, state = energy.clock, energy.state
    uptime_ms = clock.uptime_ms()
    energy.base_ms = clock.epoch_ms() - uptime_ms
    energy.offset = energy.config.get("time.utc_offset_min")
    local = energy.base_ms // 1000 + energy.offset * 60
    day = (local + uptime_ms // 1000) // _DAY_S
    known = state[DAY]
    if not energy.marked:  # no poll has seen the end of the day
        energy.mark[:] = state
    if known == 0 or day > known or day < known - 1:
        _turn(energy, day - known if known else 0)
        state[DAY] = day
    # else a clock that was set back over midnight: the day that is counted goes on
    energy.next_day = (state[DAY] + 1) * _DAY_S - local
    energy.marked = False


def _turn(energy, days):
    """A new day begins, `days` after the one that was counted (0: none was)."""
    state, end = energy.state, energy.mark
    for i in range(4):
        if days == 1:
            state[YESTERDAY + i] = since(state, IN_WH + 2 * i, end)
        else:
            state[YESTERDAY + i] = 0 if days > 1 else -1
    for i in range(8):
        state[DAY_START + i] = end[IN_WH + i]
    energy.changed = True


def since(state, at, end):
    """What counter `at` has counted from the start of the day to `end` (an array like `state`), in 0.01 Wh or Ah."""
    start = at - IN_WH + DAY_START
    return (end[at] - state[start]) * 100 + (end[at + 1] - state[start + 1]) // (UNIT // 100)
