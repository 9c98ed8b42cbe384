"""A battery pack with its TinyBMS's protections, as a pure library: no wall clock, no I/O, standard library only.

    battery = Battery(cells=16, capacity_ah=280, chemistry="lfp", soc=60, offset_mv={7: 60}, weak_percent={3: 2})
    battery.charger_on, battery.charger_a, battery.load_a = True, 80, 12
    battery.charger_cvl_mv, battery.charger_ccl_ma, battery.load_dcl_ma = 56800, 140000, 135000  # what a GX is told
    battery.step(1.0)
    battery.cell_mv, battery.voltage_mv, battery.current_ma, battery.soc, battery.status, battery.active

Cells are counted from 1 (most negative) in arguments; `cell_mv[0]` is cell 1. Currents: + charges. Deterministic for
a `seed`.

Arguments: `soc` % at start (all cells lack the same charge: top-balanced); `offset_mv` {cell: mV} shifts a cell's
voltage curve; `imbalance_percent` {cell: %} puts more charge in a cell (balancing can take it out again);
`weak_percent` {cell: %} takes from its capacity; `spread` scales the random spread of capacity, charge, resistance
and voltage (0 = equal cells); `temperature_c` pack and ambient; `settings` {register: word} over the chemistry's
defaults (registers 300-343).

Inputs, may be changed at any time: `charger_on`, `charger_a` (what it can give, A), `charger_v_mv` (what it holds by
itself, mV), `charger_cvl_mv`, `charger_ccl_ma`, `load_dcl_ma` (limits from outside, None = none: CVL replaces
`charger_v_mv`, CCL and DCL limit the battery's own current), `charger_overshoot_mv_cell` (the charger holds so much
more per cell), `load_a`, `regen_a` (current in without a charger), `ambient_c`, `pack_c`, `ext_connected` [bool,
bool], `soc` (estimate, %), `current_gain`, `current_offset_a` (errors of the current sensor), `profile` (None or
f(battery), called before each step to set inputs), `on_event` (f(id)). `set(register, word)` changes a setting
without a check; `set_temperature(celsius)` sets pack and sensors at once.

Outputs: `time_s`; `cell_mv` (floats), `voltage_mv`, `current_ma`, `cell_max_mv`, `cell_min_mv`; `cell_max_seen`,
`cell_min_seen` (`reset_seen()`); `soc` (the BMS's coulomb count, %), `true_soc` (%), `full`; `status` (register 50);
`active` {fault or warning id: time raised}; `events` (deque of (time_s, id), newest last); `trips` (how many
protections have opened a switch); `charge_switch`, `load_switch`; `balance_need`, `balancing` (bit 0 = cell 1);
`internal_c`, `ext_c` [one, two] (None when not connected), `pack_c`; `energy_in_wh`, `energy_out_wh`, `charge_in_ah`,
`charge_out_ah` at the terminals, `loss_wh` heat and balancing, `stored_wh()` in the cells: in - out - loss = change
of stored. `truth()` gives most of it as a dict. `restart()` is a restart of the BMS.

Not modelled: opening the charge switch when full, ageing, self-discharge.
"""

import random
from collections import deque

from tools.tinybms_sim.chemistry import CHEMISTRY, HI, LO, SCALE, default_settings, table
from tools.tinybms_sim.guard import Guard

_TAU_S, _POLARISATION = 60.0, 0.5  # slow part of the resistance: time constant, share of the fast part
_BLEED_OHM = 22.0  # balancing resistor


