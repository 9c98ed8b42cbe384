"""Every alarm and warning of 0x35A: on at its threshold, off after its hysteresis, on by its BMS event; silent else."""

import micropython

from firmware import live as L
from firmware.can import alarms as A
from tests.unit.help import FakeClock

ITEMS = (
    "general",
    "high_voltage",
    "low_voltage",
    "hot",
    "cold",
    "hot_charge",
    "cold_charge",
    "discharge_current",
    "charge_current",
    "contactor",
    "short_circuit",
    "internal",
    "imbalance",
)


def lfp():
    """16 LFP cells at rest: 315 = 3.75 V, 316 = 2.5 V, 60/100 A, 60 C, 0 C."""
    live = L.Live(FakeClock())
    for field, value in (
        (L.CURRENT, 0),
        (L.STATUS, L.IDLE),
        (L.TEMP_INT, 280),
        (L.TEMP_EXT1, 220),
        (L.TEMP_EXT2, 230),
        (L.CELL_MIN, 3300),
        (L.CELL_MAX, 3310),
        (L.SET_EMPTY, 2800),
        (L.SET_FULL, 3650),
        (L.SET_OV, 3750),
        (L.SET_UV, 2500),
        (L.SET_DISCHARGE_OC, 100_000),
        (L.SET_CHARGE_OC, 60_000),
        (L.SET_HOT, 600),
        (L.SET_COLD, 0),
        (L.SET_DISBALANCE, 15),
        (L.FAULTS, 0),
        (L.WARNINGS, 0),
    ):
        live.data[field] = value
    return live.data, A.Alarms(live)


def names(mask):
    return {name for i, name in enumerate(ITEMS) if mask >> i & 1}


def look(alarms, stale=False, settings_old=False):
    alarms.evaluate(stale, settings_old)
    active, warned = names(alarms.active), names(alarms.warnings)
    for found in (active, warned):  # "general" follows any other one
        assert ("general" in found) == (len(found) > 0), found
        found.discard("general")
    return active, warned


# fields to set, alarms, warnings: in this order, so that the hysteresis shows
WALKS = (
    (
        (L.CELL_MAX,),
        (
            (3729, "", ""),
            (3730, "", "high_voltage"),
            (3749, "", "high_voltage"),
            (3750, "high_voltage", "high_voltage"),
            (3731, "high_voltage", "high_voltage"),
            (3730, "", "high_voltage"),
            (3711, "", "high_voltage"),
            (3710, "", ""),
        ),
    ),
    (
        (L.CELL_MIN, L.CELL_MAX),
        (
            (2551, "", ""),
            (2550, "", "low_voltage"),
            (2501, "", "low_voltage"),
            (2500, "low_voltage", "low_voltage"),
            (2549, "low_voltage", "low_voltage"),
            (2550, "", "low_voltage"),
            (2599, "", "low_voltage"),
            (2600, "", ""),
        ),
    ),
    (
        (L.TEMP_EXT2,),
        (
            (569, "", ""),
            (570, "", "hot hot_charge"),
            (600, "hot hot_charge", "hot hot_charge"),
            (571, "hot hot_charge", "hot hot_charge"),
            (570, "", "hot hot_charge"),
            (550, "", ""),
        ),
    ),
    ((L.TEMP_INT,), ((570, "", "hot hot_charge"), (550, "", ""))),
    (
        (L.TEMP_EXT1,),
        (
            (21, "", ""),
            (20, "", "cold_charge"),
            (0, "cold_charge", "cold_charge"),
            (19, "cold_charge", "cold_charge"),
            (20, "", "cold_charge"),
            (40, "", ""),
            (-350, "cold_charge", "cold_charge cold"),
            (-400, "cold_charge cold", "cold_charge cold"),
            (-371, "cold_charge cold", "cold_charge cold"),
            (-370, "cold_charge", "cold_charge cold"),
            (-330, "cold_charge", "cold_charge"),
        ),
    ),
    (
        (L.CURRENT,),
        (
            (-94_999, "", ""),
            (-95_000, "", "discharge_current"),
            (-100_000, "discharge_current", "discharge_current"),
            (-95_000, "discharge_current", "discharge_current"),
            (-94_999, "", "discharge_current"),
            (-91_999, "", ""),
            (56_999, "", ""),
            (57_000, "", "charge_current"),
            (60_000, "charge_current", "charge_current"),
            (56_999, "", "charge_current"),
            (55_199, "", ""),
        ),
    ),
    (
        (L.CELL_MAX,),
        (
            (3564, "", ""),
            (3565, "", "imbalance"),
            (3516, "", "imbalance"),
            (3515, "", ""),
        ),
    ),
)


