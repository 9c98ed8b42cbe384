"""Temperature and fault rows of charge control."""

import sys

from firmware import lazy
from firmware import live as L
from firmware.can import charge as C
from firmware.can.reasons import reason
from tests.unit.help import raises
from firmware.live import ABSENT
from tests.unit.test_charge import Pack


def limits(pack, seconds=40):
    charge = pack.run(seconds)
    return charge.ccl_ma, charge.dcl_ma


def temperatures(internal, one, two, **config):
    pack = Pack(**config)
    pack.data[L.TEMP_INT], pack.data[L.TEMP_EXT1], pack.data[L.TEMP_EXT2] = internal, one, two
    return pack


def test_cold_by_the_coldest_external_sensor():
    assert limits(temperatures(200, 100, 150)) == (90_000, 135_000)
    assert limits(temperatures(200, 0, 150)) == (0, 135_000)
    assert limits(temperatures(200, 50, 150)) == (45_000, 135_000)
    assert limits(temperatures(-50, 100, 150)) == (90_000, 135_000)  # the internal one is not asked
    pack = temperatures(200, 150, -50)
    assert limits(pack) == (0, 135_000)
    assert reason(pack.charge, "ccl") == "CCL 0.0 A: EXT2 at -5.0 C, cold"


def test_cold_has_hysteresis():
    pack = temperatures(200, 50, 150)
    assert limits(pack)[0] == 45_000
    pack.data[L.TEMP_EXT1] = 59
    assert limits(pack)[0] == 45_000
    pack.data[L.TEMP_EXT1] = 65
    assert limits(pack)[0] == 49_500
    pack.data[L.TEMP_EXT1] = 0
    assert limits(pack, 1)[0] == 0
    pack.data[L.TEMP_EXT1] = 9
    assert limits(pack)[0] == 0


def test_hot_by_the_hottest_of_all():
    assert limits(temperatures(580, 250, 250)) == (0, 0)
    assert limits(temperatures(250, 250, 580)) == (0, 0)
    ccl, dcl = limits(temperatures(250, 550, 250))
    assert 0 < ccl < 20_000 and 0 < dcl < 135_000
    assert limits(temperatures(250, 420, 250)) == (90_000, 135_000)


def test_no_external_sensor_at_all():
    for internal, ccl in ((250, 90_000), (99, 45_000), (0, 0)):
        pack = temperatures(internal, ABSENT, ABSENT)
        assert limits(pack) == (ccl, 135_000), internal
        assert pack.charge.alerts == C.ALERT_NO_SENSOR
    assert limits(temperatures(99, 200, 200, temperature_source="none"))[0] == 45_000
    pack = temperatures(80, 200, 200, temperature_source="internal")
    assert limits(pack)[0] == 76_500 - 4500  # 8 C: 0.8 of all
    assert pack.charge.alerts == 0


def test_promised_sensor_never_answered():
    pack = temperatures(250, ABSENT, ABSENT, temperature_source="external")
    assert limits(pack) == (14_000, 67_500)
    assert pack.charge.alerts & C.ALERT_SENSOR


def test_no_sensor_at_all():
    assert limits(temperatures(ABSENT, ABSENT, ABSENT)) == (14_000, 67_500)


def test_sensor_gone():
    pack = temperatures(250, 250, 240)
    pack.settled()
    pack.data[L.TEMP_EXT2] = ABSENT
    assert limits(pack, 1) == (14_000, 67_500)
    assert pack.charge.alerts == C.ALERT_SENSOR
    assert reason(pack.charge, "dcl") == "DCL 67.5 A: temperature sensor EXT2 lost or not plausible"
    pack.run(4000, 4)
    assert limits(pack) == (14_000, 67_500)  # stays so while it is gone
    pack.data[L.TEMP_EXT2] = 240
    assert limits(pack, 30) == (14_000, 67_500)
    assert limits(pack, 80) == (90_000, 135_000)


def test_sensor_out_of_range():
    for value in (-401, 1001):
        pack = temperatures(250, 250, 240)
        pack.settled()
        pack.data[L.TEMP_EXT1] = value
        assert limits(pack, 1) == (14_000, 67_500)
    assert limits(temperatures(250, 1200, ABSENT)) == (14_000, 67_500)  # from the start


