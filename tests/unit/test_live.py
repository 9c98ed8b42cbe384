from firmware import live
from firmware.live import Live
from tests.unit.help import FakeClock


def test_starts_absent_and_disconnected():
    snapshot = Live(FakeClock())
    assert all(value == live.ABSENT for value in snapshot.data)
    assert snapshot.get(live.SOC) is None
    assert snapshot.age_ms() == snapshot.steering_age_ms() == live.AGE_MAX_MS
    assert snapshot.settings_age_s() == 86400
    assert snapshot.status() == "DISCONNECTED"


def test_absent_is_a_small_int_on_the_board():
    assert 0 < live.ABSENT < 1 << 30


def test_age_counts_across_the_wrap_of_the_ticks():
    clock = FakeClock()
    snapshot = Live(clock)
    clock.advance(19_000)
    snapshot.good_poll()
    clock.advance(4_999)  # the ticks have wrapped
    assert snapshot.age_ms() == 4_999 and snapshot.connected()
    clock.advance(1)
    assert snapshot.age_ms() == 5_000 and not snapshot.connected()


def test_only_qualified_polls_steer():
    snapshot = Live(FakeClock())
    snapshot.good_poll()
    assert snapshot.age_ms() == 0 and snapshot.steering_age_ms() == live.AGE_MAX_MS
    snapshot.qualified = True
    snapshot.good_poll()
    assert snapshot.steering_age_ms() == 0


def test_old_stays_old_however_often_the_ticks_wrap():
    clock = FakeClock()
    snapshot = Live(clock)
    snapshot.good_poll()
    for _ in range(400):  # 400 x 1 h: beyond the 6 days that ticks_diff can tell, and beyond a wrap (12.4 days)
        clock.advance(3_600_000)
        snapshot.age_ms()
    assert snapshot.age_ms() == live.AGE_MAX_MS
    snapshot.good_poll()
    assert snapshot.age_ms() == 0


def test_temperature_prefers_the_external_sensors():
    snapshot = Live(FakeClock())
    assert snapshot.temperature() is None
    snapshot.data[live.TEMP_INT] = 97
    assert snapshot.temperature() == 97
    snapshot.data[live.TEMP_EXT2] = -50
    assert snapshot.temperature() == -50
    snapshot.data[live.TEMP_EXT1] = 100
    assert snapshot.temperature() == 25


def test_status_names():
    snapshot = Live(FakeClock())
    for code, name in ((0x91, "CHARGING"), (0x92, "FULLY_CHARGED"), (0x93, "DISCHARGING"), (0x95, "SLEEP")):
        snapshot.data[live.STATUS] = code
        snapshot.good_poll()
        assert snapshot.status() == name
    for code, name in ((0x96, "REGENERATION"), (0x97, "IDLE"), (0x9B, "FAULT")):
        snapshot.data[live.STATUS] = code
        assert snapshot.status() == name
