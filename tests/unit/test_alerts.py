"""Life of the alerts: rules with debounce and hysteresis, conditions, BMS events, acknowledge, log, time."""

import gc

import micropython

from firmware import live as L
from firmware.alerts.alert import ACKNOWLEDGED, ACTIVE, CLEARED, severity
from firmware.bus import CAN_STATE, CONFIG
from tests.unit.alerts_parts import Bench
from tests.unit.help import raises

# type: config that enables it, field, value beyond, value inside the hysteresis, value that ends it, message
RULES = (
    (1, {}, L.TEMP_EXT1, 480, 440, 430, "Température élevée: 48°C > 45°C"),
    (2, {"temp_low_enabled": True}, L.TEMP_EXT2, -5, 10, 20, "Température basse: -0.5°C < 0°C"),
    (3, {"imbalance_enabled": False}, L.CELL_MAX, 3660, 3640, 3630, "Tension cellule haute: Cell 9 = 3.66V > 3.65V"),
    (4, {"imbalance_enabled": False}, L.CELL_MIN, 2795, 2810, 2820, "Tension cellule basse: Cell 5 = 2.795V < 2.8V"),
    (5, {"pack_volt_high_enabled": True}, L.VOLTAGE, 58_500, 58_000, 57_900, "Tension pack haute: 58.5V > 58.4V"),
    (6, {"pack_volt_low_enabled": True}, L.VOLTAGE, 44_700, 45_000, 45_300, "Tension pack basse: 44.7V < 44.8V"),
    (7, {"discharge_current_enabled": True}, L.CURRENT, -110_500, -96_000, -95_000,
     "Courant de décharge élevé: 110.5A > 100A"),
    (8, {"charge_current_enabled": True}, L.CURRENT, 101_000, 96_000, 95_000, "Courant de charge élevé: 101A > 100A"),
    (9, {"soc_low_enabled": True}, L.SOC, 950, 1100, 1200, "SoC bas: 9.5% < 10%"),
    (11, {}, L.CELL_MIN, 3150, 3215, 3220, "Déséquilibre des cellules: 160mV > 100mV"),
)  # fmt: skip


def test_each_threshold_is_debounced_raised_and_cleared_with_hysteresis():
    for kind, config, field, beyond, inside, ends, message in RULES:
        bench = Bench(**config)
        before = bench.live.data[field]
        bench.live.data[field] = beyond
        bench.run(59)
        assert bench.active() == [], kind
        bench.run(2)
        assert bench.active() == [kind], (kind, bench.active())
        alert = bench.alerts.active[kind]
        assert bench.message(kind) == message, bench.message(kind)
        assert (alert.status, alert.times) == (ACTIVE, [bench.clock.epoch_ms(), None, None]), alert.times
        bench.run(100)
        assert bench.history() == [(kind, ACTIVE)] and bench.told == [alert.id]
        assert bench.triggered == [{"alert_id": alert.id, "type": kind, "severity": severity(kind)}]
        bench.live.data[field] = inside
        bench.run(3)
        assert bench.active() == [kind], kind
        bench.live.data[field] = ends
        bench.run(1)
        assert bench.active() == [] and bench.history() == [(kind, CLEARED)]
        bench.live.data[field] = beyond
        bench.run(30)
        bench.live.data[field] = before
        bench.run(1)
        bench.live.data[field] = beyond
        bench.run(59)
        assert bench.active() == [], kind
        assert bench.told == [alert.id] * 2


def test_off_by_default():
    bench = Bench(debounce_sec=0)
    data = bench.live.data
    for field, value in ((L.VOLTAGE, 60_000), (L.CURRENT, 200_000), (L.SOC, 10_000), (L.TEMP_EXT1, -100)):
        data[field] = value
    bench.run(3)
    for field, value in ((L.VOLTAGE, 30_000), (L.CURRENT, -200_000), (L.SOC, 0)):
        data[field] = value
    bench.run(3)
    assert bench.active() == []


def test_high_soc_is_information_once():
    bench = Bench(debounce_sec=1, soc_high_enabled=True, soc_max_percent=95)
    bench.live.data[L.SOC] = 9600
    bench.run(5)
    bench.live.data[L.SOC] = 9400
    bench.run(5)
    bench.live.data[L.SOC] = 9600
    bench.run(5)
    assert bench.active() == [] and bench.history() == [(10, CLEARED)] and bench.triggered == []


