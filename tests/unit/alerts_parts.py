"""An `Alerts` on a battery and a bus that the test moves, for the unit tests of firmware/alerts."""

from firmware import live as L
from firmware.alerts.alerts import Alerts
from firmware.bms.events import Events
from firmware.bms.requests import request
from firmware.bus import ALERT, EVENT, LINK, POLL, STATUS, Bus
from firmware.config import rules
from firmware.live import Live
from tests.unit.help import FakeClock, FakeConfig, FakeLog, new_directory


class _Thing:
    pass


def directory():
    return new_directory("alerts")


class Bench:
    """`alerts` with all it needs. `restart()` makes a new one on the same log. `told`: ids published, `triggered`: EVENT data."""

    def __init__(self, path=None, connected=True, time_valid=True, **config):
        self.path = path or directory()
        self.config = FakeConfig(rules.defaults(b"\x02\0\0\0\0\0"))
        for name, value in config.items():
            self.config.values["alerts." + name] = value
        self.clock = FakeClock()
        self.clock.time_valid = time_valid
        self.logger = FakeLog()
        self.restart(connected)

    def restart(self, connected=True):
        self.live = Live(self.clock)
        self.bus = Bus()
        self.events = Events()
        self.can = can = _Thing()
        can.driver, can.presence, can.charge, can.schedule = _Thing(), _Thing(), _Thing(), _Thing()
        can.driver.state = "RUNNING"
        can.presence.present, can.presence.ever = False, False
        can.charge.alerts = 0
        can.schedule.fault = ""
        self.told, self.triggered = [], []
        self.alerts = Alerts(self.live, self.bus, self.clock, self.config, self.events, can, self.logger, self.path)
        self.bus.subscribe(ALERT, lambda topic, payload: self.told.append(payload[0]))
        self.bus.subscribe(EVENT, lambda topic, payload: self.triggered.append(payload[1]))
        self.normal()
        if connected:
            self.live.qualified = True
            self.run(0)

    def normal(self):
        data = self.live.data
        for field, value in (
            (L.VOLTAGE, 52_800),
            (L.CURRENT, 0),
            (L.SOC, 5000),
            (L.TEMP_INT, 250),
            (L.TEMP_EXT1, 220),
            (L.TEMP_EXT2, 230),
            (L.STATUS, L.IDLE),
            (L.CELL_MIN, 3290),
            (L.CELL_MAX, 3310),
            (L.CELL_MIN_AT, 5),
            (L.CELL_MAX_AT, 9),
            (L.CELL_COUNT, 16),
        ):
            data[field] = value

    def poll(self):
        self.live.good_poll()
        self.bus.publish(POLL)

    def run(self, seconds, step_ms=1000, polls=True):
        """Let time pass with polls and passes of the alerts; one pass for 0 s."""
        steps = seconds * 1000 // step_ms
        for _ in range(steps or 1):
            if seconds:
                self.clock.advance(step_ms)
            if polls:
                self.poll()
            self.alerts.work()

    def lost(self):
        """No polls for 6 s."""
        self.clock.advance(6000)
        self.live.qualified = False
        self.bus.publish(LINK, False)
        self.alerts.work()

    def status(self, code):
        self.live.data[L.STATUS] = code
        self.bus.publish(STATUS, code)
        self.alerts.work()

    def bms_events(self, base, entries):
        """A reply to 0x12 with [(stamp, id)]."""
        data = [base >> n & 0xFF for n in (0, 8, 16, 24)]
        for stamp, code in entries:
            data += [stamp & 0xFF, stamp >> 8 & 0xFF, stamp >> 16 & 0xFF, code]
        frame = bytes(request(0x12, len(data), *data))
        self.events.update(frame, len(frame))
        self.live.data[L.FAULTS] = self.events.faults
        self.live.data[L.WARNINGS] = self.events.warnings
        for _ in range(20):
            self.live.good_poll()
            self.alerts.work()

    def active(self):
        """Types of the active alerts."""
        return sorted(self.alerts.active)

    def history(self):
        """[(type, status)] of the log, newest first."""
        return [(alert.kind, alert.status) for alert in self.entries()]

    def entries(self):
        """The alerts of the log, newest first."""
        alerts = self.alerts
        found = []
        end = alerts.log.count
        while end > 0:
            found += alerts.page(end, 8)
            end -= 8
        return found

    def message(self, kind):
        return self.alerts.texts().message(self.alerts.active[kind])
