"""The name in a broker's certificate, for a connection that checks the CA but not the host name. Loaded for that.

MicroPython checks a chain only together with a name (CERT_REQUIRED wants one). So a first handshake is begun, not finished, to
see the certificate; nothing was said by then. The connection proper is then checked against the name that stands in it: chain
and dates must be right, and who the broker says it is does not matter.
"""

import asyncio
import tls
from micropython import const
from firmware.mqtt.client import Failure

_STEP_MS = const(10)
_WAIT_MS = const(10_000)
_ALT_NAME = b"\x06\x03\x55\x1d\x11"  # object id 2.5.29.17 in DER (RFC 5280 section 4.2.1.6)
_COMMON_NAME = b"\x06\x03\x55\x04\x03"  # 2.5.4.3
_DNS = const(0x82)
_IP = const(0x87)


def _content(data, at):
    """(first, after last) byte of the DER value whose tag is at `at`."""
    size = data[at + 1]
    at += 2
    if size & 0x80:
        more = size & 0x7F
        size = int.from_bytes(data[at : at + more], "big")
        at += more
    return at, at + size


def name_of(cert):
    """A name (or IPv4 address) that the DER certificate is for. Raises ValueError when it has none."""
    try:
        at = cert.find(_ALT_NAME)
        if at >= 0:
            at += len(_ALT_NAME)
            if cert[at] == 0x01:  # critical
                at = _content(cert, at)[1]
            at = _content(cert, at)[0]  # octet string
            at, end = _content(cert, at)  # sequence
            while at < end:
                first, after = _content(cert, at)
                if cert[at] == _DNS:
                    return cert[first:after].decode()
                if cert[at] == _IP and after - first == 4:
                    return "%d.%d.%d.%d" % tuple(cert[first:after])
                at = after
        at = cert.rfind(_COMMON_NAME)  # the subject comes after the issuer
        if at >= 0:
            first, after = _content(cert, at + len(_COMMON_NAME))
            return cert[first:after].decode()
    except IndexError:
        pass
    raise ValueError("no name in the certificate")


async def ask(sock, context):
    """Begin a handshake on the connected `sock`; gives the name in the certificate. The socket is of no use afterwards."""
    seen = []

    def look(cert, depth):
        if not depth:
            seen.append(bytes(cert))
        return 0

    context.verify_mode = tls.CERT_OPTIONAL
    context.verify_callback = look
    wrapped = context.wrap_socket(sock, do_handshake_on_connect=False)
    try:
        wrapped.setblocking(False)
        for _ in range(_WAIT_MS // _STEP_MS):
            try:
                wrapped.read(1)
            except (OSError, ValueError):
                if not seen:
                    raise
            if seen:
                return name_of(seen[0])
            await asyncio.sleep_ms(_STEP_MS)
    finally:
        wrapped.close()
    raise Failure("tls", "the broker does not answer")
