"""The TWAI controller set up, and set up anew when it went wrong: bus-off, a reset that nobody asked for, a lost receive FIFO.

Always loaded: a recovery must not need the file system. Functions of a `twai.Twai`.
"""

from micropython import const
from firmware.can.twai_setup import CHECK

_MODE = const(0)  # register numbers: byte offset / 4
_STATUS = const(2)
_INTERRUPT = const(3)
_REC = const(14)
_TEC = const(15)

_RESET_MODE = const(1)  # MODE
_LISTEN_ONLY = const(2)
_SINGLE_FILTER = const(8)

_BUS_OFF = const(0x80)  # STATUS

LIVE = const(1)  # phases
WAIT = const(2)  # bus-off, recovery not yet due
RECOVER = const(3)
LOST = const(4)  # the controller does not answer

_RECOVERY_MS = const(3_000)  # 128 x 11 recessive bits take 12 ms at 125 kbit/s
_BACKOFF_MAX_MS = const(30_000)


def set_up(twai, mode):
    """Reset mode, every register, then `mode`; False when the registers do not hold what is written."""
    read, write, program = twai._read, twai._write, twai.program
    for i in range(0, len(program), 2):
        register, value = program[i], program[i + 1]
        write(register & (CHECK - 1), value)
        if register & CHECK and read(register & (CHECK - 1)) != value:
            return False
    read(_INTERRUPT)
    write(_MODE, _RESET_MODE | mode)
    write(_TEC, 0)
    write(_REC, 0)
    if not read(_MODE) & _RESET_MODE:
        return False
    write(_MODE, mode)
    return True


def go(twai):
    """Onto the bus; False when the controller does not answer: then it is tried again, later and later."""
    twai.loaded = twai.aborting = False  # a frame that was loaded stays held, and goes again if it is still fresh
    if set_up(twai, _SINGLE_FILTER):
        twai.enter(LIVE)
        twai.settled = False
        twai.tec = twai.rec = 0
        return True
    twai.fail("NO_CONTROLLER")
    _back_off(twai)
    twai.enter(LOST)
    twai.set_state("STOPPED")
    return False


def restart(twai, error):
    """One pulse of the controller's reset line, and anew."""
    twai.fail(error)
    twai.resets += 1
    twai.regs.reset()
    go(twai)


def _back_off(twai):
    twai.delay = min(max(1_000, 2 * twai.delay), _BACKOFF_MAX_MS)


def bus_off(twai):
    twai.bus_offs += 1
    twai.fail("BUS_OFF")
    twai.no_ack = False
    twai.set_state("BUS_OFF")
    twai.enter(WAIT)
    if twai.delay == 0:
        recover(twai)


def recover(twai):
    """Start the 128 x 11 recessive bits. REC may be left over and block them: writing TEC clears it (erratum)."""
    write = twai._write
    write(_MODE, _RESET_MODE | _LISTEN_ONLY | _SINGLE_FILTER)
    write(_TEC, 0)
    write(_TEC, 255)
    write(_MODE, _SINGLE_FILTER)
    if twai._read(_MODE) & _RESET_MODE:  # the 255 has put it off the bus once more; now REC must not move again
        write(_MODE, _SINGLE_FILTER)
    _back_off(twai)
    twai.enter(RECOVER)


def watch(twai):
    """Is the recovery over?"""
    if not twai._read(_STATUS) & _BUS_OFF:  # not the error bit: it moves during recovery (erratum 3.13.2)
        go(twai)  # set up anew: the first frame after a recovery would be wrong (erratum 3.13.3)
    elif twai.age(twai.since) > _RECOVERY_MS:
        restart(twai, "RECOVERY_TIMEOUT")
    elif twai._read(_MODE) & _RESET_MODE:  # or a little later
        twai._write(_MODE, _SINGLE_FILTER)
