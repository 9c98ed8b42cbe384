"""What the BMS does with what it measures: protections, end of charge, balancing, status. Pure, part of `Battery`."""

_ROTATE_S = 10.0  # every third cell is balanced at a time, the next third after so long
_IDLE_A = {True: 0.8, False: 0.08}  # high power, low power: below it the pack rests (tinybms_uart facts 10)
CHARGE_STOPS = {0x03, 0x04, 0x06, 0x07, 0x0A, 0x0B, 0x0D, 0x0E, 0x0F, 0x37}  # these open the charger switch
LOAD_STOPS = {0x02, 0x04, 0x05, 0x0A, 0x0C, 0x0D, 0x0E, 0x0F, 0x31}  # these open the load switch
RECOVERED = {0x02: 0x7B, 0x03: 0x79, 0x04: 0x73, 0x05: 0x77, 0x06: 0x76, 0x07: 0x78, 0x0A: 0x75, 0x31: 0x7A, 0x37: 0x74}


def _signed(word):
    return word - 0x10000 if word & 0x8000 else word


class Guard:
    """Mixed into `Battery`, whose fields it reads and writes."""

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
