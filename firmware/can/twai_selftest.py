"""Bring-up of the TWAI driver on a board: one frame to ourselves (self-test mode and self-reception; no second node)."""

from micropython import const
from firmware.can.twai_recovery import set_up

_SELF_TEST = const(4 | 8)  # MODE: no acknowledge needed, single filter
_SELF_RECEIVE = const(0x10)  # COMMAND
_FRAME = b"\x08\xff\xe0SelfTest"  # id 0x7FF: the lowest priority
_TIMEOUT_MS = const(100)
_READS = const(20_000)  # ends the wait even when the clock stands


def run(driver, inside):
    """Send a frame to ourselves; "" or what is wrong. `inside` needs no wiring, else a transceiver. Stops the driver, blocks
    up to 0.1 s.
    """
    driver.stop()
    regs = driver.regs
    regs.enable()
    regs.route(inside)
    try:
        if not set_up(driver, _SELF_TEST):
            return "controller does not answer"
        regs.write(0, 1 | _SELF_TEST)
        for i in range(4):
            regs.write(20 + i, 0xFF)  # accept everything
        regs.write(0, _SELF_TEST)
        return _loop(regs, driver.clock)
    finally:
        regs.write(0, 1)
        if inside:
            regs.route()


def _loop(regs, clock):
    for i in range(len(_FRAME)):
        regs.write(16 + i, _FRAME[i])
    regs.write(1, _SELF_RECEIVE)
    start = clock.ticks_ms()
    for _ in range(_READS):
        if regs.read(2) & 1:
            break
        if clock.ticks_diff(clock.ticks_ms(), start) > _TIMEOUT_MS:
            break
    status = regs.read(2)
    if not status & 1:
        text = "no frame came back: status %02X, TEC %d, REC %d"
        return text % (status, regs.read(15), regs.read(14))
    for i in range(len(_FRAME)):
        if regs.read(16 + i) & 0xFF != _FRAME[i]:
            return "byte %d came back changed" % i
    regs.write(1, 4)
    return ""
