"""Periods, start, and each row of DESIGN 5 that concerns CAN: fake clock, fake driver, a stand-in for ChargeControl."""

import struct
import sys

from firmware import bus as B
from firmware import lazy
from firmware import live as L
from firmware.can import can as C
from firmware.can.charge import BULK
from firmware.can.currents import Limit
from firmware.can import frames as F
from tests.unit.help import FakeClock, FakeConfig, FakeLog

CORE = (0x351, 0x355, 0x356, 0x35A)
CONFIG = {
    "can.manufacturer": "",
    "can.battery_name": "",
    "can.battery_family": "",
    "can.serial_number": "",
    "can.enabled": True,
    "can.speed": 500000,
    "can.tx_pin": 5,
    "can.rx_pin": 4,
    "can.protocol": "VICTRON",
}


class Driver:
    def __init__(self, clock):
        self.clock = clock
        self.frames = []  # (ms since start, id, data)
        self.state = "RUNNING"
        self.sent = self.received = self.errors = 0
        self.last_error = ""
        self.accept = True

    def send(self, can_id, data):
        if self.accept:
            self.sent += 1
            self.frames.append((self.clock.uptime_ms(), can_id, bytes(data)))
        return self.accept

    def poll(self):
        pass


class Charge:
    """The limits of the first issue: cells x min(300, 315 - 50 mV), 90 % of the trip limits."""

    def __init__(self, live):
        self.live = live
        self.ready = False
        self.state = BULK
        self.cvl = Limit()
        self.currents = self
        self.ccl = self.dcl = self.cvl
        self.cvl_mv = self.ccl_ma = self.dcl_ma = self.float_cvl_mv = 0
        self.forbid_charge = False
        self.fail = False
        self.configured = 0

    def configure(self):
        self.configured += 1

    def update(self):
        if self.fail:
            raise ValueError("broken")
        data = self.live.data
        if not self.live.qualified:
            return
        self.ready = True
        cells = data[L.SET_CELLS]
        self.cvl_mv = cells * min(data[L.SET_FULL], data[L.SET_OV] - 50)
        self.float_cvl_mv = cells * 3375
        self.ccl_ma = 0 if self.forbid_charge else min(data[L.SET_CHARGE_OC], data[L.SET_DISCHARGE_OC]) * 9 // 10
        self.dcl_ma = data[L.SET_DISCHARGE_OC] * 9 // 10


class World:
    """A gateway whose BMS answers each 250 ms while `polling`, and whose loop or timer ticks each 5 ms."""

    def __init__(self):
        self.clock = FakeClock()
        self.live = L.Live(self.clock)
        self.bus = B.Bus()
        self.driver = Driver(self.clock)
        self.charge = Charge(self.live)
        self.log = FakeLog()
        self.can = C.Can(self.driver, self.live, self.bus, self.clock, FakeConfig(dict(CONFIG)), self.charge, self.log)
        self.schedule = self.can.schedule
        self.schedule.running = True  # the driver has started
        self.polling = False
        self.hung = False
        self.reread = True  # settings, each 60 s
        self.next_poll = 0
        self.next_settings = 0
        self.step = 5
        data = self.live.data
        for field, value in (
            (L.VOLTAGE, 53_000),
            (L.CURRENT, -1_500),
            (L.SOC, 5_050),
            (L.TEMP_INT, 250),
            (L.STATUS, L.DISCHARGING),
            (L.CELL_MIN, 3_300),
            (L.CELL_MAX, 3_320),
            (L.CELL_MIN_AT, 3),
            (L.CELL_MAX_AT, 9),
            (L.CELL_COUNT, 16),
            (L.SET_FULL, 3_600),
            (L.SET_EMPTY, 2_900),
            (L.SET_CAPACITY, 100_000),
            (L.SET_CELLS, 16),
            (L.SET_DISBALANCE, 15),
            (L.SET_OV, 3_700),
            (L.SET_UV, 2_700),
            (L.SET_DISCHARGE_OC, 100_000),
            (L.SET_CHARGE_OC, 60_000),
            (L.SET_HOT, 600),
            (L.SET_COLD, 10),
            (L.FIRMWARE, 254),
            (L.HARDWARE, 0x0102),
            (L.ENERGY_IN, 1000),
            (L.ENERGY_OUT, 1000),
        ):
            data[field] = value
        for i in range(6):
            data[L.SERIAL + i] = 0x4142

    def connect(self):
        self.polling = True
        self.live.settings_read()
        self.next_settings = self.clock.uptime_ms() + 60_000
        self.live.qualified = True
        self.next_poll = self.clock.uptime_ms()

    def run(self, ms):
        end = self.clock.uptime_ms() + ms
        while self.clock.uptime_ms() < end:
            now = self.clock.uptime_ms()
            if self.polling and now >= self.next_poll:
                self.next_poll = now + 250
                self.live.good_poll()
                self.bus.publish(B.POLL)
            if self.polling and self.reread and now >= self.next_settings:
                self.next_settings = now + 60_000
                self.live.settings_read()
            if self.hung:
                self.schedule.tick(None)
            else:
                self.can.work()
            self.clock.advance(self.step)

    def take(self):
        frames, self.driver.frames = self.driver.frames, []
        return frames

    def ids(self):
        return {can_id for _, can_id, _ in self.take()}


