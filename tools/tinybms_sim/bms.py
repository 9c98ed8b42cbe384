"""A TinyBMS around a battery: register map, event ring, statistics, restart (tinybms_uart facts 7-11). No I/O, no
clock."""

import random

from tools.tinybms_sim import registers
from tools.tinybms_sim.chemistry import default_settings

RING = 49  # events kept
_NEWEST = 10  # how many 0x11 gives; what "newest" means is open (facts 18)
_COUNTERS = {0x02: 105, 0x03: 106, 0x05: 107, 0x06: 108, 0x07: 108, 0x04: 109, 0x62: 111, 0x63: 112}
_SOFTWARE, _WAKE_CHARGER, _WAKE_LOAD, _WAKE_UART = 4, 0, 2, 3


class TinyBms:
    """`words` {register: word} is served instead of the model where given (a register dump); settings stay writable."""

    def __init__(self, battery, words=None, firmware=registers.FIRMWARE_D, lifetime=12_000_000, soh=98.0, seed=1):
        self.battery, self.words = battery, words
        self.firmware = firmware if words is None else words.get(502, 0)
        self.base_s, self.soh = lifetime, round(soh * 500)
        self.overrides = {}  # register: word, wins over everything until it is taken away
        self.ring, self._next = [None] * RING, 0
        self.newest_first = False  # order of 0x11 and 0x12
        self.restart_asked = False  # the line goes silent, then calls `restarted`
        self.restarts = 0
        self._wake, self._cause = _WAKE_UART, 5
        rand = random.Random(seed)
        self._version = [0x0102, 0x0201 | battery.high_power << 8, self.firmware, 0x0418]
        self._version += [rand.randrange(0x10000) for _ in range(6)]
        self._live = None
        self._clear_statistics()
        battery.on_event = self.add_event
        self.add_event(0x61)

    @property
    def lifetime(self):
        """Lifetime counter, s (32 bits)."""
        return int(self.base_s + self.battery.time_s) & 0xFFFFFFFF

    # Registers

    def refresh(self):
        """The live registers are rendered anew at the next use: call it when the battery may have changed."""
        self._live = None

    def word(self, address):
        """The word at `address`; what is reserved reads 0."""
        if address in self.overrides:
            return self.overrides[address]
        if self.words is not None:
            return self.words.get(address, 0)
        if address < 56:
            if self._live is None:
                self._live = registers.live(self.battery, self.lifetime, self.soh, self.firmware)
            return self._live[address]
        if 100 <= address < 118:
            return self._statistic(address)
        if 200 <= address < 298:
            return self._event_word(address - 200)
        if 300 <= address < 344:
            if self.firmware < registers.FIRMWARE_D and address in registers.SINCE_D:
                return 0
            return self.battery.settings[address]
        return self._version[address - 500] if 500 <= address < 510 else 0

    def block(self, address, count):
        """`count` words from `address`."""
        return [self.word(address + n) for n in range(count)]

    def write(self, pairs):
        """Write [(register, word)] if all of it is allowed; False (the NACK) if not, and nothing is written."""
        changes = dict(pairs)
        if not changes or not registers.allowed(changes, self.word, self.firmware):
            return False
        for address, word in changes.items():
            self._take(address, word)
        return True

    def _take(self, address, word):
        if address > 343 or (address not in registers.RANGES and address not in (312, 313, 330)):
            return  # reserved
        if self.firmware < registers.FIRMWARE_D and address in registers.SINCE_D:
            return
        if address == 340 and word & 0xFF != self.word(340) & 0xFF:
            self.restart_asked = True
        if self.words is not None:
            self.words[address] = registers.CONSUMED if address in (323, 328) else word
            return
        if address == 323:
            self.soh = word
        self.battery.set(address, word)

    def limits(self, option, count):
        """`count` words of 0x1D from register 300."""
        battery = self.battery
        defaults = default_settings(battery.chemistry, battery.cells)
        return registers.limits(option, defaults, self.word)[:count]

    def command(self, option):
        """0x02: 1 clears the events, 2 the statistics, 5 restarts."""
        if option == 1:
            self.ring, self._next = [None] * RING, 0
            if self.words is not None:
                self.words.update(dict.fromkeys(range(200, 298), 0))
        elif option == 2:
            self._clear_statistics()
            if self.words is not None:
                self.words.update(dict.fromkeys(range(100, 114), 0) | {116: self.word(32), 117: self.word(33)})
        elif option == 5:
            self.restart_asked = True
        return option in (1, 2, 5)

    def restarted(self):
        """The restart that was asked for is over."""
        self.restart_asked = False
        self.restarts += 1
        self._cause = _SOFTWARE
        self.battery.restart()

    # Events

    def add_event(self, code):
        """Log an event now. Stamps have 24 bits and wrap after 194 days."""
        self.ring[self._next] = self.lifetime & 0xFFFFFF, code
        self._next = (self._next + 1) % RING
        if code in _COUNTERS:
            self._counts[_COUNTERS[code]] += 1
        if code == 0x64:
            self._wake = _WAKE_CHARGER

    def _event_word(self, at):
        entry = self.ring[at // 2]
        if entry is None:
            return 0
        stamp, code = entry
        return stamp >> 16 | code << 8 if at % 2 else stamp & 0xFFFF

    def event_list(self, newest=False):
        """[(stamp, id)] oldest first, all or the newest ten."""
        events = self.ring[self._next :] + self.ring[: self._next]
        if self.words is not None:
            raw = [(self.word(200 + 2 * k), self.word(201 + 2 * k)) for k in range(RING)]
            events = [(low | (high & 0xFF) << 16, high >> 8) for low, high in raw]
        events = [event for event in events if event and event[1]]
        if newest:
            events = events[-_NEWEST:]
        return events[::-1] if self.newest_first else events

    # Statistics

    def _clear_statistics(self):
        self._counts = dict.fromkeys(_COUNTERS.values(), 0)
        self._peak_out = self._peak_in = 0.0
        self._coldest = self._hottest = round(self.battery.pack_c)
        self._cleared_s = self.lifetime

    def measure(self):
        """Keep the peaks; call it after each step of the battery."""
        amps = self.battery.current_ma / 1000
        self._peak_in = max(self._peak_in, amps)
        self._peak_out = max(self._peak_out, -amps)
        temperatures = [t for t in self.battery.ext_c if t is not None] or [self.battery.internal_c]
        self._coldest = min(self._coldest, round(min(temperatures)))
        self._hottest = max(self._hottest, round(max(temperatures)))

    def _statistic(self, address):
        if address in self._counts:
            return self._counts[address] & 0xFFFF
        battery = self.battery
        return {
            102: min(round(self._peak_out * 10), 0xFFFF), 103: min(round(self._peak_in * 10), 0xFFFF),
            # the present spread, not the largest, as seen on a real unit (facts 16, line 28)
            104: min(round(battery.cell_max_mv - battery.cell_min_mv) * 10, 0xFFFF),
            113: self._coldest & 0xFF | (self._hottest & 0xFF) << 8, 114: self._cause | self._wake << 8,
            116: self._cleared_s & 0xFFFF, 117: self._cleared_s >> 16,
        }.get(address, 0)  # fmt: skip

    # Sleep

    def may_sleep(self):
        """Whether charger, balancing and current let it sleep (facts 6; 10 s without UART traffic come on top)."""
        battery = self.battery
        idle = abs(battery.current_ma) <= (800 if battery.high_power else 80)
        return idle and not battery.charger_on and not battery.balancing and not battery.active.keys() & {5, 6, 7}

    def woken(self, uart):
        self._wake = _WAKE_UART if uart else _WAKE_CHARGER if self.battery.charger_on else _WAKE_LOAD
