from firmware import live as L
from firmware.can import charge as C
from firmware.can.reasons import STATES, reason
from firmware.can import reasons
from firmware.can.charge import ChargeControl
from firmware.live import ABSENT, Live
from tests.unit.help import FakeClock, FakeConfig

CONFIG = {
    "charge.chemistry": "auto", "charge.absorption_mv": 0, "charge.float_mv": 0, "charge.rebulk_soc": 90,
    "charge.absorption_max_min": 60, "charge.tail_current_ma": 0, "charge.cvl_max_mv": 0, "charge.ccl_max_ma": 0,
    "charge.dcl_max_ma": 0, "charge.temperature_source": "auto",
}  # fmt: skip


class Pack:
    """16 LFP cells of 280 Ah: 300-316 as 3600, 2900, 3750, 2700 mV; 317 150 A, 318 100 A; 0 ... 60 C."""

    def __init__(self, cell=3300, count=16, **config):
        self.clock = FakeClock()
        self.live = Live(self.clock)
        self.live.qualified = True
        self.data = data = self.live.data
        self.config = dict(CONFIG)
        for key, value in config.items():
            self.config["charge." + key] = value
        for field, value in (
            (L.SET_FULL, 3600), (L.SET_EMPTY, 2900), (L.SET_TAIL, 2000), (L.SET_CAPACITY, 280_000), (L.SET_CELLS, count),
            (L.SET_DISBALANCE, 15), (L.SET_OV, 3750), (L.SET_UV, 2700), (L.SET_DISCHARGE_OC, 150_000),
            (L.SET_CHARGE_OC, 100_000), (L.SET_HOT, 600), (L.SET_COLD, 0), (L.CELL_COUNT, count), (L.SOC, 5000),
            (L.STATUS, L.IDLE), (L.TEMP_INT, 250), (L.TEMP_EXT1, 250), (L.TEMP_EXT2, 240), (L.CURRENT, 0),
        ):  # fmt: skip
            data[field] = value
        self.count = count
        self.cells(cell)
        self.charge = ChargeControl(self.live, FakeConfig(self.config), self.clock)

    def cells(self, mv, odd=None):
        """All cells at `mv`, but {cell: mV} of `odd`."""
        data = self.data
        for n in range(self.count):
            data[L.CELL + n] = mv
        for n, value in (odd or {}).items():
            data[L.CELL + n - 1] = value
        self.total()

    def total(self):
        cells = list(self.data[L.CELL : L.CELL + self.count])
        self.data[L.VOLTAGE], self.data[L.CELL_MIN], self.data[L.CELL_MAX] = sum(cells), min(cells), max(cells)

    def run(self, seconds=1, step=1):
        for _ in range(0, seconds, step):
            self.clock.advance(step * 1000)
            self.live.good_poll()
            self.live.settings_read()
            self.charge.update()
        return self.charge

    def settled(self):
        return self.run(40)


def test_starting_until_there_is_data():
    pack = Pack()
    pack.live.qualified = False
    charge = pack.charge
    charge.update()
    assert not charge.ready and charge.state == C.STARTING and reason(charge, "cvl") is None
    pack.run()
    assert not charge.ready and charge.state == C.STARTING
    pack.live.qualified = True
    pack.run()
    assert charge.ready and charge.state == C.BULK and STATES[charge.state] == "BULK"


def test_first_cvl_is_the_measured_voltage_rounded_up_between_float_and_target():
    for cell, cvl in ((3300, 54_000), (3400, 54_400), (3402, 54_500), (3649, 57_600)):
        assert Pack(cell).run().cvl_mv == cvl, cell


def test_planned_cvl_rises_a_step_each_20_s():
    pack = Pack()
    seen = []
    for second in range(101):
        cvl = pack.run().cvl_mv
        if not seen or seen[-1][1] != cvl:
            seen.append((second, cvl))
    assert seen == [(0, 54_000), (20, 54_100), (40, 54_200), (60, 54_300), (80, 54_400), (100, 54_500)], seen
    assert reason(pack.charge, "cvl") == "CVL 54.5 V: rising to 57.6 V"
    assert pack.run(1000).cvl_mv == 57_600
    assert reason(pack.charge, "cvl") == "CVL 57.6 V: absorption, 3.600 V a cell"