def test_thresholds():
    for fields, steps in WALKS:
        data, alarms = lfp()
        for value, active, warned in steps:
            for field in fields:
                data[field] = value
            if fields == (L.CELL_MAX,) and value > 3700:
                data[L.CELL_MIN] = value - 10
            assert look(alarms) == (set(active.split()), set(warned.split())), (fields, value, look(alarms))


def test_imbalance_alarm():
    data, alarms = lfp()
    data[L.CELL_MIN], data[L.CELL_MAX] = 3000, 3465
    assert look(alarms) == ({"imbalance"}, {"imbalance"})
    data[L.CELL_MAX] = 3416
    assert look(alarms) == ({"imbalance"}, {"imbalance"})
    data[L.CELL_MAX] = 3415
    assert look(alarms) == (set(), {"imbalance"})
    data[L.CELL_MIN], data[L.CELL_MAX] = 2900, 3200  # nearly empty: the weak cell dives, that is normal
    assert look(alarms) == (set(), set())


def test_events():
    for fault, active in (
        (0x02, "low_voltage"),
        (0x03, "high_voltage"),
        (0x04, "hot hot_charge"),
        (0x05, "discharge_current"),
        (0x06, "charge_current"),
        (0x07, "charge_current"),
        (0x0A, "cold"),
        (0x0B, "contactor"),
        (0x0C, "contactor"),
        (0x0D, "contactor"),
        (0x0E, "internal"),
        (0x0F, "internal"),
    ):
        data, alarms = lfp()
        data[L.STATUS] = L.FAULT
        data[L.FAULTS] = 1 << fault
        look(alarms)
        assert look(alarms) == (set(active.split()), set()), hex(fault)
        data[L.STATUS], data[L.FAULTS] = L.IDLE, 0
        assert look(alarms) == (set(), set()), hex(fault)
    for event, active, warned in (
        (0x31, "", "low_voltage"),
        (0x37, "cold_charge", ""),
        (0x38, "", "internal"),
        (0x39, "", "internal"),
    ):
        data, alarms = lfp()
        data[L.WARNINGS] = 1 << (event - 0x30)
        assert look(alarms) == (set(active.split()), set(warned.split())), hex(event)


def test_fault_without_a_cause():
    data, alarms = lfp()
    data[L.STATUS] = L.FAULT
    assert look(alarms) == (set(), set())  # the events are still being read
    assert look(alarms) == ({"internal"}, set())
    data[L.FAULTS] = 1 << 5
    assert look(alarms) == ({"discharge_current"}, set())


def test_stale_and_settings():
    data, alarms = lfp()
    assert look(alarms, settings_old=True) == (set(), {"internal"})
    data[L.CELL_MAX] = 3760
    look(alarms)
    active, _ = look(alarms, stale=True)
    assert "internal" in active and "high_voltage" in active
    data[L.CELL_MAX] = 3400
    assert look(alarms) == (set(), set())


def test_absent_is_silent():
    data, alarms = lfp()
    for field in range(L.FIELDS):
        data[field] = L.ABSENT
    assert look(alarms) == (set(), set())
    data[L.TEMP_INT] = -10  # without external sensors the internal one counts
    data[L.SET_COLD] = 0
    assert look(alarms) == ({"cold_charge"}, {"cold_charge"})


def test_normal_day_is_silent():
    """Full at 3.65 V with a charger that holds 25 mV a cell more, a 60 mV high cell, 90 % currents, 5 to 50 C, down to 301."""
    data, alarms = lfp()
    for low, high, current, cold, hot in (
        (3300, 3310, 0, 200, 300),
        (3400, 3460, 54_000, 200, 350),
        (3650, 3675, 2_000, 200, 350),
        (3500, 3725, 54_000, 210, 400),
        (3650, 3710, 500, 200, 300),
        (3200, 3250, -90_000, 50, 500),
        (3000, 3150, -90_000, 50, 500),
        (2800, 3100, -90_000, 100, 400),
    ):
        data[L.CELL_MIN], data[L.CELL_MAX], data[L.CURRENT] = low, high, current
        data[L.TEMP_EXT1], data[L.TEMP_EXT2] = cold, hot
        assert look(alarms) == (set(), set()), (low, high, look(alarms))


def test_nothing_allocated():
    data, alarms = lfp()
    alarms.evaluate(False, False)
    data[L.CELL_MAX] = 3760
    data[L.FAULTS] = 0x2F
    micropython.heap_lock()
    try:
        alarms.evaluate(False, False)
        alarms.evaluate(True, False)
    finally:
        micropython.heap_unlock()
