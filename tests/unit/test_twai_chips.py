"""Bit timing against the table of esp32_micropython facts 1.5, addresses against facts 1.3 and 1.4, and the shared words."""

from firmware.can import twai_chips as chips
from firmware.can.twai_regs import MemRegs
from tests.unit.help import raises

# bit rate, sample point, SJW given or 0, (prescaler, segment 1, segment 2, SJW), BTR0 of the ESP32, of S3 and C3, BTR1
ROWS = (
    (1_000_000, 800, 0, (4, 15, 4, 3), 0x81, 0x8001, 0x3E),
    (1_000_000, 750, 0, (10, 5, 2, 1), 0x04, 0x0004, 0x14),
    (500_000, 800, 0, (8, 15, 4, 3), 0x83, 0x8003, 0x3E),
    (500_000, 750, 2, (10, 11, 4, 2), 0x44, 0x4004, 0x3A),
    (500_000, 875, 0, (10, 13, 2, 1), 0x04, 0x0004, 0x1C),
    (250_000, 800, 0, (16, 15, 4, 3), 0x87, 0x8007, 0x3E),
    (250_000, 750, 2, (20, 11, 4, 2), 0x49, 0x4009, 0x3A),
    (250_000, 875, 0, (20, 13, 2, 1), 0x09, 0x0009, 0x1C),
    (125_000, 800, 0, (32, 15, 4, 3), 0x8F, 0x800F, 0x3E),
    (125_000, 750, 0, (40, 11, 4, 3), 0x93, 0x8013, 0x3A),
)

# the C6 runs at 40 MHz: not driven, but its rows check the arithmetic
ROWS_40_MHZ = (
    (1_000_000, 800, 0x8000, 0x3E),
    (500_000, 800, 0x8001, 0x3E),
    (250_000, 800, 0x8003, 0x3E),
    (125_000, 800, 0x8007, 0x3E),
    (500_000, 875, 0x0004, 0x05),
)


def test_every_row():
    for bitrate, sample, sjw, divided, esp32, s3, btr1 in ROWS:
        assert chips.divide(bitrate, sample, sjw) == divided, (bitrate, sample)
        assert chips.timing(bitrate, chips.CHIPS["ESP32"], sample, sjw) == (esp32, btr1)
        for name in ("ESP32S3", "ESP32C3"):
            assert chips.timing(bitrate, chips.CHIPS[name], sample, sjw) == (s3, btr1)
        brp, before, after, _ = divided
        assert bitrate * brp * (1 + before + after) == chips.HZ


def test_rows_of_40_mhz():
    for bitrate, sample, btr0, btr1 in ROWS_40_MHZ:
        assert chips.timing(bitrate, chips.CHIPS["ESP32C3"], sample, 0, 40_000_000) == (btr0, btr1)


def test_no_timing():
    for bitrate, sample in ((333_000, 800), (500_000, 810), (20_000, 800), (5_000_000, 800)):
        raises(ValueError, chips.divide, bitrate, sample)


def test_find():
    assert chips.find("Generic ESP32 module with ESP32") == "ESP32"
    assert chips.find("Generic ESP32 module with SPIRAM with ESP32") == "ESP32"
    assert chips.find("Generic ESP32S3 module with ESP32S3") == "ESP32S3"
    assert chips.find("Generic ESP32S3 module with Octal-SPIRAM with ESP32-S3") == "ESP32S3"
    assert chips.find("ESP32C3 module with ESP32C3") == "ESP32C3"
    for machine in ("linux [GCC 12.2.0] version", "Generic ESP32S2 module with ESP32S2", "x with ESP32C6"):
        raises(ValueError, chips.find, machine)


