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
from itertools import pairwise

_LO, _HI, _SCALE = -0.08, 1.15, 2000.0  # range of the voltage table in state of charge, points per unit of it
_TAU_S, _POLARISATION = 60.0, 0.5  # slow part of the resistance: time constant, share of the fast part
_BLEED_OHM, _ROTATE_S = 22.0, 10.0  # balancing resistor; every third cell at a time, next third after so long
_IDLE_A = {True: 0.8, False: 0.08}  # high power, low power: below it the pack rests (tinybms_uart facts 10)
CHARGE_STOPS = {0x03, 0x04, 0x06, 0x07, 0x0A, 0x0B, 0x0D, 0x0E, 0x0F, 0x37}  # these open the charger switch
LOAD_STOPS = {0x02, 0x04, 0x05, 0x0A, 0x0C, 0x0D, 0x0E, 0x0F, 0x31}  # these open the load switch
RECOVERED = {0x02: 0x7B, 0x03: 0x79, 0x04: 0x73, 0x05: 0x77, 0x06: 0x76, 0x07: 0x78, 0x0A: 0x75, 0x31: 0x7A, 0x37: 0x74}

# Voltage at rest over state of charge; beyond 0 and 1 the cell is abused. Resistance in ohm times Ah.
CHEMISTRY = {
    "lfp": (
        0.07, (3600, 2900, 3400, 3750, 2700),
        ((-0.08, 0.5), (-0.02, 2.0), (0, 2.6), (0.01, 2.8), (0.03, 2.98), (0.06, 3.1), (0.1, 3.19), (0.2, 3.245), (0.3, 3.275),
         (0.4, 3.288), (0.5, 3.293), (0.6, 3.302), (0.7, 3.324), (0.8, 3.33), (0.9, 3.334), (0.95, 3.342),
         (0.98, 3.375),
         (0.99, 3.43), (1, 3.59), (1.01, 3.76), (1.15, 4.9)),
    ),
    "nmc": (
        0.1, (4150, 3200, 3900, 4220, 3000),
        ((-0.08, 1.0), (-0.02, 2.5), (0, 3.0), (0.05, 3.35), (0.1, 3.45), (0.2, 3.55), (0.3, 3.61), (0.4, 3.66), (0.5, 3.72),
         (0.6, 3.81), (0.7, 3.91), (0.8, 4.0), (0.9, 4.08), (1, 4.16), (1.05, 4.26), (1.15, 4.9)),
    ),
    "lto": (
        0.05, (2700, 2000, 2400, 2850, 1800),
        ((-0.08, 0.8), (-0.02, 1.6), (0, 1.85), (0.05, 2.08), (0.1, 2.14), (0.3, 2.22), (0.5, 2.28), (0.7, 2.36), (0.9, 2.48),
         (0.95, 2.55), (1, 2.7), (1.03, 2.9), (1.15, 3.6)),
    ),
}  # fmt: skip


def default_settings(chemistry="lfp", cells=16, capacity_ah=280.0):
    """Registers 300-343 of a sound configuration: {register: word} (tinybms_uart facts 9)."""
    full, empty, balance, over, under = CHEMISTRY[chemistry][1]
    tail = max(100, min(5000, round(capacity_ah * 7.15)))  # 2 A for 280 Ah
    return dict.fromkeys(range(300, 344), 0) | {
        300: full, 301: empty, 303: balance, 304: 2000 if capacity_ah == 280 else tail, 305: 200,
        306: round(capacity_ah * 100),
        307: cells, 308: 15, 310: 5, 311: 0, 312: 1000, 314: 1, 315: over, 316: under, 317: 150, 318: 100, 319: 60,
        320: 0,
        321: 90, 322: 6000, 323: 0xFFFF, 328: 0xFFFF, 330: 0x0301, 331: 0, 332: 5, 333: 1, 335: 1, 338: 3, 343: 1,
    }  # fmt: skip


def _table(points):
    """Voltage (V) at each 1 / _SCALE of state of charge, the step to the next, and the energy below (Wh per Ah)."""
    volts, energy, k = [], [0.0], 0
    for n in range(int((_HI - _LO) * _SCALE) + 2):
        s = _LO + n / _SCALE
        while k < len(points) - 2 and s > points[k + 1][0]:
            k += 1
        (s0, v0), (s1, v1) = points[k], points[k + 1]
        volts.append(v0 + (v1 - v0) * (s - s0) / (s1 - s0))
    for a, b in pairwise(volts):
        energy.append(energy[-1] + (a + b) / 2 / _SCALE)
    return volts, [b - a for a, b in pairwise(volts)], energy