class Battery(Guard):
    """See the module's text."""

    def __init__(self, cells=16, capacity_ah=280.0, chemistry="lfp", soc=60.0, seed=1, temperature_c=20.0, offset_mv=None,
                 weak_percent=None, imbalance_percent=None, spread=1.0, settings=None, high_power=True):  # fmt: skip
        rand = random.Random(seed)
        ohm_ah, _, points = CHEMISTRY[chemistry]
        self.cells, self.chemistry, self.high_power = cells, chemistry, high_power
        self._volts, self._rise, self._energy = table(points)
        self.true_capacity_ah, self._offset, self._ohm, self._x = [], [], [], []
        for n in range(1, cells + 1):
            spare = (imbalance_percent or {}).get(n, 0) / 100 + rand.gauss(0, 0.0002) * spread
            ah = capacity_ah * (1 - (weak_percent or {}).get(n, 0) / 100) * (1 + rand.gauss(0, 0.003) * spread)
            self.true_capacity_ah.append(ah)
            self._offset.append((offset_mv or {}).get(n, 0) / 1000 + rand.gauss(0, 0.0008) * spread)
            self._ohm.append(ohm_ah / capacity_ah * (1 + rand.gauss(0, 0.05) * spread))
            self._x.append((1 - (1 - soc / 100) * capacity_ah / ah + spare - LO) * SCALE)
        self._gain = [SCALE / 3600 / ah for ah in self.true_capacity_ah]
        self._ohms = sum(self._ohm)
        self.settings = default_settings(chemistry, cells, capacity_ah) | (settings or {})
        self._configure()
        self.charger_on, self.charger_a, self.charger_v_mv = False, 60.0, cells * self.settings[300]
        self.charger_cvl_mv = self.charger_ccl_ma = self.load_dcl_ma = None
        self.charger_overshoot_mv_cell = 0
        self.load_a = self.regen_a = 0.0
        self.ambient_c = self.pack_c = self.internal_c = temperature_c
        self._sensors, self.ext_connected = [temperature_c, temperature_c], [True, True]
        self.current_gain, self.current_offset_a = 1.0, 0.0
        self.profile = self.on_event = None
        self.time_s, self.soc, self.full, self.trips = 0.0, float(soc), False, 0
        self.active, self.events = {}, deque(maxlen=4096)
        self.charge_switch = self.load_switch = True
        self.balance_need = self.balancing = 0
        self.energy_in_wh = self.energy_out_wh = self.charge_in_ah = self.charge_out_ah = self.loss_wh = 0.0
        self._slow_a = self._over_s = self._tail_s = self._low_s = (
            0.0  # slow current; how long over-current, tail, no charge
        )
        self._was_on, self._session, self._done = False, False, False
        self.cell_mv, self.status = [], 0x97
        self._solve(0.0, False)
        self.reset_seen()

    # One step

    def step(self, dt_s):
        """Let `dt_s` seconds of the battery's time pass, in slices of at most 5 s."""
        while dt_s > 5:
            self._slice(5.0)
            dt_s -= 5
        if dt_s > 0:
            self._slice(dt_s)

    def _slice(self, dt):
        if self.profile:
            self.profile(self)
        self.time_s += dt
        if self.charger_on != self._was_on:
            self._was_on = self.charger_on
            self._event(0x64 if self.charger_on else 0x65)
        amps = self._solve(dt, True)
        self._x = [x + g * amps * dt for x, g in zip(self._x, self._gain)]
        if self.balancing:
            self._bleed(dt)
        if self.cell_min_mv < 800 or self.cell_max_mv > 3600:
            self._x = [min(max(x, 1.0), (HI - LO) * SCALE - 1) for x in self._x]
        self._count(amps, dt)
        self._heat(amps, dt)
        self._guard(amps, dt)
        self._charge_end(amps, dt)
        self._balance(amps)
        self._status(amps)

    def _solve(self, dt, closed):
        """The current (A) that charger, load and cells agree on, and the voltages that go with it."""
        volts, rise = self._volts, self._rise
        rest = [volts[k := int(x)] + rise[k] * (x - k) + o for x, o in zip(self._x, self._offset)]
        cold = 1 + 0.015 * (20 - self.pack_c) if self.pack_c < 20 else 1.0  # cold cells resist more
        emf = sum(rest)
        amps = self._agree(emf + self._ohms * cold * _POLARISATION * self._slow_a, self._ohms * cold) if closed else 0.0
        self._slow_a += (amps - self._slow_a) * dt / (_TAU_S + dt)
        part = (amps + _POLARISATION * self._slow_a) * cold
        self.cell_mv = cells = [(v + r * part) * 1000 for v, r in zip(rest, self._ohm)]
        self.voltage_mv, self.current_ma = sum(cells), amps * 1000
        self.cell_max_mv, self.cell_min_mv = max(cells), min(cells)
        self._loss_w = (self.voltage_mv / 1000 - emf) * amps
        return amps

    def _agree(self, emf, ohms):
        load = self.load_a if self.load_switch else 0.0
        amps = -load
        if self.charger_on and self.charge_switch:
            hold = self.charger_v_mv if self.charger_cvl_mv is None else self.charger_cvl_mv
            most = self.charger_a - load
            if self.charger_ccl_ma is not None and most > self.charger_ccl_ma / 1000:
                most = self.charger_ccl_ma / 1000
            held = ((hold + self.charger_overshoot_mv_cell * self.cells) / 1000 - emf) / ohms
            amps = max(min(held, most), amps) if most > amps else amps
        amps += self.regen_a
        if amps > 0 and not self.charge_switch:
            return 0.0
        if amps < 0 and self.load_dcl_ma is not None and amps < -self.load_dcl_ma / 1000:
            return -self.load_dcl_ma / 1000
        return amps

    def _bleed(self, dt):
        for n in range(self.cells):
            if self.balancing >> n & 1:
                volt = self.cell_mv[n] / 1000
                self._x[n] -= self._gain[n] * volt / _BLEED_OHM * dt
                self._loss_w += volt * volt / _BLEED_OHM

    def _count(self, amps, dt):
        wh = self.voltage_mv * amps * dt / 3.6e6
        if amps > 0:
            self.energy_in_wh += wh
            self.charge_in_ah += amps * dt / 3600
        else:
            self.energy_out_wh -= wh
            self.charge_out_ah -= amps * dt / 3600
        self.loss_wh += self._loss_w * dt / 3600
        self.cell_max_seen = max(self.cell_max_seen, self.cell_max_mv)
        self.cell_min_seen = min(self.cell_min_seen, self.cell_min_mv)
        seen = amps * self.current_gain + self.current_offset_a
        soc = self.soc + seen * dt / 36 / self._capacity
        if self.full and seen > -self._idle:
            soc = 100.0
        elif soc > 99.99:
            soc = 99.99  # 100 % only by a true full charge (tinybms_uart facts 13)
        self.soc = soc if soc > 0 else 0.0
        if self.full and soc < 98:
            self.full = False

    def _heat(self, amps, dt):
        """Pack (16 cells of 280 Ah: 86 kJ/K, 6 W/K), board (FETs, 5 minutes), sensors behind the pack by 2 minutes."""
        size = self.cells * self._capacity / 4480
        self.pack_c += (self._loss_w - 6 * (self.pack_c - self.ambient_c)) * dt / (86000 * size + 6 * dt)
        board = self.ambient_c + 1.5 + 0.0008 * amps * amps + (4 if self.balancing else 0)
        self.internal_c += (board - self.internal_c) * dt / (300 + dt)
        one, two = self._sensors
        self._sensors[0] = one + (self.pack_c - one) * dt / (120 + dt)
        self._sensors[1] = two + (0.9 * self.pack_c + 0.1 * self.ambient_c - two) * dt / (120 + dt)

    @property
    def ext_c(self):
        """The external sensors (C), None where not connected."""
        return [t if there else None for t, there in zip(self._sensors, self.ext_connected)]

    def set_temperature(self, celsius):
        """Pack and its sensors have this temperature now."""
        self.pack_c = float(celsius)
        self._sensors = [self.pack_c, self.pack_c]

    # Truth

    @property
    def true_soc(self):
        """Mean state of charge of the cells, %."""
        return 100 * sum(x / SCALE + LO for x in self._x) / self.cells

    def stored_wh(self):
        """Energy in the cells above a fixed level, Wh."""
        total = 0.0
        for x, ah, offset in zip(self._x, self.true_capacity_ah, self._offset):
            k = int(x)
            part = x - k
            below = self._energy[k] + (self._volts[k] + self._rise[k] * part / 2) * part / SCALE
            total += ah * (below + offset * x / SCALE)
        return total

    def reset_seen(self):
        """Start `cell_max_seen` and `cell_min_seen` (mV) anew."""
        self.cell_max_seen, self.cell_min_seen = self.cell_max_mv, self.cell_min_mv

    def truth(self):
        """What is really so, as a dict for JSON."""
        names = (
            "time_s", "cell_mv", "voltage_mv", "current_ma", "cell_max_mv", "cell_min_mv", "cell_max_seen",
            "cell_min_seen", "soc", "true_soc", "full", "status", "trips", "charge_switch", "load_switch",
            "balance_need", "balancing", "pack_c", "internal_c", "ext_c", "ambient_c", "energy_in_wh",
            "energy_out_wh", "charge_in_ah", "charge_out_ah", "loss_wh", "charger_on", "charger_a", "charger_v_mv",
            "charger_cvl_mv", "charger_ccl_ma", "load_dcl_ma", "charger_overshoot_mv_cell", "load_a", "regen_a",
        )  # fmt: skip
        return {name: getattr(self, name) for name in names} | {"active": sorted(self.active)}