def connected(ms=1000):
    world = World()
    world.connect()
    world.run(ms)
    return world


def times(frames, can_id):
    return [t for t, i, _ in frames if i == can_id]


def last(frames, can_id):
    return [data for _, i, data in frames if i == can_id][-1]


def limits(frames):
    return struct.unpack("<HHH", last(frames, 0x351)[:6])


def alarm(frames, byte, pair):
    return last(frames, 0x35A)[byte] >> pair & 3


def test_no_frame_before_qualified():
    world = World()
    world.run(3000)
    world.live.good_poll()  # good, but not qualified
    world.bus.publish(B.POLL)
    world.run(3000)
    assert world.driver.frames == [] and world.can.limits()["state"] == "STARTING"


def test_start_sends_everything_once():
    world = connected(300)
    frames = world.take()
    assert tuple(can_id for _, can_id, _ in frames) == tuple(F.IDS)
    assert frames[0][0] == 0  # at once, inside the poll
    assert frames[3][0] == 0  # the core four go together: the rest of the gateway is imported next
    gaps = [b[0] - a[0] for a, b in zip(frames[3:], frames[4:])]
    assert min(gaps) >= 5 and max(gaps) <= 10, gaps
    world.run(1_000)
    frames = world.take()
    assert [b[0] - a[0] for a, b in zip(frames, frames[1:])] == [5, 5, 5]
    assert limits(frames) == (576, 540, 900)


def test_periods():
    world = connected(31_000)
    frames = world.take()
    for can_id in CORE:
        t = times(frames, can_id)
        assert len(t) == 31 and all(995 <= b - a <= 1020 for a, b in zip(t, t[1:])), (hex(can_id), t)
    for can_id in F.IDS[4:]:
        t = times(frames, can_id)
        assert len(t) == 4 and all(9_990 <= b - a <= 10_020 for a, b in zip(t, t[1:])), (hex(can_id), t)


def test_grid_does_not_drift():
    """Odd ticks over the wrap of the clock (20 s after start): the second stays the second."""
    world = World()
    world.step = 7
    world.connect()
    world.run(60_000)
    t = times(world.take(), 0x351)
    assert len(t) == 60
    for i, at in enumerate(t):
        assert 0 <= at - 1000 * i <= 14, (i, at)


def test_late_loop_does_not_send_twice():
    world = connected(2500)
    world.take()
    world.polling = False
    world.clock.advance(2_700)  # everything stood still
    world.polling = True
    world.run(3000)
    t = times(world.take(), 0x351)
    assert all(b - a >= 990 for a, b in zip(t, t[1:])) and len(t) == 3, t


def test_nothing_foreign_is_sent():
    world = connected(25_000)
    assert not world.ids() & {0x305, 0x306, 0x307}


def test_stale_rows():
    world = connected(3000)
    world.take()
    world.polling = False
    lost = world.clock.uptime_ms() - 250
    world.run(4_600)
    frames = world.take()
    assert limits(frames)[1:] == (540, 900) and world.schedule.fault == ""
    world.run(5_000)  # 5 s and older: no charging, CVL at float, alarm, old figures stop
    frames = [f for f in world.take() if f[0] - lost >= 6_100]
    old = {0x355, 0x356, 0x373, 0x374, 0x375, 0x376, 0x377, 0x378, 0x379}
    assert frames and not {f[1] for f in frames} & old, frames
    assert limits(frames) == (540, 0, 900)
    assert alarm(frames, 2, 6) == 1 and alarm(frames, 0, 0) == 1 and alarm(frames, 7, 2) == 0
    assert world.schedule.fault == "STALE" and world.can.limits()["state"] == "STALE"
    world.run(4_000)  # 10 s: no discharging either
    frames = [f for f in world.take() if f[0] - lost >= 11_100]
    assert limits(frames) == (540, 0, 0)
    world.run(2_000)
    seen = world.take()
    world.run(60_000)
    assert world.take() == [] and seen and seen[-1][0] - lost < 15_000
    assert world.live.get(L.CVL) is None and world.can.limits()["cvl_mv"] is None
    assert world.can.limits()["state"] == "STOPPED"


