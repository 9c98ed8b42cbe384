"""The settings catalogue: documented ranges, decoding, packed registers, cross rules, live limits."""

import json

from firmware.bms import catalogue
from firmware.bms.catalogue import RegisterError
from tests.unit.help import raises

# Settings of the real 14-cell unit "dump-hw-1" (firmware 2.3.242); what it does not list reads 0
_WORDS = [0] * 44
for _address, _word in (
    (300, 4150), (301, 3000), (303, 3200), (304, 1000), (306, 6600), (307, 14), (308, 15), (315, 4200), (316, 2900),
    (317, 60), (318, 20), (319, 60), (320, 1), (328, 65535),
):  # fmt: skip
    _WORDS[_address - 300] = _word


def _with(**words):
    changed = list(_WORDS)
    for name, word in words.items():
        changed[int(name[1:]) - 300] = word
    return changed


def _refused(*args):
    return raises(RegisterError, catalogue.check_write, *args).details


def test_lines_are_sound():
    keys = set()
    last = 0
    for line in catalogue.lines():
        assert line["key"] not in keys and line["address"] >= last and 300 <= line["address"] <= 343
        keys.add(line["key"])
        last = line["address"]
        assert line["type"] in ("u16", "i16", "u32", "low", "high", "bit")
        assert line["fr"] and line["en"] and ("warn_fr" in line) == ("warn_en" in line)
        assert ("values" in line) + ("min" in line) + ("bit" in line) == 1, line["key"]
        for language in ("fr", "en"):
            text = json.dumps(catalogue.entry(line, language, _WORDS))
            assert len(text.encode()) < 1024, line["key"]
    assert len(keys) == 40


def test_values_of_a_real_unit():
    values = {}
    for line in catalogue.lines():
        values[line["key"]] = catalogue.entry(line, "en", _WORDS, firmware=242)
    assert values["fully_charged_mv"]["value"] == 4150 and values["capacity_cah"]["value"] == 6600
    assert values["low_temperature_charge_c"]["value"] == 1 and values["set_soc"]["value"] is None
    peak = values["peak_discharge_a"]
    assert peak["value"] is None and not peak["supported"] and peak["since"] == "2.3.254" and peak["read_only"]
    assert values["distance_unit"]["values"][1] == {"value": 2, "label": "kilometre"}
    assert catalogue.entry(catalogue.find(314), "fr")["values"][0] == {"value": 1, "label": "mètre"}
    assert (
        catalogue.entry(catalogue.find(340), "fr")["restart"]
        and catalogue.entry(catalogue.find(340), "fr")["value"] is None
    )


def test_find():
    assert catalogue.find("over_voltage_mv")["address"] == 315 and catalogue.find(315)["key"] == "over_voltage_mv"
    for name in (330, 329, 302, 299, 344, True, None, "300", "", 3.0):
        raises(RegisterError, catalogue.find, name)


def test_plain_writes():
    assert catalogue.check_write("fully_charged_mv", 4100, _WORDS) == [(300, 4100)]
    assert catalogue.check_write(320, -40, _WORDS) == [(320, 0xFFD8)]
    assert catalogue.check_write("pulses_per_unit", 100000, _WORDS) == [(312, 0x86A0), (313, 1)]
    assert catalogue.check_write("set_soc", 50000, _WORDS) == [(328, 50000)]
    for value in (1199, 4501, True, "4100", 4100.0, None, -1):
        assert _refused("fully_charged_mv", value, _WORDS) == "fully_charged_mv must be an integer, 1200 to 4500"
    assert _refused(320, 11, _WORDS) == "320 must be an integer, -40 to 10"
    assert _refused("nothing", 1, _WORDS) == "nothing is unknown"


def test_signed_and_packed_values_decode():
    words = _with(r320=0xFFD8, r330=0x0501, r329=5, r312=0x86A0, r313=1)
    for key, value in (
        ("low_temperature_charge_c", -40), ("charger_type", 1), ("discharge_over_current_timeout_s", 5),
        ("invert_current_sensor", 1), ("disable_switch_diagnostics", 0), ("charge_restart_enabled", 1),
        ("pulses_per_unit", 100000),
    ):  # fmt: skip
        assert catalogue.decode(catalogue.find(key), words) == value, key


