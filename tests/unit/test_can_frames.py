"""Frames against captures that we did not make (BYD Battery-Box LVS: github.com/dfch/BydCanProtocol; MG Master LV: its
communication guide v8), and against plain Python over random input."""

import struct

from firmware import live
from firmware.can import frames as F
from firmware.can import identity
from tests.unit.help import FakeClock, FakeConfig, FakeLog

CVL, CCL, DCL, ACTIVE, WARNED, GOOD = range(6)
ABSENT = live.ABSENT


def hexa(text):
    return bytes(int(part, 16) for part in text.split())


def battery():
    """A snapshot with the figures of the BYD capture, and the work array to it."""
    data = live.Live(FakeClock()).data
    for field, value in (
        (live.VOLTAGE, 53_100),
        (live.CURRENT, -700),
        (live.SOC, 6700),
        (live.TEMP_INT, 300),
        (live.TEMP_EXT1, 140),
        (live.TEMP_EXT2, 140),
        (live.CELL_MIN, 3306),
        (live.CELL_MAX, 3329),
        (live.CELL_MIN_AT, 2),
        (live.CELL_MAX_AT, 15),
        (live.SET_CELLS, 16),
        (live.SET_EMPTY, 2688),
        (live.SET_CAPACITY, 156_000),
        (live.ENERGY_IN, 211_200),
        (live.ENERGY_OUT, 183_500),
        (live.FIRMWARE, 242),
        (live.HARDWARE, 0x0102),
    ):
        data[field] = value
    frames = F.Frames()
    for i, value in enumerate((58_400, 128_000, 128_000, 0, 0, 1)):
        frames.work[i] = value
    return data, frames


def encode(data, frames):
    known = F.core(data, frames.work, frames.buffer) | F.slow(data, frames.work, frames.buffer)
    return {can_id: bytes(frames.frame(i)) for i, can_id in enumerate(F.IDS) if known >> i & 1}


def test_captured_frames():
    data, frames = battery()
    out = encode(data, frames)
    assert out[0x351] == hexa("48 02 00 05 00 05 AE 01"), out[0x351]
    assert out[0x355] == hexa("43 00 64 00 2C 1A 00 00")  # BYD leaves the 0.01 % at zero
    assert out[0x356] == hexa("BE 14 F9 FF 8C 00 00 00")
    assert out[0x372] == hexa("01 00 00 00 00 00 00 00")
    assert out[0x378] == hexa("40 08 00 00 2B 07 00 00")
    assert out[0x379] == hexa("9C 00 00 00 00 00 00 00")
    data[live.TEMP_EXT2] = 170
    assert encode(data, frames)[0x373] == hexa("EA 0C 01 0D 1F 01 22 01")  # 287 K, 290 K


def test_identification():
    data, frames = battery()
    out = encode(data, frames)
    # MG guide: type little-endian, firmware 01 18 = 1.24: two decimal numbers, MSB first
    assert out[0x35F] == struct.pack("<H", 516) + hexa("02 F2") + struct.pack("<HH", 156, 0x0102)
    assert out[0x374] == b"C02\0\0\0\0\0" and out[0x375] == b"C15\0\0\0\0\0"
    data[live.FIRMWARE] = 254
    assert encode(data, frames)[0x35F][2:4] == hexa("02 FE")
    data[live.FIRMWARE] = 300
    assert encode(data, frames)[0x35F][2:4] == hexa("02 FF")


def test_sensors():
    data, frames = battery()
    for one, two, inside, mean, kelvin, names in (
        (140, 170, 300, 155, (287, 290), (b"EXT1", b"EXT2")),
        (170, 140, 300, 155, (287, 290), (b"EXT2", b"EXT1")),
        (-50, ABSENT, 300, -50, (268, 268), (b"EXT1", b"EXT1")),
        (ABSENT, -201, 300, -201, (253, 253), (b"EXT2", b"EXT2")),
        (ABSENT, ABSENT, -5, -5, (273, 273), (b"INT", b"INT")),
        (-10, 5, 300, -3, (272, 274), (b"EXT1", b"EXT2")),
    ):
        data[live.TEMP_EXT1], data[live.TEMP_EXT2], data[live.TEMP_INT] = one, two, inside
        out = encode(data, frames)
        assert struct.unpack("<h", out[0x356][4:6])[0] == mean, (one, two)
        assert struct.unpack("<HH", out[0x373][4:8]) == kelvin, (one, two)
        assert (out[0x376].rstrip(b"\0"), out[0x377].rstrip(b"\0")) == names, (one, two)


def test_absent_is_not_sent():
    data, frames = battery()
    everything = set(encode(data, frames))
    assert everything == set(F.IDS) - {0x35E, 0x370, 0x371, 0x380, 0x381, 0x382}
    for fields, missing in (
        ((live.SOC,), {0x355}),
        ((live.VOLTAGE,), {0x356}),
        ((live.CURRENT,), {0x356}),
        ((live.TEMP_EXT1, live.TEMP_EXT2, live.TEMP_INT), {0x356, 0x373, 0x376, 0x377}),
        ((live.CELL_MIN,), {0x373, 0x374, 0x375}),
        ((live.ENERGY_OUT,), {0x378}),
        ((live.FIRMWARE,), {0x35F}),
    ):
        data, frames = battery()
        for field in fields:
            data[field] = ABSENT
        assert everything - set(encode(data, frames)) == missing, fields


