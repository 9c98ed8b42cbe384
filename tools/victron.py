"""What the Victron CAN-bms frames mean: one table for all identifiers, read as a GX reads them.

The table is written from the facts (victron_can sections 2-4) alone and shares nothing with the firmware's encoder, so that
the two check each other. `decode` gives plain values in the unit that the name ends with.
"""

from __future__ import annotations

from typing import NamedTuple

U16, S16, U32 = ("u", 2), ("s", 2), ("u", 4)
BITRATE = 500_000
NOT_SUPPORTED = 0xFFFF  # 0x372 only

PAIR = ("unsupported", "active", "ok", "unsupported")  # 00b, 01b, 10b, 11b (victron_can section 4)
# The items of 0x35A, two bits each, low bit first; None is reserved.
ITEMS = (
    "general", "high_voltage", "low_voltage", "high_temperature",
    "low_temperature", "high_temp_charge", "low_temp_charge", "high_current",
    "high_charge_current", "contactor", "short_circuit", "bms_internal",
    "cell_imbalance", None, None, None,
)  # fmt: skip


class Field(NamedTuple):
    """A little-endian number at `start`; value = raw * `num` / `den`."""

    name: str
    start: int
    kind: tuple
    num: int = 1
    den: int = 1


class Frame(NamedTuple):
    name: str
    fields: tuple = ()
    text: str = ""  # name of the ASCII text that fills the frame
    from_gx: bool = False


def _four(*names):
    return tuple(Field(name, 2 * at, U16) for at, name in enumerate(names))


FRAMES = {
    0x305: Frame("gx keep-alive", from_gx=True),
    0x306: Frame("gx battery present", from_gx=True),
    0x307: Frame("gx inverter id", from_gx=True),
    0x351: Frame(
        "limits",
        (
            Field("cvl_V", 0, U16, 1, 10),
            Field("ccl_A", 2, S16, 1, 10),
            Field("dcl_A", 4, S16, 1, 10),
            Field("dvl_V", 6, U16, 1, 10),
        ),
    ),
    0x355: Frame(
        "state of charge",
        (Field("soc_pct", 0, U16), Field("soh_pct", 2, U16), Field("soc_hires_pct", 4, U16, 1, 100)),
    ),
    0x356: Frame(
        "measurements",
        (
            Field("voltage_V", 0, S16, 1, 100),
            Field("current_A", 2, S16, 1, 10),
            Field("temperature_C", 4, S16, 1, 10),
            Field("bytes6_7_u16", 6, U16),
        ),
    ),
    0x35A: Frame("alarms"),
    0x35B: Frame("events"),
    0x35E: Frame("manufacturer", text="manufacturer"),
    0x35F: Frame(
        "battery info",
        (Field("model_u16", 0, U16), Field("online_capacity_Ah", 4, U16), Field("hw_or_reserved_u16", 6, U16)),
    ),
    0x360: Frame("force charge"),
    0x370: Frame("name, first half", text="name_1"),
    0x371: Frame("name, second half", text="name_2"),
    0x372: Frame("modules", _four("online", "blocking_charge", "blocking_discharge", "offline")),
    0x373: Frame("cell extremes", _four("min_cell_mV", "max_cell_mV", "min_temp_K", "max_temp_K")),
    0x374: Frame("lowest cell", text="min_cell_id"),
    0x375: Frame("highest cell", text="max_cell_id"),
    0x376: Frame("coldest sensor", text="min_temp_id"),
    0x377: Frame("hottest sensor", text="max_temp_id"),
    0x378: Frame("energy", (Field("charged_kWh", 0, U32, 1, 10), Field("discharged_kWh", 4, U32, 1, 10))),
    0x379: Frame("capacity", (Field("installed_Ah", 0, U16),)),
    0x380: Frame("serial, first half", text="serial_1"),
    0x381: Frame("serial, second half", text="serial_2"),
    0x382: Frame("family", text="family"),
}
FROM_GX = tuple(can_id for can_id, frame in FRAMES.items() if frame.from_gx)
REQUIRED = (0x351, 0x355, 0x356, 0x35A)


def pairs(four_bytes):
    """The 16 two-bit items of four bytes of 0x35A, as a dict item name -> "active", "ok" or "unsupported"."""
    word = int.from_bytes(four_bytes, "little")
    return {name: PAIR[word >> 2 * at & 3] for at, name in enumerate(ITEMS) if name}


def ascii_text(data):
    """The text of a zero padded ASCII frame; a byte that is no ASCII shows as "?"."""
    return bytes(data).split(b"\0")[0].decode("ascii", "replace").replace("\ufffd", "?")


def _firmware(data):
    # MSB first, decimal: 01 17 is 1.23 (victron_can section 3)
    return {"fw": f"{data[2]}.{data[3]:02d}"} if len(data) >= 4 else {}


def _alarms(data):
    if len(data) < 8:
        return {}
    return {"alarms": pairs(data[:4]), "warnings": pairs(data[4:8]), "system_status_bits": data[7] >> 2 & 3}


def _special(can_id, data):
    """What does not fit the table of plain numbers."""
    if can_id == 0x307:
        return {"prefix": bytes(data[:4]).hex(), "text": ascii_text(data[4:])}
    if can_id == 0x35A:
        return _alarms(data)
    if can_id == 0x35F:
        return _firmware(data)
    if can_id == 0x360:
        return {"force_charge": bool(data) and data[0] != 0}
    if can_id in (0x305, 0x306, 0x35B):
        return {"all_zero": not any(data)}
    return {}


def decode(can_id, data):
    """The values in a frame: dict name -> number or text; {} for an unknown identifier.

    Fields that lie beyond a short frame's end are left out; modules of 0x372 that are not supported are None.
    """
    frame = FRAMES.get(can_id)
    if frame is None:
        return {}
    values = {}
    if frame.text:
        values[frame.text] = ascii_text(data)
    for name, start, (sign, size), num, den in frame.fields:
        if len(data) < start + size:
            continue
        raw = int.from_bytes(data[start : start + size], "little", signed=sign == "s")
        if can_id == 0x372 and raw == NOT_SUPPORTED:
            values[name] = None
        else:
            values[name] = raw * num / den if den > 1 else raw * num
    values.update(_special(can_id, data))
    return values


def active(states):
    """The names that are "active" in a dict that `pairs` gave, in the order of the frame."""
    return [name for name in ITEMS if name and states.get(name) == "active"]