def test_packed_registers_keep_their_other_half():
    words = _with(r330=0x0502, r331=0xAB03, r329=0xFFF9)
    assert catalogue.check_write("charger_type", 1, words) == [(330, 0x0501)]
    assert catalogue.check_write("discharge_over_current_timeout_s", 30, words) == [(330, 0x1E02)]
    assert catalogue.check_write("load_switch", 8, words) == [(331, 0xAB08)]
    assert catalogue.check_write(331, 0, words) == [(331, 0xAB00)]
    assert catalogue.check_write("disable_switch_diagnostics", 1, words) == [(329, 0xFFFB)]
    assert catalogue.check_write("invert_current_sensor", 0, words) == [(329, 0xFFF8)]
    assert catalogue.check_write("precharge_pin", 16, words) == [(337, 16)]
    assert _refused("precharge_pin", 10, words).startswith("precharge_pin must be one of 0, 1, 2")
    assert _refused("charger_switch", 0, words) == "charger_switch must be one of 1, 2, 3, 4, 5, 6, 7, 8, 9"
    assert _refused("discharge_over_current_timeout_s", 31, words).endswith("0 to 30")
    assert _refused("invert_current_sensor", True, words).endswith("0 to 1")
    assert _refused("load_switch", 1, None) == "load_switch cannot be written: the settings were not read"


def test_order_of_the_voltages():
    # 316 < 301 < 300 < 315, each 10 mV apart: 2900 < 3000 < 4150 < 4200
    for key, ok, bad in (
        ("fully_charged_mv", (3010, 4190), (3009, 4191)),
        ("fully_discharged_mv", (2910, 3500), (2909,)),
        ("over_voltage_mv", (4160, 4500), (4159,)),
        ("under_voltage_mv", (800, 2990), (2991,)),
    ):
        for value in ok:
            catalogue.check_write(key, value, _WORDS)
        for value in bad:
            assert "10 mV" in _refused(key, value, _WORDS), (key, value)
    assert "not read" in _refused("fully_charged_mv", 4100, None)
    assert "not read" in _refused("fully_charged_mv", 4100, [4150, 3000])


def test_peak_current_lies_above_the_discharge_cutoff():
    assert "above register 317 (60)" in _refused("peak_discharge_a", 60, _WORDS)
    assert catalogue.check_write("peak_discharge_a", 61, _WORDS, None, None, 254) == [(305, 61)]
    assert "below register 305 (80)" in _refused("discharge_over_current_a", 80, _with(r305=80))
    assert catalogue.check_write("discharge_over_current_a", 80, _with(r305=80), None, None, 242) == [(317, 80)]
    assert catalogue.check_write("discharge_over_current_a", 80, _WORDS) == [(317, 80)]  # 305 is 0: none
    assert _refused("peak_discharge_a", 90, _WORDS, None, None, 242) == "peak_discharge_a needs firmware 2.3.254"


def test_live_limits_go_first():
    low, high = [0] * 44, [0] * 44
    low[17], high[17] = 1, 100
    low[20], high[20] = 0xFFF6, 5  # -10 to 5
    assert (
        _refused("discharge_over_current_a", 101, _WORDS, low, high)
        == "discharge_over_current_a must be an integer, 1 to 100"
    )
    assert catalogue.limits(catalogue.find(320), low, high) == (-10, 5)
    assert catalogue.limits(catalogue.find(318), low, high) == (1, 750)  # 0 and 0: no answer for this one
    assert catalogue.limits(catalogue.find(318), low[:5], None) == (1, 750)
    line = catalogue.find("low_temperature_charge_c")
    entry = catalogue.entry(line, "en", _WORDS, low, high, _with(r320=0xFFFF))
    assert (entry["min"], entry["max"], entry["default"]) == (-10, 5, -1)
