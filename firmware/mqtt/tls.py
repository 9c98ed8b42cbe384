"""TLS for the client, loaded while a connection is made. Facts: esp32_micropython 12, T5 and T8.

MicroPython takes certificates as DER only, so PEM files are unpacked here.
"""

import asyncio
import binascii
import tls
from micropython import const
from firmware.mqtt.client import Failure

_SESSION_BYTES = const(45 * 1024)  # of IDF heap: a session takes 36 KB


def check(board):
    """Raises Failure while TLS must wait."""
    if not board.time_valid:
        raise Failure("tls", "waits until the clock is set")
    free = board.idf_free()
    if free is not None and free < _SESSION_BYTES:
        raise Failure("tls", "not enough memory (%d KB free, 45 KB needed)" % (free // 1024))


def der_parts(data):
    """Each DER block of a PEM file; a DER file is one block."""
    at = data.find(b"-----BEGIN ")
    if at < 0:
        yield data
    while at >= 0:
        start = data.find(b"-----", at + 11) + 5
        end = data.find(b"-----END ", start)
        if start < 5 or end < 0:
            raise ValueError("damaged PEM")
        yield binascii.a2b_base64(data[start:end].replace(b"\n", b"").replace(b"\r", b""))
        at = data.find(b"-----BEGIN ", end)


def _read(path):
    try:
        with open(path, "rb") as file:
            return file.read()
    except OSError:
        raise Failure("tls", "cannot read %s" % path)


def _context(settings):
    context = tls.SSLContext(tls.PROTOCOL_TLS_CLIENT)
    context.verify_mode = tls.CERT_NONE
    if settings.ca:
        for part in der_parts(_read(settings.ca)):
            context.load_verify_locations(part)
    if settings.cert:
        chain = next(der_parts(_read(settings.cert)))  # MicroPython takes the one certificate
        context.load_cert_chain(chain, next(der_parts(_read(settings.key))))
    return context


async def wrap(settings, connect):
    """A socket from `await connect()` with TLS around it; hands are shaken by the first write. Raises Failure.

    With a CA its chain is checked, and the host name when that is asked for; without one, nothing is.
    """
    sock = None
    try:
        name = settings.host
        if settings.ca and not settings.check_name:
            from firmware.mqtt import peer

            await asyncio.sleep_ms(0)  # between steps that are long: the loop goes on
            name = await peer.ask(await connect(), _context(settings))
            await asyncio.sleep_ms(0)
        context = _context(settings)
        await asyncio.sleep_ms(0)
        if settings.ca:
            context.verify_mode = tls.CERT_REQUIRED
        sock = await connect()
        wrapped = context.wrap_socket(sock, server_hostname=name, do_handshake_on_connect=False)
        wrapped.setblocking(False)
        await asyncio.sleep_ms(0)
        return wrapped
    except (OSError, ValueError) as error:
        if sock:
            sock.close()
        raise Failure("tls", str(error).strip())