def test_no_debounce_raises_at_the_first_poll_and_the_longest_holds():
    bench = Bench(debounce_sec=0)
    bench.live.data[L.CELL_MAX] = 3700
    bench.run(1)
    assert 3 in bench.active()
    bench = Bench(debounce_sec=3600)
    bench.live.data[L.CELL_MAX] = 3700
    bench.run(3599)
    assert bench.active() == []
    bench.run(3)
    assert 3 in bench.active()


def test_missing_measurement_raises_and_clears_nothing():
    bench = Bench(debounce_sec=2, temp_low_enabled=True)
    data = bench.live.data
    data[L.TEMP_EXT1] = 500
    bench.run(5)
    assert bench.active() == [1]
    for field in (L.TEMP_INT, L.TEMP_EXT1, L.TEMP_EXT2, L.CELL_MIN, L.CELL_MAX, L.SOC, L.VOLTAGE, L.CURRENT):
        data[field] = L.ABSENT
    bench.run(5)
    assert bench.active() == [1]
    bench.normal()
    bench.run(1)
    assert bench.active() == []


def test_lost_bms_starts_the_debounce_anew():
    bench = Bench(debounce_sec=10, imbalance_enabled=False)
    bench.live.data[L.CELL_MAX] = 3700
    bench.run(9)
    bench.lost()
    assert bench.active() == [12]
    bench.live.qualified = True
    bench.run(9)
    assert bench.active() == []
    bench.run(2)
    assert bench.active() == [3]


def test_bms_that_never_answers():
    bench = Bench(connected=False)
    bench.run(14, polls=False)
    assert bench.active() == []
    bench.run(2, polls=False)
    assert bench.active() == [12]
    bench.live.qualified = True
    bench.run(1)
    assert bench.active() == [] and bench.history()[0] == (12, CLEARED)


def test_configuration_changes_act():
    bench = Bench(debounce_sec=0, imbalance_enabled=False)
    bench.live.data[L.CELL_MAX] = 3660
    bench.run(1)
    assert bench.active() == [3]
    bench.config.values["alerts.cell_voltage_max_mv"] = 3700
    bench.bus.publish(CONFIG, ("alerts.cell_voltage_max_mv",))
    bench.run(1)
    assert bench.active() == []
    bench.live.data[L.CELL_MAX] = 3800
    bench.live.data[L.CELL_MIN] = 3790
    bench.run(1)
    assert bench.active() == [3]
    bench.config.values["alerts.cell_volt_high_enabled"] = False
    bench.bus.publish(CONFIG, ("alerts.cell_volt_high_enabled",))
    bench.run(1)
    assert bench.active() == []


def test_switched_off_watches_nothing():
    bench = Bench(debounce_sec=0)
    bench.live.data[L.CELL_MAX] = 3800
    bench.can.driver.state = "BUS_OFF"
    bench.live.data[L.STATUS] = L.FAULT
    bench.run(1)
    assert bench.active() == [3, 11, 13, 25]
    bench.config.values["alerts.enabled"] = False
    bench.bus.publish(CONFIG, ("alerts.enabled",))
    bench.status(L.CHARGING)
    bench.run(3)
    bench.lost()
    assert bench.active() == []
    assert {status for _, status in bench.history()} == {CLEARED}


def test_can_faults():
    bench = Bench()
    bench.can.driver.state = "NO_ACK"
    bench.run(4)
    assert bench.active() == []
    bench.run(3)
    assert bench.active() == [13] and bench.message(13) == "Défaut CAN: aucun équipement n'acquitte"
    bench.can.driver.state = "ERROR_PASSIVE"
    bench.run(4)
    assert bench.active() == [13]
    bench.run(3)
    assert bench.active() == []
    bench.bus.publish(CAN_STATE, "BUS_OFF")  # over before anybody looks
    bench.alerts.work()
    assert bench.active() == [13] and bench.message(13) == "Défaut CAN: bus-off"
    bench.run(8)
    assert bench.active() == []
    bench.can.driver.state = "STOPPED"
    bench.run(7)
    assert bench.active() == [13]
    bench.restart()
    bench.run(8)
    assert bench.active() == []


