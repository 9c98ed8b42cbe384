"""The boards of `system.board`: their pins. Loaded when one is chosen, checked or prepared, then dropped.

A pin that is not in the maker's own files is our choice of a free one, and the README says so ("Boards and pins").
"""

KEYS = ("uart.tx_pin", "uart.rx_pin", "can.tx_pin", "can.rx_pin", "system.led_pin")

# Of a row: the chip ("" any); what KEYS become; (pin, level) that the board needs before CAN works; pins that it uses itself
CHIP, PINS, LEVELS, TAKEN = range(4)

_ROWS = {
    "generic": ("", (17, 16, 5, 4, -1), (), ()),
    # autosportlabs/ESP32-CAN-X2: CAN1_TRANSMIT.ino, esp-idf/blink; 17 and 16 lie on header SV2 (bolt-on template). Taken: SPI of
    # the second CAN controller
    "esp32-can-x2": ("esp32s3", (17, 16, 7, 6, 2), (), (10, 11, 12, 13)),
    # All but the UART: Xinyuan-LilyGO/T-CAN485, pin_config.h and the CAN example. 16 switches the 5 V of the transceivers on,
    # 23 low is their fast mode. Taken: SD card, RGB LED, RS485
    "t-can485": ("esp32", (33, 32, 27, 26, -1), ((16, 1), (23, 0)), (2, 4, 13, 14, 15, 17, 19, 21, 22)),
    "esp32-s3": ("esp32s3", (17, 18, 5, 4, -1), (), ()),
    "esp32-c3": ("esp32c3", (6, 7, 5, 4, -1), (), ()),
}
_OF_CHIP = {"esp32s3": "esp32-s3", "esp32c3": "esp32-c3"}


def row(name):
    """The row of a board."""
    return _ROWS[name]


def pins(name):
    """{key: pin} of a board."""
    return dict(zip(KEYS, _ROWS[name][PINS]))


def of_chip(chip):
    """The name of the board that fits any board with `chip`."""
    return _OF_CHIP.get(chip, "generic")
