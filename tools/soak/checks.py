"""What must hold all the time, looked at with the simulated clock. Under MicroPython."""

import gc
import os
import re
from array import array

from firmware.history.energy import IN_WH, OUT_WH, UNIT

# where the gateway may say so: what was done to it
EXPECTED = (
    "bms: UART lost", "bms: .*TinyBMS lost", "bms: ", "mqtt: ", "app: restart", "can: cannot start", "energy: not saved",
    "alerts: ", "history: ", "config: ", "http: connection", "can: identity", "app: update mode", "bms_restart",
)  # fmt: skip
NEVER = ("task died", "a subscriber failed", "charge control", "Traceback", "out of memory", "heap is low", "MemoryError",
         "safe mode", "AttributeError", "TypeError", "IndexError", "KeyError", "NameError", "not started", "damaged")  # fmt: skip

# file: most bytes
BOUNDS = (
    ("history", 3_500_000), ("energy.", 2_048), ("alerts.", 2 * 416 * 40), ("config.json", 2 * 16_384), ("kept", 1_024),
    ("mqtt_discovery", 64),
)  # fmt: skip
_COUNTERS = (
    "polls", "good", "timeouts", "resends", "crc_errors", "nacks", "noise_bytes", "doubled", "implausible", "opened",
)  # fmt: skip


_HOURS = 1000  # a lane of 41 days
_REPLY_MS = 50  # a good reply so long after something says so, and has counted