def test_trip_limits():
    charge = Pack().settled()
    assert (charge.ccl_ma, charge.dcl_ma) == (90_000, 135_000)
    pack = Pack()
    pack.data[L.SET_DISCHARGE_OC] = 60_000  # 317 limits regeneration too
    pack.data[L.SET_PEAK_DISCHARGE] = 50_000
    charge = pack.settled()
    assert (charge.ccl_ma, charge.dcl_ma) == (54_000, 45_000)
    assert reason(charge, "dcl") == "DCL 45.0 A: 90 % of the BMS's trip limit"
    pack.data[L.SET_PEAK_DISCHARGE] = 0
    assert pack.run().dcl_ma == 54_000


def test_own_limits():
    pack = Pack(3400, cvl_max_mv=55_000, ccl_max_ma=20_050, dcl_max_ma=30_000)
    charge = pack.run(1000)
    assert (charge.cvl_mv, charge.ccl_ma, charge.dcl_ma) == (55_000, 20_000, 30_000)
    assert reason(charge, "ccl") == "CCL 20.0 A: own limit 20.0 A"


def test_real_dump_unit_of_14_cells():
    # settings as on a 14-cell unit: 4100 or so full, no 305
    pack = Pack(3985, 14)
    for field, value in ((L.SET_FULL, 4150), (L.SET_EMPTY, 3200), (L.SET_OV, 4180), (L.SET_UV, 3000)):
        pack.data[field] = value
    pack.cells(3985)
    charge = pack.run(2000)
    assert charge.cvl_mv == 14 * 4130 // 100 * 100  # 315 - 50, not 300
    assert charge.float_cvl_mv == 14 * 4030 // 100 * 100


def test_never_above_64_v():
    pack = Pack(3900)
    for field, value in ((L.SET_FULL, 4150), (L.SET_EMPTY, 3200), (L.SET_OV, 4220), (L.SET_UV, 3000)):
        pack.data[field] = value
    assert pack.run(2000).cvl_mv == 64_000


def test_chosen_chemistry_caps_absorption_and_alerts():
    pack = Pack(chemistry="lfp")
    pack.data[L.SET_FULL] = 3700
    pack.data[L.SET_OV] = 3800
    charge = pack.run(1500)
    assert charge.cvl_mv == 16 * 3650 and charge.alerts == C.ALERT_CHEMISTRY
    pack = Pack(chemistry="nmc")
    assert pack.run().alerts == C.ALERT_CHEMISTRY
    assert Pack(chemistry="lfp").run().alerts == 0
    assert Pack().run().alerts == 0


def test_own_absorption_and_float():
    pack = Pack(absorption_mv=3500, float_mv=3350)
    charge = pack.run(1500)
    assert charge.cvl_mv == 16 * 3500 and charge.float_cvl_mv == 16 * 3350
    assert Pack(absorption_mv=3900).run(1500).cvl_mv == 57_600
    assert Pack(float_mv=3900).run().float_cvl_mv == 57_600


def test_highest_cell_stops_charging_20_mV_below_cut_off():
    for highest, ccl in ((3730, 0), (3729, 900), (3600, None)):
        pack = Pack(3400)
        pack.cells(3400, {7: highest})
        charge = pack.settled()
        assert charge.ccl_ma == ccl if ccl is not None else 0 < charge.ccl_ma < 90_000, highest
    assert reason(charge, "ccl") == "CCL %d.%d A: cell 7 at 3.600 V" % (
        charge.ccl_ma // 1000,
        charge.ccl_ma // 100 % 10,
    )


def test_hysteresis_of_the_highest_cell():
    pack = Pack(3400)
    pack.cells(3400, {7: 3600})
    ccl = pack.settled().ccl_ma
    pack.cells(3400, {7: 3596})
    assert pack.settled().ccl_ma == ccl
    pack.cells(3400, {7: 3590})
    assert pack.settled().ccl_ma > ccl
    pack.cells(3400, {7: 3610})
    assert pack.run().ccl_ma < ccl  # down at once


