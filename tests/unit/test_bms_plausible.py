"""Plausibility rules and the slow register blocks of firmware/bms."""

from array import array

from firmware import live
from firmware.bms import decode, plausible, registers, why
from tests.unit.bms_fakes import DUMP, FakeBms, fast_reply


def check(changes, cells=14):
    poll = array("i", (0 for _ in range(decode.SIZE)))
    words = dict(DUMP)
    words.update(changes)
    decode.fast(fast_reply(words), poll, cells, 0)
    rule = plausible.check(poll)
    return why.poll(rule, poll) if rule else ""


def test_the_dump_is_plausible():
    assert check({}) == ""


def test_status():
    for code in (0x91, 0x92, 0x93, 0x95, 0x96, 0x97, 0x9B):
        assert check({50: code}) == ""
    for code in (0, 0x90, 0x94, 0x98, 0xFFFF):
        assert "status" in check({50: code})


def test_cell_count():
    assert check({53: 0}) == ""
    assert "14 cells configured, 13 detected" in check({53: 13})
    assert "15 cells configured" in check({}, 15)


def test_cell_range():
    assert "cell 3 at 100 mV" in check({4: 1000})
    assert "cell 14 at 5001 mV" in check({15: 50010})
    assert "cell 1 " in check({2: 0xFFFF})


def test_sum_against_pack_voltage():
    assert check({37: 0x425F, 36: 0}) == ""
    assert "sum" in check({37: 0x4264, 36: 0x0000})  # 57.0 V
    assert "sum" in check({37: 0x425A, 36: 0x0000})  # 54.5 V
    assert "sum" in check({37: 0x7F80, 36: 0})  # infinite
    assert "sum" in check({37: 0xC25F, 36: 0x1EB8})  # negative
    assert "sum" in check({37: 0, 36: 0})


def test_extremes():
    assert check({40: 3930, 41: 4040}) == ""
    assert "register 40" in check({40: 3929})
    assert "register 41" in check({41: 4041})


def test_current():
    assert "current" in check({39: 0x7FC0})


# --- slow blocks ---


def block(address, count, changes=()):
    words = dict(DUMP)
    words.update(changes)
    return FakeBms(words).answer(bytes((0xAA, 3, address >> 8, address & 255, 0, count)))


def fresh(firmware=242):
    data = array("i", (live.ABSENT for _ in range(live.FIELDS)))
    data[live.FIRMWARE] = firmware
    return data


def settings(changes=(), firmware=242):
    data, frame = fresh(firmware), block(300, 44, changes)
    rule = registers.settings(frame, data)
    return why.settings(rule, frame) if rule else "", data


def test_settings_of_the_dump():
    reason, data = settings()
    assert reason == ""
    got = [data[f] for f in range(live.SET_FULL, live.SET_MODE + 1)]
    assert got == [
        4150, 3000, 3200, 1000, live.ABSENT, 66000, 14, 15, 4200, 2900, 60000, 20000, 600, 10, 0,
    ]  # fmt: skip


def test_peak_current_needs_its_firmware():
    for firmware, raw, value in (
        (253, 100, live.ABSENT),
        (254, 100, 100_000),
        (254, 0, live.ABSENT),
        (254, 0xFFFF, live.ABSENT),
        (live.ABSENT, 100, live.ABSENT),
    ):
        assert settings({305: raw}, firmware)[1][live.SET_PEAK_DISCHARGE] == value


def test_signed_settings():
    reason, data = settings({320: 0x10000 - 20})
    assert reason == "" and data[live.SET_COLD] == -200
    reason, data = settings({320: 0x10000 - 1})
    assert reason == "" and data[live.SET_COLD] == -10


def test_settings_out_of_range_write_nothing():
    for register, value in (
        (300, 4501), (301, 999), (303, 0), (304, 99), (306, 9), (307, 3), (307, 17), (308, 14), (315, 0xFFFF), (316, 799),
        (317, 0), (318, 751), (319, 19), (319, 0x8000), (320, 11), (320, 0x10000 - 41),
    ):  # fmt: skip
        reason, data = settings({register: value})
        assert "register {} ".format(register) in reason, (register, value, reason)
        assert data[live.SET_FULL] == live.ABSENT


def test_settings_in_wrong_order():
    for changes in ({316: 3000}, {301: 2900}, {300: 4200}, {315: 4150}, {300: 3000}):
        assert "316 < 301 < 300 < 315" in settings(changes)[0], changes


def test_statistics():
    data = fresh()
    registers.statistics(block(100, 18, {103: 0xFFFF, 113: 0x19F8}), data)
    assert data[live.STAT_MAX_DISCHARGE] == 51000
    assert data[live.STAT_MAX_CHARGE] == live.ABSENT
    assert data[live.STAT_MAX_SPREAD] == 100
    assert (data[live.STAT_TEMP_MIN], data[live.STAT_TEMP_MAX]) == (-8, 25)
    assert (data[live.STAT_RESET_CAUSE], data[live.STAT_WAKE_CAUSE]) == (0, 3)


def test_version():
    data = fresh(live.ABSENT)
    registers.version(block(500, 10), data)
    assert [data[live.HARDWARE + n] for n in range(4)] == [258, 769, 242, 1048]
    assert data[live.SERIAL] == live.ABSENT
    registers.version(block(500, 10, {504: 0x3236, 509: 0x4D}), data)
    assert [data[live.SERIAL + n] for n in range(6)] == [0x3236, 0, 0, 0, 0, 0x4D]


def test_soh_needs_its_firmware():
    for firmware, value in ((250, 0), (251, 1), (254, 1), (live.ABSENT, 0), (0, 0)):
        assert registers.has_soh(fresh(firmware)) == value