def test_soh():
    data, frames = battery()
    assert encode(data, frames)[0x355][2:4] == hexa("64 00")  # unknown: 100
    data[live.SOH] = 9799
    data[live.SOC] = 10_004  # more than full is full
    assert encode(data, frames)[0x355] == struct.pack("<HHHH", 100, 97, 10_000, 0)


def test_alarm_bits():
    """Every bit, one at a time: the table of dfch tells what each raises on a GX (04 00 .. = high voltage and so on)."""
    data, frames = battery()
    assert encode(data, frames)[0x35A] == hexa("AA AA 8A 02 AA AA 82 0A")
    frames.work[GOOD] = 0
    assert encode(data, frames)[0x35A] == hexa("AA AA 8A 02 AA AA 82 02")
    frames.work[GOOD] = 1
    for half in (0, 1):
        for item in range(13):
            if item == 10 or (half and item == 9):
                continue  # short circuit and contactor warning: not supported
            frames.work[ACTIVE], frames.work[WARNED] = 0, 0
            frames.work[ACTIVE + half] = 1 << item
            out = encode(data, frames)[0x35A]
            good = hexa("AA AA 8A 02 AA AA 82 0A")
            for i in range(8):
                active = (3 << 2 * (item % 4)) if i == 4 * half + item // 4 else 0
                assert (out[i] ^ good[i]) == active, (half, item, out)  # 10 became 01


def test_modules_block():
    data, frames = battery()
    frames.work[CCL], frames.work[DCL], frames.work[GOOD] = 99, 100, 0
    out = encode(data, frames)
    assert out[0x351][2:6] == hexa("00 00 01 00")
    assert out[0x372] == hexa("00 00 01 00 00 00 01 00")


def test_rounding():
    data, frames = battery()
    frames.work[CVL], frames.work[CCL], frames.work[DCL] = 58_499, 17_999, 54_050
    data[live.SET_EMPTY] = 2801
    for mv, ma, wire in (
        (55_784, -3013, (5578, -30)),
        (55_785, -3051, (5579, -31)),
        (0, 49, (0, 0)),
        (64_000, 50, (6400, 1)),
    ):
        data[live.VOLTAGE], data[live.CURRENT] = mv, ma
        out = encode(data, frames)
        assert struct.unpack("<hh", out[0x356][:4]) == wire, (mv, ma)
    assert struct.unpack("<HHHH", out[0x351]) == (584, 179, 540, 448)