def test_stale_slow_frames_are_those_that_do_not_age():
    world = connected(4_900)
    world.take()
    world.polling = False
    world.run(14_500)  # the slow frames of second 10 fall into the stale time
    late = {f[1] for f in world.take() if f[0] >= 10_000}
    assert late == {0x351, 0x35A, 0x35E, 0x35F, 0x370, 0x371, 0x372, 0x380, 0x381, 0x382}, late


def test_stale_never_raises_cvl():
    world = connected(3000)
    world.live.data[L.SET_FULL] = 3_300  # CVL below float
    world.run(2000)
    world.polling = False
    world.take()
    world.run(8_000)
    assert limits(world.take())[0] == 528


def test_back_after_silence():
    world = connected(3000)
    world.polling = False
    world.live.qualified = False
    world.run(20_000)
    world.take()
    world.polling = True
    world.next_poll = world.clock.uptime_ms()
    world.run(1_000)  # polls, but not qualified
    assert world.take() == []
    world.live.qualified = True
    world.run(550)
    assert tuple(f[1] for f in world.take()) == tuple(F.IDS)


def test_back_from_stale():
    world = connected(3000)
    world.polling = False
    world.live.qualified = False
    world.run(7_000)
    world.take()
    world.connect()
    world.run(2_000)
    frames = world.take()
    assert {f[1] for f in frames} == set(F.IDS)
    assert limits(frames) == (576, 540, 900) and alarm(frames, 2, 6) == 2 and alarm(frames, 7, 2) == 2


def test_what_waits_does_not_go_out_old():
    """The second begins just before the data is stale, and its frames wait for their turn until after."""
    world = connected(6_000)
    world.polling = False
    live = world.live
    while live.steering_age_ms() < 4_900:
        world.run(5)
    schedule = world.schedule
    schedule._due = world.clock.ticks_add(world.clock.ticks_ms(), 95)
    schedule._slow_in = 0  # all frames
    world.run(90)
    world.take()
    while schedule.wait_ms() > 6 or not schedule._pending:
        world.run(5)
    world.run(200)
    sent = [(at, can_id) for at, can_id, _ in world.take()]
    old = [one for one in sent if one[0] - (world.clock.uptime_ms() - live.steering_age_ms()) >= 5_000]
    assert 0x351 in {can_id for _, can_id in sent} and len(old) > 5, sent
    assert not {can_id for _, can_id in old} & {0x355, 0x356, 0x373}, old
    assert schedule.stale


def test_hung_loop():
    """Only the timer ticks: the rows come all the same."""
    world = connected(3000)
    world.take()
    world.polling = False
    world.hung = True
    world.run(9_000)
    assert limits(world.take()) == (540, 0, 900)
    world.run(4_000)
    assert limits(world.take()) == (540, 0, 0)
    world.run(30_000)
    world.take()
    world.run(5_000)
    assert world.take() == [] and world.live.get(L.CVL) is None


def test_hung_for_days():
    """Old stays old, whatever ticks_diff says after 6 days."""
    world = connected(3000)
    world.take()
    world.polling = False
    world.run(16_000)
    world.take()
    for _ in range(20):
        world.clock.advance(86_000_000)
        world.schedule.tick()
    assert world.take() == []


def test_old_settings():
    world = connected(2000)
    world.reread = False
    world.step = 50
    world.run(595_000)
    assert limits(world.take())[1:] == (540, 900)
    world.run(10_000)
    frames = world.take()
    assert limits(frames) == (576, 0, 900) and world.schedule.fault == "SETTINGS"
    assert alarm(frames, 6, 6) == 1 and alarm(frames, 2, 6) == 2  # a warning, not an alarm
    world.run(600_000)
    assert limits(world.take()) == (576, 0, 0)
    world.live.settings_read()
    world.run(1_000)
    assert limits(world.take()) == (576, 540, 900) and world.schedule.fault == ""


