"""Making a connection: name, TCP, TLS, CONNECT and CONNACK. Loaded for each try, dropped after it."""

import asyncio
import errno
import select
import socket
import struct
from micropython import const
from firmware.mqtt.client import Failure, packet_length

_EPIPE = const(32)  # the errno of MicroPython has no name for it
_STEP_MS = const(10)
_WAIT_MS = const(10_000)  # for TCP, and again for CONNACK
_REFUSED = ("", "protocol version", "client id", "server unavailable", "user name or password", "not authorized")


async def open(connection, settings, board, resolver):
    """Connect `connection` (a client.Connection) and log in. Raises Failure, everything given back then."""
    tls = None
    if settings.tls:
        from firmware.mqtt import tls

        tls.check(board)
        await asyncio.sleep_ms(0)
    try:
        address = await resolver.resolve(settings.host)
    except OSError as error:
        raise Failure("dns", str(error).strip())
    sock = None

    async def connect():
        return await _connect(address, settings.port)

    try:
        sock = await (tls.wrap(settings, connect) if tls else connect())
        connection.verified = settings.verified
        await _log_in(connection, sock, settings)
    except BaseException as error:
        await connection.close()
        if sock:
            sock.close()
        if isinstance(error, Failure) and error.stage == "tcp":
            resolver.expire(settings.host)
        raise


async def _connect(address, port):
    """A socket that is connected. Raises Failure."""
    sock = socket.socket()
    try:
        sock.setblocking(False)
        await _wait_connected(sock, address, port)
    except BaseException:
        sock.close()
        raise
    return sock


async def _wait_connected(sock, address, port):
    try:
        sock.connect(socket.getaddrinfo(address, port)[0][-1])
    except OSError as error:
        if error.errno != errno.EINPROGRESS:
            raise Failure("tcp", str(error))
    poller = select.poll()
    poller.register(sock, select.POLLOUT)
    for _ in range(_WAIT_MS // _STEP_MS):
        found = poller.poll(0)
        if found:
            if found[0][1] & (select.POLLERR | select.POLLHUP):
                raise Failure("tcp", _reason(sock))
            return
        await asyncio.sleep_ms(_STEP_MS)
    raise Failure("tcp", "no answer from %s" % address)


def _reason(sock):
    try:
        sock.recv(1)
    except OSError as error:
        return str(error).strip()
    return "refused"


async def _log_in(connection, sock, settings):
    """CONNECT and CONNACK. TLS shakes hands while the first bytes are written."""
    stage = "tls" if settings.tls else "mqtt"
    try:
        await connection.send(sock, _connect_packet(connection.client, settings))
    except (OSError, ValueError) as error:
        if stage == "tls" and error.args[0] in (_EPIPE, errno.ECONNRESET):
            raise Failure(stage, "the broker ended the handshake (does it want a client certificate?)")
        raise Failure(stage, str(error).strip())
    except Failure:
        raise Failure(stage, "the broker does not answer")
    connection.start(sock)
    for _ in range(_WAIT_MS // _STEP_MS):
        await asyncio.sleep_ms(_STEP_MS)
        if connection.connack is not None:
            break
        if connection.failed:
            raise Failure("mqtt", "the broker ended the connection instead of CONNACK")
    else:
        raise Failure("mqtt", "the broker does not answer CONNECT")
    code = connection.connack
    if code:
        text = "refused (%d: %s)" % (code, _REFUSED[code] if code < len(_REFUSED) else "?")
        raise Failure("credentials" if code in (4, 5) else "mqtt", text)


def _connect_packet(client, settings):
    """MQTT 3.1.1 section 3.1; a clean session: commands must not wait for us at the broker."""
    flags = 0x02
    fields = [settings.client_id]
    if settings.will_topic:
        client.set_last_will(settings.will_topic, b"offline", True, 1)
        flags |= 0x04 | client.lw_qos << 3 | client.lw_retain << 5
        fields += (client.lw_topic, client.lw_msg)
    if settings.user:
        flags |= 0x80
        fields.append(settings.user)
        if settings.password:
            flags |= 0x40
            fields.append(settings.password)
    body = bytearray(b"\0\x04MQTT\x04")
    body.append(flags)
    body.extend(struct.pack(">H", settings.keepalive))
    for field in fields:
        body.extend(struct.pack(">H", len(field)))
        body.extend(field)
    return b"\x10" + packet_length(len(body)) + body