def test_sensor_jump():
    pack = temperatures(250, 50, 240)
    assert limits(pack)[0] == 45_000
    pack.data[L.TEMP_EXT1] = 250
    assert limits(pack, 1) == (14_000, 67_500)
    assert limits(pack, 600) == (
        14_000,
        67_500,
    )  # a loose sensor reads well and wrong: what it said before still counts
    pack.data[L.TEMP_EXT1] = 50
    assert limits(pack, 120) == (45_000, 135_000)  # it came back
    pack.data[L.TEMP_EXT1] = 250
    pack.run(1790)
    assert limits(pack, 1) == (14_000, 67_500)
    assert limits(pack, 60) == (90_000, 135_000)  # steady for half an hour: it is so
    pack.data[L.TEMP_EXT1] = 440  # 19 C is no jump
    assert limits(pack, 1) != (14_000, 67_500)


def fault(faults, warnings=0, status=L.FAULT):
    pack = Pack()
    pack.settled()
    pack.data[L.STATUS], pack.data[L.FAULTS], pack.data[L.WARNINGS] = status, faults, warnings
    pack.run()
    return pack


def test_fault_rows():
    for code in (0x03, 0x06, 0x07, 0x0B):
        assert limits(fault(1 << code)) == (0, 135_000), code
    for code in (0x02, 0x05, 0x0C):
        assert limits(fault(1 << code)) == (14_000, 0), code
    for code in (0x04, 0x0A, 0x0D, 0x0E, 0x0F, 0x10):
        assert limits(fault(1 << code)) == (0, 0), code
    assert limits(fault(1 << 0x03 | 1 << 0x02)) == (0, 0)
    for known in (0, 1 << 0x03, 1 << 0x05):  # the events could not be read: what is known may be over
        assert limits(fault(known | L.UNKNOWN_FAULT, 1 << 7)) == (0, 0), known
    assert limits(fault(0, 1 << 7)) == (0, 135_000)  # 0x37
    assert limits(fault(0, 1 << 1)) == (14_000, 0)  # 0x31


def test_fault_without_a_cause():
    for faults, warnings in ((0, 0), (ABSENT, ABSENT), (0, 1 << 8)):
        pack = fault(faults, warnings)
        assert (pack.charge.ccl_ma, pack.charge.dcl_ma) == (0, 0)
        assert pack.charge.state == C.FAULT and pack.charge.cvl_mv >= 54_000
        assert reason(pack.charge, "ccl") == "CCL 0.0 A: BMS fault without a known cause"
    assert reason(fault(1 << 3 | L.UNKNOWN_FAULT).charge, "dcl") == "DCL 0.0 A: BMS fault without a known cause"
    pack = fault(1 << 3)
    assert reason(pack.charge, "ccl") == "CCL 0.0 A: BMS fault 0x03"


def test_fault_ends():
    pack = fault(1 << 3)
    pack.data[L.STATUS], pack.data[L.FAULTS] = L.IDLE, 0
    pack.run()
    assert pack.charge.state == C.BULK and pack.charge.ccl_ma <= 4500
    assert limits(pack) == (90_000, 135_000)
    assert limits(fault(1 << 3, 0, L.IDLE)) == (90_000, 135_000)  # the status is the BMS's own word


def test_warnings_without_the_fault_status():
    assert limits(fault(0, 1 << 7, L.IDLE)) == (0, 135_000)
    assert limits(fault(0, 1 << 7, L.CHARGING)) == (90_000, 135_000)
    assert limits(fault(0, 1 << 1, L.IDLE)) == (14_000, 0)
    assert limits(fault(0, 1 << 1, L.DISCHARGING)) == (90_000, 135_000)


def test_no_memory_to_work_out_new_settings():
    """The old limits stay as they are (the schedule lets them age), and the next update tries again."""
    pack = Pack()
    before = pack.settled().ccl_ma
    once = lazy.once

    def fail(name):
        raise MemoryError

    pack.data[L.SET_CHARGE_OC] = 10_000
    lazy.once = fail
    try:
        raises(MemoryError, pack.run)
        assert pack.charge.ccl_ma == before
    finally:
        lazy.once = once
    assert pack.run().ccl_ma == 9_000
    lazy.once = fail  # nothing has changed: nothing is loaded
    try:
        assert pack.run(5).ccl_ma == 9_000
    finally:
        lazy.once = once
    assert "firmware.can.targets" not in sys.modules
