"""Opening the channel of an SLCAN adapter. Loaded each time an adapter is found, and dropped."""

import asyncio
from micropython import const

_BEL = const(7)
_PAUSE_MS = const(20)  # between the commands: some adapters lose one that comes with the next


async def handshake(port, speed):
    """Close what may be open, set the speed (the S command), open. False when the adapter refused; OSError when it is gone."""
    for command in (b"\r\r\r", b"C\r", speed, b"O\r"):
        port.write(command)
        await asyncio.sleep_ms(_PAUSE_MS)
    answers = bytearray(64)
    refused = 0
    while True:  # CR and BEL so far: C is refused where nothing was open, a refused S or O shows as a second BEL
        n = port.any_in(answers)
        if not n:
            return refused <= 1
        refused += sum(1 for byte in answers[:n] if byte == _BEL)