def test_gx_lost_and_back():
    bench = Bench()
    bench.run(40)
    assert bench.active() == []  # there never was one
    bench.can.presence.ever = bench.can.presence.present = True
    bench.run(2)
    bench.can.presence.present = False
    bench.run(1)
    assert bench.active() == [14]
    bench.restart()
    bench.run(2)
    assert bench.active() == [14]  # not known after a restart
    bench.can.presence.present = True
    bench.run(1)
    assert bench.active() == []


def test_what_charge_control_says():
    bench = Bench()
    for mask, kind in ((1, 18), (2, 15), (8, 17), (16, 19)):
        bench.can.charge.alerts = mask
        bench.run(1)
        assert bench.active() == [kind], (mask, bench.active())
        assert severity(kind) == 1 and bench.message(kind)
        bench.can.charge.alerts = 0
        bench.run(1)
        assert bench.active() == []
    bench.can.schedule.fault = "CHARGE"
    bench.run(1)
    assert bench.message(19) == "Régulation de charge en panne"
    bench.can.schedule.fault = ""
    bench.can.charge.alerts = 4
    bench.run(5)
    assert bench.active() == []
    bench.restart()
    bench.can.charge.alerts = 4
    bench.run(5)
    assert bench.history().count((16, CLEARED)) == 1


def test_status_changes():
    bench = Bench()
    for code in (L.CHARGING, L.FULLY_CHARGED, L.DISCHARGING, L.REGENERATION, L.IDLE, L.IDLE):
        bench.status(code)
    assert bench.history() == [(kind, CLEARED) for kind in (24, 23, 22, 21, 20)]
    assert bench.active() == [] and bench.triggered == []
    bench.status(L.FAULT)
    assert bench.active() == [25] and bench.message(25) == "BMS en défaut"
    bench.status(L.IDLE)
    assert bench.active() == []
    bench.restart()
    bench.status(L.IDLE)
    assert bench.history()[:2] == [(24, CLEARED), (25, CLEARED)]


def test_status_that_flaps_spares_the_flash():
    bench = Bench()
    for n in range(600):
        bench.status(L.CHARGING if n % 2 else L.DISCHARGING)
        bench.run(1)
    kinds = [kind for kind, _ in bench.history()]
    assert 20 <= len(kinds) <= 26, len(kinds)


def test_short_fault_is_not_missed():
    bench = Bench()
    bench.live.data[L.STATUS] = L.IDLE
    bench.bus.publish(2, L.FAULT)  # STATUS
    bench.bus.publish(2, L.IDLE)
    bench.alerts.work()
    assert (25, CLEARED) in bench.history() and len(bench.triggered) == 1


def test_acknowledge():
    bench = Bench(debounce_sec=0)
    bench.live.data[L.CELL_MAX] = 3700
    bench.live.data[L.TEMP_EXT1] = 500
    bench.run(1)
    assert bench.active() == [1, 3, 11]
    one = bench.alerts.active[3]
    bench.clock.advance(1500)
    assert bench.alerts.acknowledge(one.id) == 1
    assert bench.alerts.acknowledge(one.id) == 0
    assert one.status == ACKNOWLEDGED and one.times[1] - one.times[0] == 1500
    assert bench.told[-1] == one.id and len(bench.told) == 4
    raises(KeyError, bench.alerts.acknowledge, 999)
    assert bench.alerts.acknowledge_all() == 2
    assert bench.alerts.acknowledge_all() == 0
    assert bench.active() == [1, 3, 11]
    bench.normal()
    bench.run(1)
    assert bench.active() == []
    assert bench.alerts.acknowledge(one.id) == 0  # it has ended
    assert bench.entries()[0].times[1] is not None


def test_restart_keeps_what_is_active():
    bench = Bench(debounce_sec=0)
    bench.live.data[L.CELL_MAX] = 3700
    bench.run(1)
    bench.alerts.acknowledge_all()
    before = {kind: alert.id for kind, alert in bench.alerts.active.items()}
    assert sorted(before) == [3, 11]
    bench.restart(connected=False)
    assert {kind: alert.id for kind, alert in bench.alerts.active.items()} == before
    assert {alert.status for alert in bench.alerts.active.values()} == {ACKNOWLEDGED}
    bench.live.data[L.CELL_MAX] = 3700
    bench.live.qualified = True
    bench.run(3)
    assert bench.active() == [3, 11] and bench.told == []
    bench.normal()
    bench.run(1)
    assert bench.active() == []
    bench.live.data[L.CELL_MAX] = 3700
    bench.run(1)
    assert bench.alerts.active[3].id > max(before.values())


