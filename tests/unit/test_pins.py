"""Pins that cannot work are refused, doubtful ones warn; a board sets its own."""

from firmware.board import pins
from firmware.config import presets, schema

_DEFAULTS = {
    "uart.tx_pin": 17,
    "uart.rx_pin": 16,
    "can.tx_pin": 5,
    "can.rx_pin": 4,
    "system.led_pin": -1,
    "system.board": "generic",
}


def _values(board="generic", **changes):
    values = dict(_DEFAULTS, **presets.pins(board))
    values["system.board"] = board
    for name, pin in changes.items():
        values[name.replace("_", ".", 1)] = pin
    return values


def _refused(chip, board="generic", **changes):
    found = pins.check(_values(board, **changes), chip)
    return found and found[0] + " " + found[1]


def test_defaults_of_the_table_are_the_generic_board():
    for key in presets.KEYS:
        assert schema.find(key).default == _DEFAULTS[key] == presets.pins("generic")[key]


def test_every_board_of_the_schema_has_pins_that_work_without_a_warning_of_its_own():
    for name in schema.find("system.board").choices:
        chip = presets.row(name)[presets.CHIP]
        assert pins.check(_values(name), chip) is None, name
        assert pins.check(_values(name)) is None, name
        if name not in ("generic", "esp32-s3", "esp32-c3"):
            assert pins.warnings(_values(name), chip) == [], (name, pins.warnings(_values(name), chip))
    for chip in ("esp32", "esp32s3", "esp32c3"):
        assert presets.row(presets.of_chip(chip))[presets.CHIP] in ("", chip)
        assert pins.check(_values(presets.of_chip(chip)), chip) is None


def test_pins_that_cannot_work_are_refused():
    for chip, pin in (("esp32", 6), ("esp32", 11), ("esp32s3", 26), ("esp32s3", 32), ("esp32c3", 12), ("esp32c3", 17)):
        board = presets.of_chip(chip)
        text = "must not be %d: the flash of an %s is there" % (pin, chip)
        for name in ("uart_tx_pin", "can_rx_pin", "system_led_pin"):
            assert _refused(chip, board, **{name: pin}).endswith(text), (chip, pin)
    for chip, pin in (("esp32", 20), ("esp32", 24), ("esp32", 40), ("esp32s3", 22), ("esp32c3", 22), ("esp32c3", 48)):
        assert "has no such pin" in _refused(chip, presets.of_chip(chip), can_tx_pin=pin), (chip, pin)
    assert _refused("esp32", can_tx_pin=34) == "can.tx_pin must not be 34: it is an input only"
    assert _refused("esp32", uart_tx_pin=39) and _refused("esp32", system_led_pin=36)
    assert _refused("esp32", can_rx_pin=34) is None and _refused("esp32", uart_rx_pin=39) is None
    assert _refused("esp32s3", can_tx_pin=34) is None
    assert _refused("esp32c3") == "uart.tx_pin must not be 17: the flash of an esp32c3 is there"


def test_pins_used_twice_are_refused():
    assert _refused("esp32", can_rx_pin=17) == "can.rx_pin must differ from uart_tx_pin (17)"
    assert _refused("", system_led_pin=5) == "system.led_pin must differ from can_tx_pin (5)"
    assert _refused("esp32", system_led_pin=2) is None and _refused("esp32", system_led_pin=-1) is None


def test_a_board_of_another_chip_is_refused():
    assert _refused("esp32", "esp32-s3") == "system.board must not be esp32-s3: it has an esp32s3, this is an esp32"
    assert _refused("esp32s3", "esp32-can-x2") is None


def test_what_a_board_needs_itself_is_refused():
    assert "the board switches its transceiver" in _refused("esp32", "t-can485", uart_rx_pin=16)
    assert pins.warnings(_values("t-can485", uart_rx_pin=21), "esp32") == [
        "uart_rx_pin 21: the board uses it for something else"
    ]


def test_doubtful_pins_warn():
    assert pins.warnings(_values(), "esp32") == [
        "uart_tx_pin 17: not free on modules with PSRAM, nor on an ESP32-PICO",
        "uart_rx_pin 16: not free on modules with PSRAM, nor on an ESP32-PICO",
        "can_tx_pin 5: strapping pin, what is connected must not hold it while the chip starts",
    ]
    assert pins.warnings(_values(), "esp32s3") == []
    for chip, some in (
        ("esp32", (0, 2, 12, 15, 1, 3)),
        ("esp32s3", (0, 3, 45, 46, 33, 37, 19, 20, 43, 44)),
        ("esp32c3", (2, 8, 9, 18, 19, 20, 21)),
    ):
        for pin in some:
            values = _values(presets.of_chip(chip), system_led_pin=pin)
            assert [text for text in pins.warnings(values, chip) if text.startswith("system_led_pin")], (chip, pin)


def test_an_unknown_chip_only_has_the_general_rules():
    assert _refused("esp32c6", can_tx_pin=30) is None
    assert _refused("esp32c6", can_tx_pin=16) == "can.tx_pin must differ from uart_rx_pin (16)"
    assert pins.warnings(_values(), "esp32c6") == []


def test_on_a_host_the_rules_of_the_chosen_board_count():
    assert "esp32 is there" in _refused("", can_tx_pin=6)
    assert "esp32c3 is there" in _refused("", "esp32-c3", can_tx_pin=16)
    assert _refused("", "esp32-s3", can_tx_pin=6) is None
