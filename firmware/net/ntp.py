"""One question to a time server (SNTP version 4, RFC 4330). Loaded for each question.

The time is counted in integers: a float of the board has 24 bits.
"""

import asyncio
import os
import socket
from micropython import const
from firmware import lazy

_PORT = const(123)
_SIZE = const(48)
_TRIES = const(3)
_WAIT_MS = const(2000)
_STEP_MS = const(20)
_ASK = const(0x23)  # no warning, version 4, client
_SERVER = const(4)
_UNSYNCHRONIZED = const(3)
_STRATUM_MAX = const(15)
_TO_UNIX_S = 2_208_988_800  # from 1900 to 1970; no const: over 30 bits
_ERA_S = 1 << 32  # the counter starts again in 2036: RFC 4330 section 3
_TOLD_MS = const(1000)  # a smaller correction is no news


def unix_ms(seconds, fraction):
    """Unix milliseconds of a timestamp of 32 + 32 bits; times with a clear top bit lie after 2036."""
    if not seconds & 0x80000000:
        seconds += _ERA_S
    return (seconds - _TO_UNIX_S) * 1000 + (fraction * 1000 >> 32)


def _word(data, at):
    return int.from_bytes(data[at : at + 4], "big")


def answer(data, mark):
    """Unix ms from the reply to our `mark` (8 bytes, sent as transmit time); None when it is not the reply. Raises OSError."""
    if len(data) < _SIZE or data[0] & 7 != _SERVER or bytes(data[24:32]) != mark:
        return None
    if data[1] == 0:  # a kiss of death: its four letters say why (section 8)
        raise OSError("time server refuses (%s)" % "".join(chr(c) for c in data[12:16] if 64 < c < 91))
    if data[0] >> 6 == _UNSYNCHRONIZED or data[1] > _STRATUM_MAX or not data[0] >> 3 & 7:
        raise OSError("time server does not know the time")
    seconds, fraction = _word(data, 40), _word(data, 44)
    if not seconds and not fraction:
        raise OSError("time server sends no time")
    return unix_ms(seconds, fraction)


async def ask(address, port, clock):
    """(Unix ms, ticks to which they belong) from the server. Raises OSError."""
    sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    try:
        sock.setblocking(False)
        sock.connect(socket.getaddrinfo(address, port)[0][-1])  # a number; and only the server can answer
        for _ in range(_TRIES):
            mark = os.urandom(8)  # not our time: it is nobody's business, and nobody can guess it
            packet = bytes((_ASK,)) + bytes(39) + mark
            sent = clock.ticks_ms()
            try:
                sock.send(packet)
            except OSError:
                pass  # no network at this moment
            for _ in range(_WAIT_MS // _STEP_MS):
                await asyncio.sleep_ms(_STEP_MS)
                try:
                    data = sock.recv(_SIZE)
                except OSError:
                    continue  # nothing there yet, or the port is closed
                stamp = answer(data, mark)
                if stamp is not None:
                    now = clock.ticks_ms()
                    return stamp + clock.ticks_diff(now, sent) // 2, now
    finally:
        sock.close()
    raise OSError("time server %s does not answer" % address)


async def sync(app):
    """Ask `time.ntp_server` ("name" or "name:port") and set the clock. Raises OSError."""
    board = app.board
    host, _, port = app.config["time.ntp_server"].partition(":")
    if port and not (port.isdigit() and 0 < int(port) < 65536):
        raise OSError("time.ntp_server has a port outside 1-65535")
    address = await lazy.once("net.resolver").Resolver(board).resolve(host)
    stamp, ticks = await ask(address, int(port or _PORT), board)
    stamp += board.ticks_diff(board.ticks_ms(), ticks)
    step = stamp - board.epoch_ms()
    news = not board.time_valid or board.time_source != "ntp" or not -_TOLD_MS < step < _TOLD_MS
    try:
        board.set_epoch_ms(stamp, "ntp")
    except ValueError as error:
        raise OSError("time server: %s" % error)
    if news:
        app.log.info("ntp", "clock set by %s" % host)
        app.event("TIME_SET", {"source": "ntp", "timestamp_ms": stamp})