def test_full_and_resting_may_still_be_charged():
    pack = Pack(3600)
    pack.data[L.SET_FULL] = 3700  # 300 = 315 - 50: the highest there can be
    pack.cells(3700)
    pack.data[L.STATUS] = L.FULLY_CHARGED
    assert pack.settled().ccl_ma > 0


def test_lowest_cell():
    pack = Pack(3150)
    charge = pack.settled()
    assert charge.dcl_ma == 135_000
    pack.cells(3150, {3: 2900})
    assert pack.run().dcl_ma == 0 and charge.ccl_ma == 90_000
    assert reason(charge, "dcl") == "DCL 0.0 A: cell 3 at 2.900 V"
    pack.cells(3150, {3: 2999})
    assert pack.run().dcl_ma == 0
    pack.cells(3150, {3: 3000})
    assert pack.run().dcl_ma > 0  # 100 mV higher, at once
    pack.cells(3150, {3: 2749})
    pack.run()
    assert charge.ccl_ma == 14_000 and charge.dcl_ma == 0  # 0.05 C
    pack.cells(3150, {3: 2849})
    assert pack.settled().ccl_ma == 14_000
    pack.cells(3150, {3: 2850})
    assert pack.settled().ccl_ma == 90_000


def test_ccl_rises_slowly_and_falls_at_once():
    pack = Pack()
    last = pack.run().ccl_ma
    assert last <= 4500
    for _ in range(25):
        ccl = pack.run().ccl_ma
        assert 0 <= ccl - last <= 4500 + 100
        last = ccl
    assert last == 90_000
    pack.cells(3300, {1: 3740})
    assert pack.run().ccl_ma == 0
    pack.cells(3300)
    assert pack.run().ccl_ma <= 4500
    assert reason(pack.charge, "ccl").startswith("CCL 4.5 A: rising to 90.0 A")


def test_start_goes_on_with_the_current_that_flows():
    pack = Pack()
    pack.data[L.CURRENT] = 40_000
    assert 40_000 <= pack.run().ccl_ma <= 44_500


def test_steering_by_the_highest_cell_while_charging():
    pack = Pack(3560)
    pack.run(900)
    pack.data[L.CURRENT] = 20_000
    pack.run(20)
    assert pack.charge.cvl_mv == 57_600
    pack.cells(3560, {7: 3640})  # 20 mV above its own limit of 3620
    charge = pack.run()
    assert charge.cvl_mv == (16 * 3560 + 80 - 16 * 20) // 100 * 100
    assert reason(charge, "cvl") == "CVL 56.7 V: cell 7 at 3.640 V"


def test_resting_pack_is_not_discharged_to_a_lower_cvl():
    pack = Pack(3560)
    pack.run(900)
    pack.cells(3560, {7: 3700})
    charge = pack.run()
    assert charge.cvl_mv == 57_100  # the pack's voltage rounded up
    pack.run(600)
    assert charge.cvl_mv == 57_100


def test_absorption_ends_by_tail_and_spread_then_float_then_rebulk():
    pack = Pack(3600)
    pack.data[L.SOC] = 9900
    pack.data[L.CURRENT] = 20_000
    charge = pack.run(100)
    assert charge.state == C.ABSORPTION
    pack.data[L.CURRENT] = 1500
    charge = pack.run(59)
    pack.run(5)
    assert charge.state == C.ABSORPTION and reason(charge, "cvl").endswith("falling to 54.0 V")
    last = charge.cvl_mv
    for _ in range(60):  # planned steps downwards as well: 20 s
        cvl = pack.run(20).cvl_mv
        assert last - cvl in (0, 100)
        last = cvl
    assert charge.state == C.FLOAT and charge.cvl_mv == 54_000
    pack.data[L.CURRENT] = 0
    pack.data[L.SOC] = 8900  # SoC alone is not believed
    assert pack.run(10).state == C.FLOAT
    pack.cells(3330)
    assert pack.run(10).state == C.BULK


