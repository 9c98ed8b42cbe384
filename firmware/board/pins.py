"""Which pins can work on which chip: what the configuration is checked against. Loaded when pins are set or shown.

Sources: esp32_micropython facts 1.4; "GPIO summary" of the ESP-IDF guide (docs/en/api-reference/peripherals/gpio.rst).
"""

from firmware.config import presets

_LED = "system.led_pin"


class _Chip:
    def __init__(self, exist, flash, input_only, strapping, psram, psram_text, console):
        self.exist = exist
        self.flash = flash
        self.input_only = input_only
        self.strapping = strapping
        self.psram = psram
        self.psram_text = psram_text
        self.console = console


def _esp32():
    there = set(range(40)) - {20, 24, 28, 29, 30, 31}
    return _Chip(
        there, range(6, 12), range(34, 40), (0, 2, 5, 12, 15), (16, 17), "with PSRAM, nor on an ESP32-PICO", (1, 3)
    )


def _esp32s3():
    there = set(range(49)) - {22, 23, 24, 25}
    return _Chip(there, range(26, 33), (), (0, 3, 45, 46), range(33, 38), "with octal PSRAM", (19, 20, 43, 44))


def _esp32c3():
    return _Chip(range(22), range(11, 18), (), (2, 8, 9), (), "", (18, 19, 20, 21))


_CHIPS = {"esp32": _esp32, "esp32s3": _esp32s3, "esp32c3": _esp32c3}


def chip_of(values, chip):
    """The chip whose rules count: `chip` of a board, else (on a host) that of the chosen board, an ESP32 for a generic one."""
    return chip or presets.row(values["system.board"])[presets.CHIP] or "esp32"


def refused(pin, chip, output):
    """Why `pin` cannot be an output (or an input) of `chip`, or None; a chip that is not known here refuses nothing."""
    if chip not in _CHIPS:
        return None
    rules = _CHIPS[chip]()
    if pin not in rules.exist:
        return "must not be %d: an %s has no such pin" % (pin, chip)
    if pin in rules.flash:
        return "must not be %d: the flash of an %s is there" % (pin, chip)
    if output and pin in rules.input_only:
        return "must not be %d: it is an input only" % pin
    return None


def check(values, chip=""):
    """(key, text) of a pin that cannot work on `chip` ("esp32", "esp32s3", "esp32c3"; "" on a host), or None.

    `values`: anything that gives values["group.name"]; what Config asks before it takes a change.
    """
    row = presets.row(values["system.board"])
    if chip and row[presets.CHIP] not in ("", chip):
        return "system.board", "must not be %s: it has an %s, this is an %s" % (
            values["system.board"],
            row[presets.CHIP],
            chip,
        )
    chip = chip_of(values, chip)
    seen = {}
    for key in presets.KEYS:
        pin = values[key]
        if pin < 0:
            continue
        text = refused(pin, chip, not key.endswith("rx_pin"))
        if text:
            return key, text
        if pin in seen:
            return key, "must differ from %s (%d)" % (seen[pin].replace(".", "_"), pin)
        seen[pin] = key
        for used, _ in row[presets.LEVELS]:
            if pin == used:
                return key, "must not be %d: the board switches its transceiver with it" % pin
    return None


def warnings(values, chip=""):
    """Texts about pins that work but with care, for people; [] when there is nothing to say."""
    row = presets.row(values["system.board"])
    chip = chip_of(values, chip)
    rules = _CHIPS[chip]() if chip in _CHIPS else None
    found = []
    for key in presets.KEYS:
        pin = values[key]
        if pin < 0 or (key == _LED and pin == row[presets.PINS][-1]):  # the board's own LED
            continue
        for pins, text in _reasons(rules, row):
            if pin in pins:
                found.append("%s %d: %s" % (key.replace(".", "_"), pin, text))
    return found


def _reasons(rules, row):
    yield row[presets.TAKEN], "the board uses it for something else"
    if rules:
        yield rules.strapping, "strapping pin, what is connected must not hold it while the chip starts"
        yield rules.psram, "not free on modules " + rules.psram_text
        yield rules.console, "console or USB of the chip"