def test_broken_charge_control_ages_like_data():
    world = connected(2000)
    world.charge.fail = True
    world.run(8_000)
    assert limits(world.take()) == (540, 0, 900) and world.schedule.fault == "CHARGE"
    assert len(world.log.lines) == 1
    world.run(8_500)
    world.take()
    world.run(5_000)
    assert world.take() == []
    world.charge.fail = False
    world.run(1_000)
    assert limits(world.take()) == (576, 540, 900)


def test_forbidden_current_goes_out_at_once():
    world = connected(2_400)
    world.take()
    world.charge.forbid_charge = True
    world.run(300)
    frames = world.take()
    assert times(frames, 0x351) and limits(frames) == (576, 0, 900)
    world.run(3_000)  # and the second goes on as before
    t = times(world.take(), 0x351)
    assert [at % 1000 for at in t] == [0] * 3, t


def test_limits_published_as_sent():
    world = World()
    seen = []
    world.bus.subscribe(B.LIMITS, lambda topic, payload: seen.append(world.live.get(L.CCL)))
    world.connect()
    world.run(3_000)
    assert seen == [54_000] and world.live.get(L.CVL) == 57_600 and world.live.get(L.DCL) == 90_000
    world.driver.state = "NO_ACK"  # taken, but nobody hears it
    world.run(1_500)
    assert seen[-1] is None
    world.driver.state = "RUNNING"
    world.driver.accept = False
    world.run(3_000)
    assert len(seen) == 2
    world.driver.accept = True
    world.run(1_500)
    assert seen[-1] == 54_000


def test_frames_published():
    world = World()
    got = []
    world.bus.subscribe(B.CAN_FRAME, lambda topic, frame: got.append(frame))
    world.connect()
    world.run(500)
    assert [f[1] for f in got] == list(F.IDS) and got[0][0] == "TX" and len(got[0][2]) == 8
    del got[:]
    world.driver.on_receive(0x307, memoryview(b"\x12\x34\x56\x78VIC\0"))
    world.driver.on_receive(0x305, b"")
    world.can.work()
    assert got == [("RX", 0x307, b"\x12\x34\x56\x78VIC\0"), ("RX", 0x305, b"")], got


def test_presence():
    world = connected()
    seen = []
    world.bus.subscribe(B.GX, lambda topic, present: seen.append(present))
    world.run(40_000)
    assert seen == [] and world.can.status()["gx_present"] is False
    world.driver.on_receive(0x305, bytes(8))
    world.run(2_000)
    assert seen == [True] and world.can.status()["gx_present"] is True
    world.run(26_000)
    world.driver.on_receive(0x306, bytes(8))  # tells nothing
    world.run(6_000)
    assert seen == [True, False]
    world.driver.on_receive(0x307, bytes(8))
    world.run(1_500)
    assert seen == [True, False, True]
    world.step = 1000
    for _ in range(3):
        world.clock.advance(80_000_000)
        world.run(2_000)
    assert seen[-1] is False and world.can.status()["gx_age_ms"] is None and world.can.status()["gx_seen"] is True


def test_config_change():
    world = connected(500)
    world.take()
    world.can.config.values["can.manufacturer"] = "Acme"
    world.bus.publish(B.CONFIG, ("can.manufacturer", "charge.float_mv"))
    world.run(1_500)
    assert last(world.take(), 0x35E) == b"Acme\0\0\0\0" and world.charge.configured == 1


def test_never_cvl_zero():
    """An adapter that comes while the data is already old: nothing was sent before, so CVL is float."""
    world = World()
    world.driver.accept = False
    world.connect()
    world.run(2_000)
    world.polling = False
    world.run(6_000)
    world.driver.accept = True
    world.run(2_000)
    assert limits(world.take()) == (540, 0, 900)


def test_timer_drives():
    """The timer ticks each 10 ms, the loop comes by only each 50 ms; a poll leads to a frame in the next tick."""
    world = World()
    world.schedule.timer_driven = True
    world.step = 10
    work = world.can.work
    world.can.work = lambda: (world.schedule.tick(None), world.clock.uptime_ms() % 50 or work())
    world.connect()
    world.run(12_000)
    frames = world.take()
    assert [f[1] for f in frames[:19]] == list(F.IDS) and frames[18][0] <= 200
    t = times(frames, 0x351)
    assert len(t) == 12 and all(b - a == 1000 for a, b in zip(t, t[1:])), t
    world.charge.forbid_charge = True
    world.run(400)
    assert limits(world.take())[1] == 0