def test_absorption_ends_by_time():
    pack = Pack(3600)
    pack.cells(3590, {7: 3610})
    pack.data[L.CURRENT] = 5000
    charge = pack.run(3590)
    assert not reason(charge, "cvl").endswith("falling to 54.0 V")
    pack.run(30)
    assert reason(charge, "cvl").endswith("falling to 54.0 V")


def test_rebulk_by_voltage_when_soc_is_stuck():
    pack = Pack(3380)
    pack.data[L.SOC] = 10_000
    pack.data[L.STATUS] = L.FULLY_CHARGED
    assert pack.run().state == C.FLOAT
    pack.data[L.STATUS] = L.DISCHARGING
    pack.cells(3270)
    assert pack.run(590).state == C.FLOAT
    assert pack.run(20).state == C.BULK


def test_restart_in_float_stays_there():
    pack = Pack(3395)
    pack.data[L.SOC] = 9900
    charge = pack.run()
    assert charge.state == C.FLOAT and charge.cvl_mv == 54_000
    pack = Pack(3500)
    pack.data[L.SOC] = 9900  # on its way down from absorption
    charge = pack.run()
    assert charge.state == C.ABSORPTION and charge.cvl_mv == 56_000
    pack = Pack(3300)
    pack.data[L.SOC] = 10_000  # SoC alone
    assert pack.run().state == C.BULK


def test_stale_rows():
    pack = Pack(3500)
    charge = pack.settled()
    cvl = charge.cvl_mv
    assert cvl > 54_000
    pack.clock.advance(4999)
    charge.update()
    assert charge.state == C.BULK and charge.ccl_ma == 90_000
    pack.clock.advance(1)
    charge.update()
    assert (charge.state, charge.cvl_mv, charge.ccl_ma, charge.dcl_ma) == (C.STALE, 54_000, 0, 135_000)
    assert reason(charge, "ccl") == "CCL 0.0 A: no good poll for 5 s"
    pack.clock.advance(5000)
    charge.update()
    assert (charge.ccl_ma, charge.dcl_ma, charge.ready) == (0, 0, True)
    pack.clock.advance(5000)
    charge.update()
    assert charge.state == C.STOPPED and not charge.ready
    pack.run()
    assert charge.state == C.BULK and charge.cvl_mv == 56_000 and charge.ccl_ma <= 4500


def test_settings_age():
    pack = Pack()
    pack.settled()
    charge = pack.charge
    for seconds, ccl, dcl in ((598, 90_000, 135_000), (3, 0, 135_000), (598, 0, 135_000), (3, 0, 0)):
        for _ in range(seconds):
            pack.clock.advance(1000)
            pack.live.good_poll()
            charge.update()
        assert (charge.ccl_ma, charge.dcl_ma) == (ccl, dcl)
    assert charge.alerts & C.ALERT_SETTINGS_OLD
    assert reason(charge, "dcl") == "DCL 0.0 A: BMS settings not re-read for 20 min"


def test_absent_is_not_zero():
    for field in (L.CELL + 4, L.VOLTAGE, L.CURRENT, L.SET_OV, L.SET_CAPACITY, L.SET_HOT):
        pack = Pack()
        cvl = pack.settled().cvl_mv
        pack.data[field] = ABSENT
        charge = pack.run()
        assert (charge.cvl_mv, charge.ccl_ma, charge.dcl_ma) == (cvl, 0, 0), field
        assert "absent" in reason(charge, "ccl") or "not measured" in reason(charge, "ccl")


def test_settings_out_of_order():
    pack = Pack()
    pack.settled()
    pack.data[L.SET_EMPTY] = 3700
    charge = pack.run()
    assert charge.ccl_ma == charge.dcl_ma == 0 and charge.alerts == C.ALERT_SETTINGS


def test_every_text_can_be_built():
    pack = Pack()
    charge = pack.settled()
    for why in range(len(reasons.TEXTS)):
        for at, arg in ((0, 0), (2, -35), (16, 3471)):
            at = min(at, 2) if "{sensor}" in reasons.TEXTS[why] else at
            charge.currents.ccl.set(0, why, at, max(arg, 0) if why == 10 else arg)
            text = reason(charge, "ccl")
            assert "{" not in text, text
