"""What the tests of history and energy share: a battery in the snapshot, polls at chosen times, littlefs that loses power."""

from firmware import bus as topics
from firmware import live as field
from firmware.bus import Bus
from firmware.history.energy import Energy
from firmware.history.history import History
from firmware.live import Live
from tests.unit.help import FakeClock, FakeConfig, FakeLog

EPOCH = 1_700_000_000_000  # 2023-11-14T22:13:20Z


class Rig:
    """History and energy over a snapshot that the test fills, with a clock that it moves."""

    def __init__(self, directory, interval_ms=1000, utc_offset_min=0, clock=None):
        self.clock = clock or FakeClock(epoch=EPOCH)
        self.live = Live(self.clock)
        self.bus = Bus()
        self.log = FakeLog()
        self.config = FakeConfig({"history.interval_ms": interval_ms, "time.utc_offset_min": utc_offset_min})
        self.directory = directory
        self.history = History(self.live, self.bus, self.clock, self.config, self.log, directory)
        self.energy = Energy(self.live, self.bus, self.clock, self.config, self.log, directory)
        self.history.tick()
        self.energy.tick()
        self.battery(52_130, -11_420)

    def battery(self, voltage, current, soc=7850, temperature=246):
        data = self.live.data
        data[field.VOLTAGE] = voltage
        data[field.CURRENT] = current
        data[field.SOC] = soc
        data[field.SOH] = 9780
        data[field.TEMP_EXT1] = temperature
        data[field.CELL_MIN] = voltage // 16 - 5
        data[field.CELL_MAX] = voltage // 16 + 7

    def poll(self, ms=0):
        """Let `ms` pass, then a good poll."""
        self.clock.advance(ms)
        self.live.good_poll()
        self.bus.publish(topics.POLL)
        assert self.bus.last_error is None, repr(self.bus.last_error)

    def polls(self, count, ms=1000):
        for _ in range(count):
            self.poll(ms)

    def minutes(self, count, step_ms=1000):
        """Polls each `step_ms` (1000, 5000 or 10000), and the tasks as they run."""
        for i in range(60_000 // step_ms * count):
            self.poll(step_ms)
            if i * step_ms % 5_000 == 5_000 - min(step_ms, 5_000):
                self.history.tick()
            if i * step_ms % 10_000 == 10_000 - step_ms:
                self.energy.tick()