def test_addresses_follow_from_the_tables():
    # chip: GPIO base, offset of OUT_SEL, offset of IN_SEL, RX signal (facts 1.4)
    matrix = {
        "ESP32": (0x3FF44000, 0x530, 0x130, 94),
        "ESP32S3": (0x60004000, 0x554, 0x154, 116),
        "ESP32C3": (0x60004000, 0x554, 0x154, 74),
    }
    for name, (base, out, into, signal) in matrix.items():
        assert chips.CHIPS[name][chips.OUT_SELECT] == base + out
        assert chips.CHIPS[name][chips.IN_SELECT] == base + into + 4 * signal


class Memory(dict):
    """Words by address; remembers the order of writes, and `noise` is xored into the next reads."""

    def __init__(self):
        super().__init__()
        self.writes = []
        self.noise = []

    def __getitem__(self, address):
        value = self.get(address, 0x12345678)
        return value ^ self.noise.pop(0) if self.noise else value

    def __setitem__(self, address, value):
        self.writes.append((address, value))
        self.update({address: value})


class Pin:
    OUT, IN, PULL_UP = "out", "in", "up"
    made = []

    def __init__(self, *args, **kw):
        Pin.made.append((args, kw))


def regs(name, tx=5, rx=4):
    Pin.made = []
    memory = Memory()
    return MemRegs(name, tx, rx, memory, Pin, bytearray(128)), memory


def test_enable_changes_bit_19_only_and_only_once():
    for name in chips.CHIPS:
        unit, memory = regs(name)
        chip = chips.CHIPS[name]
        clock, reset = chip[chips.CLOCK_ENABLE], chip[chips.RESET]
        unit.enable()
        on, off = 0x12345678 | 1 << 19, 0x12345678 & ~(1 << 19)
        assert memory.writes == [(clock, on), (reset, on), (reset, off)]
        unit.enable()
        assert len(memory.writes) == 3


def test_high_bits_of_shared_words_stay():
    unit, memory = regs("ESP32S3")
    memory.update({0x600C0018: 0xFFF7FFFF, 0x600C0020: 0xFFFFFFFF})
    unit.enable()
    assert [value for _, value in memory.writes] == [0xFFFFFFFF, 0xFFFFFFFF, 0xFFF7FFFF]


def test_a_disturbed_read_is_read_again():
    unit, memory = regs("ESP32")
    memory.noise = [0xFF00, 0x00FF, 0, 0]
    unit.enable()
    assert memory.writes[0] == (0x3FF000C0, 0x12345678 | 1 << 19)
    unit, memory = regs("ESP32")
    memory.noise = list(range(1, 300))
    raises(OSError, unit.enable)
    assert memory.writes == []


def test_route():
    unit, memory = regs("ESP32", 5, 4)
    unit.route()
    assert Pin.made == [((5, "out"), {"value": 1}), ((4, "in", "up"), {})]
    assert memory.writes == [(0x3FF442A8, 4 | 0x80), (0x3FF44530 + 20, 123)]
    unit, memory = regs("ESP32", 5, 34)
    unit.route()
    assert Pin.made[1] == ((34, "in"), {})
    unit, memory = regs("ESP32C3", 6, 7)
    unit.route()
    assert memory.writes == [(0x6000427C, 7 | 0x40), (0x60004554 + 24, 74)]
    unit, memory = regs("ESP32S3", 6, 7)
    unit.route(True)
    assert Pin.made == [((6, "out"), {"value": 1})]
    assert memory.writes == [(0x60004324, 6 | 0x80), (0x60004554 + 24, 116)]


def test_registers_are_words():
    unit, _ = regs("ESP32")
    block = unit._base
    unit.write(6, 0x8003)
    unit.write(31, 0x100)
    assert block[24:28] == b"\x03\x80\0\0" and block[124:128] == b"\x00\x01\0\0"
    block[8:12] = b"\x0c\x01\xff\xff"
    assert unit.read(2) == 0x010C  # what lies above is masked: no big integer


def test_base_as_an_address():
    import uctypes

    block = bytearray(128)
    unit = MemRegs("ESP32", 5, 4, Memory(), Pin, uctypes.addressof(block))
    unit.write(31, 0x88)
    assert block[124] == 0x88 and unit.read(31) == 0x88