def plain(data, work):
    """The numeric frames again, in plain Python from the tables of victron_can facts 3."""
    sensors = [
        (data[f], name) for f, name in ((live.TEMP_EXT1, b"EXT1"), (live.TEMP_EXT2, b"EXT2")) if data[f] != ABSENT
    ]
    sensors = sensors or [(data[live.TEMP_INT], b"INT")]
    cold = min(sensors, key=lambda s: s[0])
    hot = max(sensors, key=lambda s: s[0])

    def kelvin(t):
        return int(t / 10 + 273.15 + 0.5)

    def pad(text):
        return text + bytes(8 - len(text))

    soh = 100 if data[live.SOH] == ABSENT else data[live.SOH] // 100
    return {
        0x351: struct.pack(
            "<HhhH", work[0] // 100, work[1] // 100, work[2] // 100, data[live.SET_CELLS] * data[live.SET_EMPTY] // 100
        ),
        0x355: struct.pack("<HHHH", data[live.SOC] // 100, soh, data[live.SOC], 0),
        0x356: struct.pack(
            "<hhhH",
            (data[live.VOLTAGE] + 5) // 10,
            (data[live.CURRENT] + 50) // 100,
            sum(s[0] for s in sensors) // len(sensors),
            0,
        ),
        0x373: struct.pack("<HHHH", data[live.CELL_MIN], data[live.CELL_MAX], kelvin(cold[0]), kelvin(hot[0])),
        0x374: pad(b"C%02d" % data[live.CELL_MIN_AT]),
        0x375: pad(b"C%02d" % data[live.CELL_MAX_AT]),
        0x378: struct.pack("<II", data[live.ENERGY_IN] // 100, data[live.ENERGY_OUT] // 100),
        0x379: struct.pack("<HHHH", (data[live.SET_CAPACITY] + 500) // 1000, 0, 0, 0),
    }


def test_random_against_plain_python():
    data, frames = battery()
    state = [2463534]

    def draw(low, high):
        state[0] = (state[0] * 69069 + 12345) & 0x3FFFFFFF
        return low + (state[0] >> 8) % (high - low + 1)

    for _ in range(400):
        for field, low, high in (
            (live.VOLTAGE, 0, 64_000),
            (live.CURRENT, -750_000, 750_000),
            (live.SOC, 0, 10_000),
            (live.SOH, 0, 10_000),
            (live.TEMP_INT, -400, 1000),
            (live.TEMP_EXT1, -400, 1000),
            (live.TEMP_EXT2, -400, 1000),
            (live.CELL_MIN, 500, 5000),
            (live.CELL_MAX, 500, 5000),
            (live.CELL_MIN_AT, 1, 16),
            (live.CELL_MAX_AT, 1, 16),
            (live.SET_CELLS, 4, 16),
            (live.SET_EMPTY, 1000, 3500),
            (live.SET_CAPACITY, 100, 655_000),
            (live.ENERGY_IN, 0, 0x3FFFFFFE),
            (live.ENERGY_OUT, 0, 99_999),
        ):
            data[field] = draw(low, high)
        for field in (live.SOH, live.TEMP_EXT1, live.TEMP_EXT2):
            if draw(0, 3) == 0:
                data[field] = ABSENT
        frames.work[CVL], frames.work[CCL], frames.work[DCL] = draw(0, 64_000), draw(0, 675_000), draw(0, 675_000)
        out = encode(data, frames)
        for can_id, expected in plain(data, frames.work).items():
            assert out[can_id] == expected, (hex(can_id), out[can_id], expected, list(data))


def test_nothing_allocated():
    import micropython

    data, frames = battery()
    core, slow, work, buffer = F.core, F.slow, frames.work, frames.buffer
    core(data, work, buffer)
    micropython.heap_lock()
    try:
        core(data, work, buffer)
        slow(data, work, buffer)
    finally:
        micropython.heap_unlock()


def test_fields_are_those_of_live():
    """Viper needs its own constants: each frame reacts to the field of live.py that it is about, and to no other."""
    names = {
        0x351: ("SET_CELLS", "SET_EMPTY"),
        0x355: ("SOC", "SOH"),
        0x356: ("VOLTAGE", "CURRENT", "TEMP_EXT1", "TEMP_EXT2"),
        0x35F: ("FIRMWARE", "HARDWARE", "SET_CAPACITY"),
        0x373: ("CELL_MIN", "CELL_MAX", "TEMP_EXT1", "TEMP_EXT2"),
        0x374: ("CELL_MIN_AT",),
        0x375: ("CELL_MAX_AT",),
        0x378: ("ENERGY_IN", "ENERGY_OUT"),
        0x379: ("SET_CAPACITY",),
    }
    for field in range(live.FIELDS):
        data, frames = battery()
        data[live.SOH] = 9000
        data[live.TEMP_EXT2] = 200
        before = encode(data, frames)
        data[field] = 1000 if field in (live.SET_CAPACITY, live.SOC) else 7
        after = encode(data, frames)
        for can_id, fields in names.items():
            mine = field in [getattr(live, name) for name in fields]
            assert (before[can_id] != after[can_id]) == mine, (hex(can_id), field)


def named(**config):
    values = {"can.manufacturer": "", "can.battery_name": "", "can.battery_family": "", "can.serial_number": ""}
    for key, value in config.items():
        values["can." + key] = value
    data, frames = battery()
    for i, word in enumerate((0x3632, 0x1347, 0x3434, 0x3733, 0x001F, 0x004D)):
        data[live.SERIAL + i] = word
    log = FakeLog()
    identity.fill(frames.buffer, data, FakeConfig(values), log)
    texts = {}
    for can_id in (0x35E, 0x370, 0x371, 0x380, 0x381, 0x382):
        texts[can_id] = bytes(frames.frame(tuple(F.IDS).index(can_id))).rstrip(b"\0").decode()
    return texts, log


def test_own_identity():
    texts, log = named()
    assert texts[0x35E] == texts[0x370] == "TinyBMS" and texts[0x371] == "" and not log.lines
    # the user manual shows this unit as 32-36-47-13-34-34-33-37-1F-00-4D-00 and names it by the last three bytes
    assert texts[0x380] + texts[0x381] == "343433371F004D00"
    assert texts[0x382] == "HW 2.1"


def test_configured_identity():
    texts, log = named(
        manufacturer="Acme", battery_name="Acme house bank 1", battery_family="LFP16S", serial_number="SN-0042"
    )
    assert texts[0x35E] == "Acme" and texts[0x370] + texts[0x371] == "Acme house bank ", texts
    assert texts[0x380] == "SN-0042" and texts[0x381] == "" and texts[0x382] == "LFP16S"
    texts, log = named(battery_name="House bank")
    assert texts[0x35E] == texts[0x370] == "House ba" and texts[0x371] == "nk"
    texts, log = named(manufacturer="Acme")
    assert texts[0x35E] == texts[0x370] == "Acme"


def test_never_a_foreign_brand():
    for brand in ("PYLON", "pylontech", "PN12", "BYD", "byd lvs", "LG", "LG Chem", "Pelio-L", " Pelio"):
        texts, log = named(manufacturer=brand[:8], battery_name=brand, battery_family=brand[:8])
        assert texts[0x35E] == texts[0x370] == "TinyBMS" and texts[0x382] == "HW 2.1", brand
        assert log.lines and log.lines[0][0] == "warning"