def _signed(word):
    return word - 0x10000 if word & 0x8000 else word


class Battery:
    """See the module's text."""

    def __init__(self, cells=16, capacity_ah=280.0, chemistry="lfp", soc=60.0, seed=1, temperature_c=20.0, offset_mv=None,
                 weak_percent=None, imbalance_percent=None, spread=1.0, settings=None, high_power=True):  # fmt: skip
        rand = random.Random(seed)
        ohm_ah, _, points = CHEMISTRY[chemistry]
        self.cells, self.chemistry, self.high_power = cells, chemistry, high_power
        self._volts, self._rise, self._energy = _table(points)
        self.true_capacity_ah, self._offset, self._ohm, self._x = [], [], [], []
        for n in range(1, cells + 1):
            spare = (imbalance_percent or {}).get(n, 0) / 100 + rand.gauss(0, 0.0002) * spread
            ah = capacity_ah * (1 - (weak_percent or {}).get(n, 0) / 100) * (1 + rand.gauss(0, 0.003) * spread)
            self.true_capacity_ah.append(ah)
            self._offset.append((offset_mv or {}).get(n, 0) / 1000 + rand.gauss(0, 0.0008) * spread)
            self._ohm.append(ohm_ah / capacity_ah * (1 + rand.gauss(0, 0.05) * spread))
            self._x.append((1 - (1 - soc / 100) * capacity_ah / ah + spare - _LO) * _SCALE)
        self._gain = [_SCALE / 3600 / ah for ah in self.true_capacity_ah]
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

    def set(self, register, word):
        """Change a setting (300-343), as the BMS does once it has checked it. 328 sets the SoC estimate, 323 is not kept."""
        if register == 328:
            self.soc, self.full = word * 0.002, word >= 50000
        elif register != 323:
            self.settings[register] = word
            self._configure()

    def _configure(self):
        s = self.settings
        self._full, self._empty, self._from, self._over, self._under = (s[r] / 1000 for r in (300, 301, 303, 315, 316))
        self._tail, self._capacity, self._spread = s[304] / 1000, s[306] / 100, s[308] / 1000
        self._discharge_a, self._charge_a, self._peak_a = s[317], s[318], s[305] or 1e9
        self._hot, self._cold = _signed(s[319]), _signed(s[320])
        self._delay, self._recovery = s[330] >> 8, s[332] & 0xFF
        self._idle = _IDLE_A[self.high_power]

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
            self._x = [min(max(x, 1.0), (_HI - _LO) * _SCALE - 1) for x in self._x]
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

    # Protections (tinybms_uart facts 9, 11)

    def _guard(self, amps, dt):
        high, low = self.cell_max_mv / 1000, self.cell_min_mv / 1000
        temps = [t for t, there in zip(self._sensors, self.ext_connected) if there]
        hot, cold = max(temps + [self.internal_c]), min(temps or [self.internal_c])
        self._over_s = self._over_s + dt if amps < -self._discharge_a else 0.0
        if amps < -self._discharge_a and (self._over_s > self._delay or amps < -self._peak_a):
            self.trip(0x05)
        if amps > self._charge_a and self.charger_on:
            self.trip(0x06)
        if amps > self._discharge_a and not self.charger_on:
            self.trip(0x07)
        if high > self._over:
            self.trip(0x03)
        if low < self._empty:
            self.trip(0x31)
            if low < self._under:
                self.trip(0x02)
        if hot >= self._hot:
            self.trip(0x04)
        if cold < self._cold and amps > self._idle:
            self.trip(0x37)
        if cold < -40:
            self.trip(0x0A)
        if self.active:
            self._recover(high, low, hot, cold)

    def _recover(self, high, low, hot, cold):
        recovered = {
            0x02: self.charger_on and low > self._under,  # never without a charger
            0x03: high < self._full, 0x04: hot < self._hot - 5, 0x05: True, 0x06: True, 0x07: True, 0x0A: cold > -38,
            0x31: low > self._empty + 0.05, 0x37: cold >= self._cold + 2,
        }  # fmt: skip
        for code, since in list(self.active.items()):
            waited = code == 0x02 or (self._recovery and self.time_s - since >= self._recovery)
            if waited and recovered.get(code):
                self.clear(code)

    def trip(self, code):
        """Raise the fault or warning `code` unless it is active: event, switches."""
        if code not in self.active:
            self.active[code] = self.time_s
            self.trips += code in CHARGE_STOPS or code in LOAD_STOPS
            self._event(code)
            self._switches()

    def clear(self, code):
        """End the fault or warning `code` with its event of recovery."""
        if self.active.pop(code, None) is not None and code in RECOVERED:
            self._event(RECOVERED[code])
        self._switches()

    def restart(self):
        """The BMS restarts: conditions end (those that persist are raised again), event 0x61."""
        self.active.clear()
        self._switches()
        self._session = self._was_on = False
        self._event(0x61)
        self._event(0x67 if self.settings[340] & 0xFF else 0x66)

    def _switches(self):
        self.charge_switch = CHARGE_STOPS.isdisjoint(self.active)
        self.load_switch = LOAD_STOPS.isdisjoint(self.active)

    def _event(self, code):
        self.events.append((self.time_s, code))
        if self.on_event:
            self.on_event(code)

    # Charging, balancing, status

    def _charge_end(self, amps, dt):
        if not self.charger_on or amps < -self._idle:
            self._tail_s, self._low_s = 0.0, self._low_s + dt
            self._session = self._session and self._low_s < 600
            return
        if amps > self._idle:
            self._low_s = 0.0
            if not self._session and not self.full:
                self._session, self._done = True, False
                self._event(0x62)
        high, low = self.cell_max_mv / 1000, self.cell_min_mv / 1000
        self._tail_s = self._tail_s + dt if amps < self._tail and high > self._full - 0.15 else 0.0
        if self.full or self._tail_s < 10:
            return
        if low >= self._full - self._spread and high - low <= self._spread and high <= self._full + 0.05:
            self.full, self.soc, self._done = True, 100.0, True
            self._event(0x63)
        elif self._session and not self._done and self._tail_s >= 300 and high - low <= self._spread:
            self._done = True
            self._event(0x38 if high > self._full else 0x39)

    def _balance(self, amps):
        need = 0
        top = self.cell_max_mv
        if self.charger_on and amps > -self._idle and top > self._from * 1000:
            line = max(self._from * 1000, self.cell_min_mv + self._spread * 1000)
            if top > line:
                need = sum(1 << n for n, mv in enumerate(self.cell_mv) if mv > line)
        self.balance_need = need
        self.balancing = need & (0x9249 << int(self.time_s / _ROTATE_S) % 3) if need else 0

    def _status(self, amps):
        if self.active:
            self.status = 0x9B
        elif amps < -self._idle:
            self.status = 0x93
        elif self.full and self.charger_on:
            self.status = 0x92
        elif amps > self._idle:
            self.status = 0x91 if self.charger_on else 0x96
        else:
            self.status = 0x97

    # Truth

    @property
    def true_soc(self):
        """Mean state of charge of the cells, %."""
        return 100 * sum(x / _SCALE + _LO for x in self._x) / self.cells

    def stored_wh(self):
        """Energy in the cells above a fixed level, Wh."""
        total = 0.0
        for x, ah, offset in zip(self._x, self.true_capacity_ah, self._offset):
            k = int(x)
            part = x - k
            below = self._energy[k] + (self._volts[k] + self._rise[k] * part / 2) * part / _SCALE
            total += ah * (below + offset * x / _SCALE)
        return total

    def reset_seen(self):
        """Start `cell_max_seen` and `cell_min_seen` (mV) anew."""
        self.cell_max_seen, self.cell_min_seen = self.cell_max_mv, self.cell_min_mv

    def truth(self):
        """What is really so, as a dict for JSON."""
        names = (
            "time_s", "cell_mv", "voltage_mv", "current_ma", "cell_max_mv", "cell_min_mv", "cell_max_seen",
            "cell_min_seen", "soc",
            "true_soc", "full", "status", "trips", "charge_switch", "load_switch", "balance_need", "balancing",
            "pack_c",
            "internal_c", "ext_c", "ambient_c", "energy_in_wh", "energy_out_wh", "charge_in_ah", "charge_out_ah",
            "loss_wh",
            "charger_on", "charger_a", "charger_v_mv", "charger_cvl_mv", "charger_ccl_ma", "load_dcl_ma",
            "charger_overshoot_mv_cell", "load_a", "regen_a",
        )  # fmt: skip
        return {name: getattr(self, name) for name in names} | {"active": sorted(self.active)}