def test_bus_is_there_again():
    world = connected(2_500)
    world.driver.state = "NO_ACK"
    world.run(1_000)
    world.take()
    world.driver.state = "RUNNING"
    world.run(300)
    assert {f[1] for f in world.take()} == set(F.IDS) - set(CORE)


def test_without_a_driver():
    world = World()
    can = C.Can(None, world.live, world.bus, world.clock, FakeConfig(dict(CONFIG)), world.charge, world.log)
    assert can.status()["state"] == "STOPPED" and can.status()["last_error"] == "NO_DRIVER"
    can.work()
    can.stop()


def test_disabled():
    world = World()
    world.schedule.running = False
    world.connect()
    world.run(3_000)
    assert world.take() == [] and world.can.limits()["cvl_mv"] is None


def test_status_object():
    world = connected(500)
    status = world.can.status()
    reference = ("enabled", "state", "speed", "tx_pin", "rx_pin", "protocol")
    reference += ("messages_sent", "messages_received", "errors", "last_error")
    for key in reference:
        assert key in status
    assert status["state"] == "RUNNING" and status["messages_sent"] == len(world.driver.frames)
    limits_ = world.can.limits()
    assert (limits_["cvl_mv"], limits_["ccl_ma"], limits_["dcl_ma"], limits_["state"]) == (
        57_600,
        54_000,
        90_000,
        "BULK",
    )
    assert (
        limits_["reasons"] == {"cvl": "CVL 57.6 V", "ccl": "CCL 54.0 A", "dcl": "DCL 90.0 A"}
        and limits_["age_ms"] < 300
    )


def test_tick_allocates_nothing():
    import micropython

    world = connected(2_000)
    tick, clock, driver = world.schedule.tick, world.clock, world.driver
    driver.send = lambda can_id, data: True
    tick()
    micropython.heap_lock()
    try:
        for _ in range(2400):  # 12 s: all frames, and on into the stale rows
            clock.advance(5)
            tick(None)
    finally:
        micropython.heap_unlock()
    assert world.schedule.stale


def test_with_the_real_charge_control():
    from firmware.can.charge import ChargeControl

    world = World()
    config = {
        "charge.chemistry": "auto",
        "charge.absorption_mv": 0,
        "charge.float_mv": 0,
        "charge.rebulk_soc": 90,
        "charge.absorption_max_min": 60,
        "charge.tail_current_ma": 0,
        "charge.cvl_max_mv": 0,
        "charge.ccl_max_ma": 0,
        "charge.dcl_max_ma": 0,
        "charge.temperature_source": "auto",
    }
    charge = ChargeControl(world.live, FakeConfig(config), world.clock)
    world.charge = world.schedule._charge = world.can.charge = charge
    world.live.data[L.TEMP_EXT1] = 250
    world.live.data[L.SET_TAIL] = 1000
    for i in range(16):
        world.live.data[L.CELL + i] = 3_310
    world.connect()
    world.run(5_000)
    cvl, ccl, dcl = limits(world.take())
    assert 540 <= cvl <= 576 and 0 < ccl <= 540 and dcl == 900, (cvl, ccl, dcl)
    assert world.can.limits()["reasons"]["cvl"].startswith("CVL")
    world.polling = False
    world.run(8_000)
    assert limits(world.take()) == (540, 0, 900)


def test_texts_come_when_there_is_memory():
    world = World()
    once = lazy.once

    def fail(name):
        raise MemoryError

    lazy.once = fail
    try:
        world.connect()
        world.run(2_000)
        assert world.take() == [] and not world.schedule.speaking
    finally:
        lazy.once = once
    world.run(1_000)
    assert {frame[1] for frame in world.take()} == set(F.IDS)


def test_modules_leave_memory():
    world = connected(2_000)
    world.can.status()
    world.can.limits()
    queue = world.bus.queue((B.CAN_FRAME,))
    world.can.decode(0x351, bytes(8))
    world.run(2_000)
    assert "firmware.can.decode" in sys.modules  # somebody watches
    world.bus.close(queue)
    world.run(2_000)
    for name in ("identity", "alarm_rows", "report", "reasons", "decode", "targets"):
        assert "firmware.can." + name not in sys.modules, name
