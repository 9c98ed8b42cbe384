"""Charge control in a closed loop: firmware/can/charge.py under MicroPython steers the battery of the simulator, at any speed.

    with ChargeProcess() as process:
        loop = ClosedLoop(process, Battery(offset_mv={7: 60}))
        loop.run(hours=3)
        loop.cvl_mv, loop.state, loop.battery.soc, loop.worst

The plant: a charger that holds CVL + 25 mV a cell (what MPPTs do on DC-coupled solar), limited by CCL; a load limited by DCL; and
an inverter that feeds into the grid what stands more than 0.15 V above what the charger holds: it discharges the pack to reach a
CVL that is more than one step below it, `fed_ah` counts that.
"""

import json
import os
import struct
import subprocess
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
STATES = ("STARTING", "BULK", "ABSORPTION", "FLOAT", "STALE", "FAULT", "STOPPED")
STARTING, BULK, ABSORPTION, FLOAT, STALE, FAULT, STOPPED = range(7)
ABSENT = 0x3FFFFFFF
FIELDS = 79
CONFIG = {
    "charge.chemistry": "auto", "charge.absorption_mv": 0, "charge.float_mv": 0, "charge.rebulk_soc": 90,
    "charge.absorption_max_min": 60, "charge.tail_current_ma": 0, "charge.cvl_max_mv": 0, "charge.ccl_max_ma": 0,
    "charge.dcl_max_ma": 0, "charge.temperature_source": "auto",
}  # fmt: skip
# live field: (register, factor)
SETTINGS = {33: (300, 1), 34: (301, 1), 35: (303, 1), 36: (304, 1), 38: (306, 10), 39: (307, 1), 40: (308, 1), 41: (315, 1),
            42: (316, 1), 43: (317, 1000), 44: (318, 1000), 45: (319, 10), 46: (320, 10)}  # fmt: skip


def micropython():
    return os.environ.get("MICROPYTHON") or str(ROOT / ".venv" / "bin" / "micropython")


class ChargeProcess:
    """The module in a MicroPython process; `new` is a start of the gateway."""

    def __init__(self):
        command = [micropython(), str(ROOT / "tools" / "charge_driver.py")]
        self._process = subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, bufsize=0)
        self._in, self._out = self._process.stdin, self._process.stdout

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self._in.close()
        self._process.wait(5)
        self._out.close()

    def _ask(self, command, a=0, b=0, payload=b""):
        self._in.write(struct.pack("<4i", command, a, b, len(payload)) + payload)

    def _take(self, count):
        data = b""
        while len(data) < count:
            more = self._out.read(count - len(data))
            if not more:
                raise RuntimeError("the charge process has ended")
            data += more
        return data

    def new(self, **config):
        """Start anew; `config` without "charge."."""
        values = CONFIG | {"charge." + key: value for key, value in config.items()}
        self._ask(2, payload=json.dumps(values).encode())

    def update(self, data, dt_ms, good=True, settings=True):
        """(CVL mV, CCL mA, DCL mA, state, alerts, ready, cells x float mV) after an update with `data` (FIELDS ints)."""
        self._ask(1, dt_ms, good + 2 * settings, struct.pack("<%di" % FIELDS, *data))
        return struct.unpack("<7i", self._take(28))

    def reasons(self):
        """[cvl, ccl, dcl] texts."""
        self._ask(3)
        return json.loads(self._take(struct.unpack("<i", self._take(4))[0]))

    def heap(self, updates, ms=1000):
        """Bytes that so many updates allocate."""
        self._ask(4, updates, ms)
        return struct.unpack("<i", self._take(4))[0]


def snapshot(battery):
    """live.data as the poller would fill it from `battery` (a tinybms_sim Battery)."""
    data = [ABSENT] * FIELDS
    cells = [int(mv) for mv in battery.cell_mv]
    data[0], data[1] = sum(cells), int(battery.current_ma)
    data[2] = int(battery.soc * 100)
    data[4] = round(battery.internal_c * 10)
    for i, t in enumerate(battery.ext_c):
        if t is not None:
            data[5 + i] = round(t * 10)
    data[7] = battery.status
    data[8], data[9] = min(cells), max(cells)
    data[10], data[11] = cells.index(data[8]) + 1, cells.index(data[9]) + 1
    data[12] = battery.cells
    data[17 : 17 + len(cells)] = cells
    for field, (register, factor) in SETTINGS.items():
        word = battery.settings[register]
        data[field] = (word - 0x10000 if word >= 0x8000 else word) * factor
    data[72] = sum(1 << code for code in battery.active if code < 0x30)
    data[73] = sum(1 << code - 0x30 for code in battery.active if code >= 0x30)
    return data


class ClosedLoop:
    """`trace` keeps a row each `every` seconds for plots. Limits act on charger and load one step later."""

    def __init__(self, process, battery, charger_a=80.0, load=lambda t: 0.0, overshoot=25, every=60, **config):
        self.process, self.battery, self.load, self.config = process, battery, load, config
        battery.charger_on, battery.charger_a, battery.charger_overshoot_mv_cell = True, charger_a, overshoot
        self.overshoot = overshoot
        self.feed_a = 20.0
        self.fed_ah = 0.0
        self.every, self.trace = every, []
        self.cvl_changes = []  # (time, CVL, state) at each change
        self.restart()

    def restart(self):
        """The gateway restarts: the GX keeps the last limits for the second that it takes."""
        self.process.new(**self.config)
        self._was = None
        self._update(1000)

    def _update(self, dt_ms):
        result = self.process.update(snapshot(self.battery), dt_ms)
        self.cvl_mv, self.ccl_ma, self.dcl_ma, self.state, self.alerts, ready, self.float_cvl_mv = result
        assert ready
        if (self.cvl_mv, self.state) != self._was:
            self._was = (self.cvl_mv, self.state)
            self.cvl_changes.append((self.battery.time_s, self.cvl_mv, self.state))

    def step(self, dt=1.0):
        battery = self.battery
        load = self.load(battery.time_s)
        above = battery.voltage_mv - self.cvl_mv - battery.cells * self.overshoot - 150
        fed = self.feed_a if above > 0 and battery.load_switch else 0.0
        self.fed_ah += fed * dt / 3600
        battery.load_a = load + fed
        battery.charger_cvl_mv, battery.charger_ccl_ma, battery.load_dcl_ma = self.cvl_mv, self.ccl_ma, self.dcl_ma
        battery.step(dt)
        self._update(round(dt * 1000))
        if self.every and (not self.trace or battery.time_s - self.trace[-1][0] >= self.every):
            self.trace.append(
                (battery.time_s, battery.voltage_mv, battery.current_ma, battery.cell_max_mv, battery.cell_min_mv, self.cvl_mv,
                 self.ccl_ma, self.dcl_ma, self.state, battery.soc, battery.ext_c[0])
            )  # fmt: skip

    def run(self, hours, until=None, check=None):
        """Run so long, or until `until(self)`; True when it came. Steps of 1 s where cells move fast, else 5 s."""
        end = self.battery.time_s + hours * 3600
        b = self.battery
        full, empty = b.settings[300], b.settings[301]
        while b.time_s < end:
            fast = b.cell_max_mv > full - 150 and self.state != FLOAT or b.cell_min_mv < empty + 150
            self.step(1.0 if fast else 5.0)
            if check:
                check(self)
            if until and until(self):
                return True
        return until is None

    @property
    def margin(self):
        """(mV between the highest cell ever and 315, mV between the lowest ever and 316)."""
        b = self.battery
        return b.settings[315] - b.cell_max_seen, b.cell_min_seen - b.settings[316]
