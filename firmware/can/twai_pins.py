"""The pins of the TWAI controller on a board. Loaded at each start of the driver, for one call, and dropped."""

from firmware.can.twai_chips import IN_SELECT, OUT_SELECT, SIG_IN_SEL, SJW_SHIFT, TX_SIGNAL


def route(chip, mem, pin, tx, rx, inside):
    """Connect the pins, recessive first: `chip` a row of twai_chips.CHIPS, `mem` 32-bit words by address, `pin` machine.Pin.

    `inside` listens to the transmit pin itself: no transceiver needed. Making a `Pin` of the transmit pin elsewhere undoes this.
    """
    pin(tx, pin.OUT, value=1)
    if not inside:
        if rx >= 34 and chip[SJW_SHIFT] == 6:  # ESP32: input only, no pull-up
            pin(rx, pin.IN)
        else:
            pin(rx, pin.IN, pin.PULL_UP)
    mem[chip[IN_SELECT]] = (tx if inside else rx) | chip[SIG_IN_SEL]
    mem[chip[OUT_SELECT] + 4 * tx] = chip[TX_SIGNAL]
