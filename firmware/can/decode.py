"""What a Victron CAN frame says, for people (`/ws/can`): {name_unit: value}. Loaded only when somebody watches.

Tables: victron_can facts 2-4. Too short a frame gives the fields that are there; an unknown id gives {}.
"""

# id: (name, offset, size, signed, divisor)
_FIELDS = {
    0x351: (
        ("cvl_v", 0, 2, 0, 10),
        ("ccl_a", 2, 2, 1, 10),
        ("dcl_a", 4, 2, 1, 10),
        ("discharge_voltage_v", 6, 2, 0, 10),
    ),
    0x355: (("soc_percent", 0, 2, 0, 1), ("soh_percent", 2, 2, 0, 1), ("soc_hires_percent", 4, 2, 0, 100)),
    0x356: (("voltage_v", 0, 2, 1, 100), ("current_a", 2, 2, 1, 10), ("temperature_c", 4, 2, 1, 10)),
    0x35F: (("model", 0, 2, 0, 1), ("capacity_ah", 4, 2, 0, 1), ("hardware", 6, 2, 0, 1)),
    0x372: (
        ("online", 0, 2, 0, 1),
        ("blocking_charge", 2, 2, 0, 1),
        ("blocking_discharge", 4, 2, 0, 1),
        ("offline", 6, 2, 0, 1),
    ),
    0x373: (
        ("min_cell_mv", 0, 2, 0, 1),
        ("max_cell_mv", 2, 2, 0, 1),
        ("min_temperature_k", 4, 2, 0, 1),
        ("max_temperature_k", 6, 2, 0, 1),
    ),
    0x378: (("charged_kwh", 0, 4, 0, 10), ("discharged_kwh", 4, 4, 0, 10)),
    0x379: (("installed_ah", 0, 2, 0, 1),),
}
_TEXTS = {
    0x35E: "manufacturer", 0x370: "name", 0x371: "name_2", 0x374: "min_cell_id", 0x375: "max_cell_id",
    0x376: "min_temperature_id", 0x377: "max_temperature_id", 0x380: "serial", 0x381: "serial_2", 0x382: "family",
}  # fmt: skip
ITEMS = (
    "general", "high_voltage", "low_voltage", "high_temperature", "low_temperature", "high_temperature_charge",
    "low_temperature_charge", "high_discharge_current", "high_charge_current", "contactor", "short_circuit", "bms_internal",
    "cell_imbalance",
)  # fmt: skip


def _number(data, offset, size, signed):
    value = int.from_bytes(data[offset : offset + size], "little")
    return value - (1 << 8 * size) if signed and value >> (8 * size - 1) else value


def _text(data):
    return "".join(chr(byte) if 32 <= byte < 127 else "" for byte in data)


def _items(data, first):
    """Names of the active items of the four bytes from `first`."""
    return [name for i, name in enumerate(ITEMS) if data[first + i // 4] >> 2 * (i % 4) & 3 == 1]


def decode(can_id, data):
    """`data`: 0-8 bytes."""
    if can_id in _TEXTS:
        return {_TEXTS[can_id]: _text(data)}
    if can_id == 0x307:
        return {"inverter": _text(data[4:7])}
    if can_id in (0x305, 0x306):  # newer GX put voltage and current in, in a form nobody has published
        return {"keep_alive": True}
    result = {}
    if can_id == 0x35A:
        if len(data) >= 8:
            result = {"alarms": _items(data, 0), "warnings": _items(data, 4), "system_online": data[7] >> 2 & 3 == 2}
        return result
    for name, offset, size, signed, divisor in _FIELDS.get(can_id, ()):
        if len(data) >= offset + size:
            value = _number(data, offset, size, signed)
            result[name] = value if divisor == 1 else value / divisor
    if can_id == 0x35F and len(data) >= 4:
        result["firmware"] = "%d.%d" % (data[2], data[3])
    return result