class Checks:
    """`sim`: the Sim of driver.py. `errors`: texts of what did not hold, at most 40; `count`: how many there were."""

    def __init__(self, sim):
        self.sim = sim
        self.errors = []
        self.count = 0
        # Each hour, made at the start: a list of readings would grow by 2 KB a day itself
        self._hours = array("f", bytes(4 * _HOURS))
        self._sizes = array("I", bytes(4 * _HOURS))
        self._readings = 0
        self.frames = 0
        self.last_limits = None  # ms of the last 0x351
        self.gap_max = 0  # ms, while nothing is wrong
        self.gap_min = 1 << 30
        self.gaps = 0
        self.off_grid = 0  # gaps that are not 1 s +- 50 ms
        self.stale_frames = [0, 0]  # frames seen with CCL 0, DCL 0 because the data is old
        self.safe_late = 0  # ms that the limits stayed open after the row of DESIGN 5, at most
        self.expected_lines = {}
        self.loss = [0.0, 0.0]  # Wh that kills took, in and out
        self.worst_loss = 0.0
        self.sizes = {}
        self.counts = {}  # counters of the BMS over all runs

    def bad(self, text):
        self.count += 1
        if len(self.errors) < 40:
            self.errors.append("%.3f h: %s" % (self.sim.hours(), text))
            self.sim.say("! " + self.errors[-1])

    # -- CAN -----------------------------------------------------------------------------------------------------------

    def frame(self, can_id, data):
        """Each frame that gets out."""
        self.frames += 1
        sim = self.sim
        now = sim.waits.now
        ledger = sim.ledger
        age = now - ledger.good_at
        if age > 15_050:
            self.bad("frame %03x though the last good poll is %d ms old" % (can_id, age))
        if can_id in (0x355, 0x356, 0x373) and age > 5_050:
            self.bad("frame %03x shows data %d ms old" % (can_id, age))
        if can_id != 0x351:
            return
        cvl = (data[0] | data[1] << 8) * 100
        ccl = (data[2] | data[3] << 8) * 100
        dcl = (data[4] | data[5] << 8) * 100
        if age > 5_050 or now - ledger.settings_at > 601_000:
            self.stale_frames[0] += 1
            if ccl:
                self.bad("CCL %d mA, data %d ms old, settings %d ms" % (ccl, age, now - ledger.settings_at))
        if age > 10_050 or now - ledger.settings_at > 1_201_000:
            self.stale_frames[1] += 1
            if dcl:
                self.bad("DCL %d mA, data %d ms old" % (dcl, age))
        if not 40_000 <= cvl <= 60_000 or ccl > 100_000 or dcl > 150_000:
            self.bad("limits out of all bounds: CVL %d CCL %d DCL %d" % (cvl, ccl, dcl))
        pack = sim.pack
        # what the line has lost since the fault began the gateway cannot know, and one good poll after 5 s without is not enough
        # for it (DESIGN 5: the rows of old data hold)
        told = sim.app.live.qualified and ledger.good_at - sim.fault_at > _REPLY_MS
        if pack.fault and now - sim.fault_at > 3_000 and told:
            if pack.fault in (0x03, 0x06, 0x04) and ccl:
                self.bad("CCL %d mA in BMS fault %02x, told %d ms ago" % (ccl, pack.fault, now - ledger.good_at))
            if pack.fault in (0x02, 0x05, 0x04) and dcl:
                self.bad("DCL %d mA in BMS fault %02x, told %d ms ago" % (dcl, pack.fault, now - ledger.good_at))
        pack.cvl, pack.ccl, pack.dcl, pack.limits_at = cvl, ccl, dcl, now
        if self.last_limits is not None and sim.calm_since < self.last_limits:
            gap = now - self.last_limits
            self.gaps += 1
            self.gap_max = max(self.gap_max, gap)
            self.gap_min = min(self.gap_min, gap)
            self.off_grid += not 950 <= gap <= 1050
            if gap > 1200:
                self.bad("0x351 came after %d ms with nothing wrong" % gap)
        self.last_limits = now

    # -- log -----------------------------------------------------------------------------------------------------------

    def line(self, text):
        """Each line of the log."""
        level, _, rest = text.partition(" ")
        if rest.startswith(
            ("bms: register 3", "bms: registers 3")
        ):  # it knows that settings cannot be, however bad the line was
            self.sim.ledger.refused = True
        for word in NEVER:
            if word in rest and not self.sim.allows(rest):
                self.bad("log: " + text)
                return
        if level == "error":
            source = rest.partition(":")[0]
            self.expected_lines[source] = self.expected_lines.get(source, 0) + 1
            if not any(re.match(pattern, rest) for pattern in EXPECTED):
                self.bad("log: " + text)

    # -- now and then --------------------------------------------------------------------------------------------------

    def minute(self):
        """The tasks live, the counters agree."""
        app = self.sim.app
        for entry in app.tasks.entries:
            if entry.failed or (entry.task.done() and entry.name != "update mode") or (entry.waiting and entry.crashes):
                self.bad("task %s is dead: %s" % (entry.name, entry.failed))
        if not app.tasks.healthy():
            self.bad("the watchdog would not be fed")
        if app.bus.errors:
            self.bad("a subscriber failed: %r" % app.bus.last_error)
            app.bus.errors = 0
        sim = self.sim
        age = sim.waits.now - (self.last_limits or sim.waits.now)
        if sim.waits.now - sim.calm_since > 60_000 and age > 2_000:
            self.bad("no 0x351 for %d ms with nothing wrong: %s" % (age, app.bms.reason))
        c = app.bms.counters
        if c.polls < c.good:  # which of the others should have counted, ledger.py says
            self.bad("polls %d, good %d" % (c.polls, c.good))
        if app.live.polls != c.good:
            self.bad("live counts %d polls, the BMS part %d" % (app.live.polls, c.good))

    @property
    def allocated(self):
        """The last reading of the heap, in bytes."""
        return self._sizes[max(self._readings - 1, 0)]

    def heap(self):
        """[(simulated hours, bytes)], one an hour."""
        return list(zip(self._hours, self._sizes))[: self._readings]

    def hour(self):
        gc.collect()
        if self._readings < _HOURS:
            self._hours[self._readings] = self.sim.hours()
            self._sizes[self._readings] = gc.mem_alloc()
            self._readings += 1
        if "verbose" in self.sim.words:
            self.sim.say("%.1f h: heap %d, pipes %d, faults %s" %
                         (self.sim.hours(), self.allocated, len(self.sim.net.ends), self.sim.running))  # fmt: skip
        self.files()
        self.energy()

    def files(self):
        total = {}
        for path, size in walk(self.sim.data):
            name = path[len(self.sim.data) + 1 :]
            for start, most in BOUNDS:
                if name.startswith(start):
                    total[start] = total.get(start, 0) + size
                    if total[start] > most:
                        self.bad("files %s* have %d bytes" % (start, total[start]))
                    break
            else:
                if name not in ("mac",):
                    self.bad("unknown file %s, %d bytes" % (name, size))
        self.sizes = total

    def counted(self):
        """[in, out] Wh that the gateway has counted."""
        state = self.sim.app.energy.state
        return [state[at] + state[at + 1] / UNIT for at in (IN_WH, OUT_WH)]

    def energy(self):
        if not self.sim.app.energy:
            return
        truth = (self.sim.pack.wh_in, self.sim.pack.wh_out)
        for n in range(2):
            counted = self.counted()[n] + self.loss[n]
            if abs(counted - truth[n]) > 20 + 0.005 * truth[n]:
                self.bad(
                    "energy %d: %.1f Wh, %.1f of it lost by kills, truth %.1f" % (n, counted, self.loss[n], truth[n])
                )

    def add_counters(self):
        """Before a run ends."""
        c = self.sim.app.bms.counters
        for name in _COUNTERS:
            self.counts[name] = self.counts.get(name, 0) + getattr(c, name)


def walk(directory):
    for entry in os.ilistdir(directory):
        path = directory + "/" + entry[0]
        if entry[1] & 0x4000:
            yield from walk(path)
        else:
            yield path, os.stat(path)[6]
