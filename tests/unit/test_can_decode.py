"""The decoder of `/ws/can` against captures that we did not make (sources as in test_can_frames)."""

from firmware.can.decode import ITEMS, decode

CAPTURES = (
    (0x305, "00 00 00 00 00 00 00 00", {"keep_alive": True}),
    (0x306, "00 00 00 00 00 00 00 00", {"keep_alive": True}),
    (0x307, "12 34 56 78 56 49 43 00", {"inverter": "VIC"}),
    (0x351, "48 02 00 05 00 05 AE 01", {"cvl_v": 58.4, "ccl_a": 128.0, "dcl_a": 128.0, "discharge_voltage_v": 43.0}),
    (0x355, "43 00 64 00 00 00 00 00", {"soc_percent": 67, "soh_percent": 100, "soc_hires_percent": 0.0}),
    (0x356, "BE 14 F9 FF 8C 00 00 00", {"voltage_v": 53.1, "current_a": -0.7, "temperature_c": 14.0}),
    (0x35A, "AA AA AA AA AA AA AA AA", {"alarms": [], "warnings": [], "system_online": True}),
    (0x35E, "42 59 44 00 00 00 00 00", {"manufacturer": "BYD"}),
    (0x35F, "4C 69 01 17 69 00 00 00", {"model": 26956, "firmware": "1.23", "capacity_ah": 105, "hardware": 0}),
    (0x35F, "9B 3A 01 18", {"model": 15003, "firmware": "1.24"}),
    (0x372, "02 00 02 00 01 00 00 00", {"online": 2, "blocking_charge": 2, "blocking_discharge": 1, "offline": 0}),
    (0x373, "EA 0C 01 0D 1F 01 22 01",
     {"min_cell_mv": 3306, "max_cell_mv": 3329, "min_temperature_k": 287, "max_temperature_k": 290}),
    (0x374, "32 00 00 00 00 00 00 00", {"min_cell_id": "2"}),
    (0x377, "31 00 00 00 00 00 00 00", {"max_temperature_id": "1"}),
    (0x378, "40 08 00 00 2B 07 00 00", {"charged_kwh": 211.2, "discharged_kwh": 183.5}),
    (0x379, "9C 00 00 00 00 00 00 00", {"installed_ah": 156}),
    (0x382, "50 52 45 4D 49 55 4D 00", {"family": "PREMIUM"}),
    (0x123, "01 02", {}),
    (0x351, "48", {}),
    (0x35A, "04", {}),
)  # fmt: skip


def hexa(text):
    return bytes(int(part, 16) for part in text.split())


def test_captures():
    for can_id, data, expected in CAPTURES:
        assert decode(can_id, hexa(data)) == expected, (hex(can_id), decode(can_id, hexa(data)))


def test_alarm_bits():
    """Byte and value of each alarm as seen on a GX (dfch table); the warning lies four bytes later."""
    for name, byte, value in (
        ("high_voltage", 0, 0x04), ("low_voltage", 0, 0x10), ("high_temperature", 0, 0x40), ("low_temperature", 1, 0x01),
        ("high_temperature_charge", 1, 0x04), ("low_temperature_charge", 1, 0x10), ("high_discharge_current", 1, 0x40),
        ("high_charge_current", 2, 0x01), ("bms_internal", 2, 0x40), ("cell_imbalance", 3, 0x01),
    ):  # fmt: skip
        assert name in ITEMS
        for half, key in ((0, "alarms"), (4, "warnings")):
            data = bytearray(8)
            data[half + byte] = value
            found = decode(0x35A, data)
            assert found[key] == [name] and found["warnings" if key == "alarms" else "alarms"] == []
            assert found["system_online"] is False
