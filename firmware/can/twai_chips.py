"""Where each ESP32 keeps its TWAI controller, and the bit timing (esp32_micropython facts 1.3-1.5).

Read from IDF headers, not yet exercised on a board. The C6 is left out: its clock and reset lie elsewhere.
"""

from micropython import const

# index into a chip's row; addresses are bytes, signals and fields belong to the GPIO matrix
BASE = const(0)  # first register of the controller
CLOCK_ENABLE = const(1)  # bit 19 of this word switches the controller's clock on
RESET = const(2)  # bit 19 of this word holds the controller in reset
OUT_SELECT = const(3)  # + 4 * pin: which signal the pin puts out
IN_SELECT = const(4)  # of the receive signal: which pin it listens to
TX_SIGNAL = const(5)
SIG_IN_SEL = const(6)  # field of IN_SELECT: take the signal from the matrix
SJW_SHIFT = const(7)  # position of SJW in BTR0; the prescaler lies below it
PRESCALER_MAX = const(8)
CDR = const(9)  # value of the clock divider register: clock output off, and on the ESP32 the extended layout
ERRATA = const(10)  # True: the receive FIFO locks up when its counter reaches 64

HZ = const(80_000_000)  # APB clock of all three; must not be lowered while CAN is up

CHIPS = {
    "ESP32": (0x3FF6B000, 0x3FF000C0, 0x3FF000C4, 0x3FF44530, 0x3FF442A8, 123, 0x80, 6, 128, 0x88, True),
    "ESP32S3": (0x6002B000, 0x600C0018, 0x600C0020, 0x60004554, 0x60004324, 116, 0x80, 14, 16384, 0x100, False),
    "ESP32C3": (0x6002B000, 0x600C0010, 0x600C0018, 0x60004554, 0x6000427C, 74, 0x40, 14, 16384, 0x100, False),
}


def find(machine):
    """The name of the chip in `sys.implementation._machine` ("... with ESP32S3"); ValueError when it has no driver."""
    name = machine.rsplit(" with ", 1)[-1].replace("-", "").upper()
    for chip in CHIPS:
        if name == chip or (chip != "ESP32" and name.startswith(chip)):
            return chip
    raise ValueError("no TWAI driver for " + machine)


def divide(bitrate, sample=800, sjw=0, hz=HZ, prescaler_max=128):
    """Bit timing: (prescaler, time segment 1, time segment 2, SJW) for `bitrate` in bit/s, `sample` point in 0.1 %.

    The sample point must be hit exactly. Of all ways the one with the most quanta a bit wins that keeps segment 2 within 4,
    the largest SJW: more would be of no use. `sjw` 0 takes segment 2 less one. ValueError when there is no way.
    """
    for quanta in range(25, 3, -1):
        if hz % (bitrate * quanta) or (quanta * sample) % 1000:
            continue
        prescaler = hz // (bitrate * quanta)
        before = quanta * sample // 1000 - 1  # one quantum is the synchronisation
        after = quanta - 1 - before
        if prescaler & 1 or not 2 <= prescaler <= prescaler_max or not 1 <= before <= 16 or not 1 <= after <= 4:
            continue
        return prescaler, before, after, sjw or max(1, after - 1)
    raise ValueError("no bit timing for %d bit/s" % bitrate)


def timing(bitrate, chip, sample=800, sjw=0, hz=HZ):
    """(BTR0, BTR1) of `chip` (a row of CHIPS)."""
    prescaler, before, after, sjw = divide(bitrate, sample, sjw, hz, chip[PRESCALER_MAX])
    return (sjw - 1) << chip[SJW_SHIFT] | (prescaler // 2 - 1), (after - 1) << 4 | (before - 1)
