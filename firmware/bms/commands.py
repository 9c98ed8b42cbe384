"""Reads, writes and commands that somebody asks for: methods of `Bms`, loaded for each use."""

from micropython import const

from firmware.bms import frames, requests
from firmware.bms.errors import BmsError
from firmware.bms.link import CLOSED, NACKED

_CLEAR_STATISTICS = const(2)
_RESTART = const(5)
_STATUS = const(50)


async def _ask(link, tx, code, third, total=0, resend=True):
    """As `Link.request`, and raises BmsError when there is no good reply. Copy what you need before you wait again."""
    length = await link.request(tx, code, third, total, resend)
    if length > 0:
        return
    if length == NACKED:
        raise BmsError("nack", "TinyBMS refused the command")
    if length == CLOSED:
        raise BmsError("offline", "UART is not open")
    raise BmsError("timeout", "TinyBMS does not answer")


async def read(bms, address, count):
    """List of `count` (1-127) words from register `address` on."""
    if not (0 <= address <= 0xFFFF and 1 <= count <= 127):
        raise BmsError("range", "registers {}+{}".format(address, count))
    await _ask(bms._link, requests.read_words(address, count), frames.READ, 2 * count)
    return [frames.word(bms._link.frame, n) for n in range(count)]


async def write_register(bms, address, value):
    """Write one setting (300-399; -32768...65535) and give what the register reads then, a word.

    The caller compares: some registers take a value and read 0xFFFF after. 0x10 is what field devices use; a BMS that
    refuses it for a single register gets 0x0D (tinybms_uart facts 4, 18).
    """
    if not (300 <= address <= 399 and -32768 <= value <= 0xFFFF):
        raise BmsError("range", "register {} = {}".format(address, value))
    ah, al, vh, vl = address >> 8, address & 0xFF, (value >> 8) & 0xFF, value & 0xFF
    try:
        try:
            await _ask(bms._link, requests.request(frames.WRITE, ah, al, 0, 1, 2, vh, vl), frames.WRITE, ah, 8)
        except BmsError as error:
            if error.code != "nack":
                raise
            tx = requests.request(frames.WRITE_ONE, 4, al, ah, vl, vh)
            await _ask(bms._link, tx, frames.ACK, frames.WRITE_ONE, 5)
        return (await read(bms, address, 1))[0]
    finally:  # also when the answer was lost: it may have been written
        bms._poller.settings_changed()


async def command(bms, option):
    """0x02: 1 clears the events, 2 the statistics, 5 restarts the BMS. True when the BMS acknowledged.

    A restart is sent once, to a BMS that was woken before, as a second one would restart it twice; whether it answers
    before it restarts is not documented, so False is no error there.
    """
    if option not in (1, _CLEAR_STATISTICS, _RESTART):
        raise BmsError("range", "command {}".format(option))
    try:
        if option == _RESTART:
            await read(bms, _STATUS, 1)
        try:
            await _ask(
                bms._link, requests.request(frames.RESET, option), frames.ACK, frames.RESET, 5, option != _RESTART
            )
        except BmsError as error:
            if option != _RESTART or error.code != "timeout":
                raise
            return False
        return True
    finally:
        bms._poller.restarted()


async def read_limits(bms, option):
    """0x1D: 44 words for registers 300-343; option 1 lowest, 2 highest, 3 default, 4 present value."""
    if not 1 <= option <= 4:
        raise BmsError("range", "option {}".format(option))
    await _ask(bms._link, requests.request(frames.LIMITS, option, 0, 44), frames.LIMITS, 88)
    frame = bms._link.frame
    return [frame[3 + 2 * n] | frame[4 + 2 * n] << 8 for n in range(44)]
