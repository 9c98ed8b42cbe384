"""The TWAI controller's registers on a board: power, pins, and access by register number.

`machine` is only imported on a board; a test hands in its own memory, pin class and register block.
"""

import micropython
from firmware import lazy
from firmware.can.twai_chips import BASE, CLOCK_ENABLE, IN_SELECT, OUT_SELECT, RESET, SIG_IN_SEL, SJW_SHIFT, TX_SIGNAL
from firmware.lazy import seldom

_BIT = micropython.const(1 << 19)  # the controller's bit in the clock and reset words of all chips


# A literal address above 2^30 would become a new big integer at each access; as an argument that exists once it does not.
@micropython.viper
def _read(base: ptr32, index: int) -> int:  # noqa: F821
    return base[index] & 0xFFFF


@micropython.viper
def _write(base: ptr32, index: int, value: int):  # noqa: F821
    base[index] = value


class MemRegs:
    """Registers of the chip called `name`, on pins `tx` and `rx`.

    `enable()` must run once before WiFi starts: it changes words that other drivers share (erratum 3.10 of the ESP32).
    """

    @seldom
    def __init__(self, name, tx, rx, mem=None, pin=None, base=None):
        if mem is None:
            from machine import mem32 as mem
        if pin is None:
            from machine import Pin as pin
        self._chip = lazy.once("can.twai_chips").CHIPS[name]
        self._base = self._chip[BASE] if base is None else base
        self._mem = mem
        self._pin = pin
        self._pins = (tx, rx)
        self._enabled = False

    def read(self, index):
        """Register `index` (byte offset / 4); the low 16 bits, which is all there is."""
        return _read(self._base, index)

    def write(self, index, value):
        _write(self._base, index, value)

    @seldom
    def enable(self):
        """Clock on, one pulse of reset; does nothing the second time."""
        if not self._enabled:
            self._enabled = True
            self._change(self._chip[CLOCK_ENABLE], True)
            self.reset()

    def reset(self):
        """One pulse of the reset line: the only way out of a locked receive FIFO."""
        self._change(self._chip[RESET], True)
        self._change(self._chip[RESET], False)

    def _change(self, address, on):
        word = self._mem[address]
        for _ in range(100):
            again = self._mem[address]
            if again == word:  # two equal values: the other core did not disturb the read
                break
            word = again
        else:
            raise OSError("shared register does not settle")
        self._mem[address] = word | _BIT if on else word & ~_BIT & 0xFFFFFFFF

    @seldom
    def route(self, inside=False):
        """Connect the pins, recessive first. `inside` listens to the transmit pin itself: no transceiver needed.

        Making a `Pin` of the transmit pin elsewhere undoes this.
        """
        chip = self._chip
        tx, rx = self._pins
        pin = self._pin
        pin(tx, pin.OUT, value=1)
        if not inside:
            if rx >= 34 and chip[SJW_SHIFT] == 6:  # ESP32: input only, no pull-up
                pin(rx, pin.IN)
            else:
                pin(rx, pin.IN, pin.PULL_UP)
        self._mem[chip[IN_SELECT]] = (tx if inside else rx) | chip[SIG_IN_SEL]
        self._mem[chip[OUT_SELECT] + 4 * tx] = chip[TX_SIGNAL]