def test_delete_keeps_active_ones_and_ids_go_on():
    bench = Bench(debounce_sec=0)
    for code in (L.CHARGING, L.DISCHARGING, L.IDLE):
        bench.status(code)
    bench.live.data[L.CELL_MAX] = 3700
    bench.run(1)
    top = bench.alerts.log.last_id
    assert bench.alerts.clear_history() == 3
    assert bench.alerts.clear_history() == 0
    assert sorted(bench.history()) == [(3, ACTIVE), (11, ACTIVE)]
    bench.normal()
    bench.run(1)
    assert bench.alerts.clear_history() == 2 and bench.history() == []
    bench.restart()
    bench.live.data[L.CELL_MAX] = 3700
    bench.run(1)
    assert min(alert.id for alert in bench.alerts.active.values()) > top


def test_english():
    bench = Bench(debounce_sec=0)
    bench.live.data[L.CELL_MAX] = 3700
    bench.run(1)
    bench.config.values["system.language"] = "en"
    assert bench.message(3) == "Cell voltage high: Cell 9 = 3.7V > 3.65V"


def test_a_reader_has_a_language_of_its_own():
    bench = Bench(debounce_sec=0)
    bench.live.data[L.CELL_MAX] = 3700
    bench.run(1)
    alert = bench.alerts.active[3]
    english, french = bench.alerts.texts("en"), bench.alerts.texts("fr")
    for setting in ("fr", "en"):
        bench.config.values["system.language"] = setting
        assert english.message(alert).startswith("Cell voltage high") and french.message(alert).startswith("Tension")
        assert bench.alerts.texts().message(alert) == bench.alerts.texts(setting).message(alert)


def test_every_type_has_a_text_in_both_languages():
    from firmware.alerts.alert import Alert
    from firmware.alerts.texts import Texts

    kinds = list(range(1, 26)) + [100 + n for n in range(1, 0x31)] + [200 + n for n in range(1, 0x31)]
    for language in ("fr", "en"):
        texts = Texts(language)
        for kind in kinds + [300 + n for n in range(1, 0x31)]:
            alert = Alert(1, kind)
            for value in (0, 1, 2, 3) if kind in (13, 19) else (123,):
                alert.value = value
                text = texts.message(alert)
                assert ("$" not in text and len(text) > 4) or (kind, value) in ((13, 0), (19, 2), (19, 3)), (kind, text)
    assert Texts("en").message(Alert(1, 0)) == ""
    assert Texts("fr").message(Alert(1, 131)) == "Défaut BMS 0x1F"
    assert Texts("fr").message(Alert(1, 310)) == "Information BMS 0x6A"


def test_severities():
    critical = [kind for kind in range(1, 400) if severity(kind) == 2]
    assert critical == [1, 3, 12, 25] + list(range(100, 200))
    assert [kind for kind in range(1, 300) if severity(kind) == 0] == [10, 16, 20, 21, 22, 23, 24]
    assert severity(301) == 0 and severity(202) == severity(14) == 1


def test_evaluating_all_rules_allocates_nothing():
    bench = Bench(debounce_sec=3600, temp_low_enabled=True, soc_low_enabled=True, charge_current_enabled=True)
    rules = bench.alerts.rules
    data = bench.live.data
    data[L.CELL_MAX] = 3700
    rules.evaluate()
    micropython.heap_lock()
    rules.evaluate()
    data[L.CELL_MAX] = 3300
    bench.alerts._on_poll(0, None)
    micropython.heap_unlock()
    gc.collect()
    before = gc.mem_alloc()
    rules.evaluate()
    assert gc.mem_alloc() == before


def test_idle_passes_keep_the_heap_flat_and_drop_what_was_loaded():
    import sys

    bench = Bench()
    bench.status(L.CHARGING)
    assert "firmware.alerts.life" in sys.modules
    bench.run(200)
    assert "firmware.alerts.life" not in sys.modules and "firmware.alerts.store" not in sys.modules
    bench.poll()
    gc.collect()
    before = gc.mem_alloc()
    for _ in range(20):
        bench.alerts.work()
    used = gc.mem_alloc() - before
    assert used == 0, used
    bench.status(L.IDLE)
    assert len(bench.history()) == 2
