"""The network below HTTP."""

import asyncio

from tools.fuzz.device.common import chunks, in_hex


def mqtt():
    from firmware.mqtt import client
    from tests.unit.help import FakeClock

    def run(case):
        found = []
        made = client.Connection(
            b"gw", FakeClock(), lambda topic, payload: found.append([in_hex(topic), in_hex(payload)])
        )
        left = list(chunks(case[1:], case[0] * 2 + 1))
        left.reverse()

        async def fill():
            made._acks = bytearray()  # the writer sends them
            if not left:
                raise client.Failure("tcp", "end")
            part = left.pop()
            made._buffer[: len(part)] = part
            made._at, made._end = 0, len(part)

        made._fill = fill
        asyncio.run(made._read())
        assert made.failed.stage in ("tcp", "mqtt")
        return [found, made.failed.stage, made.received, made.skipped]

    return run


def dns():
    """First byte: bit 0 = mDNS. The question was number 0x1234, broker.test or broker.local."""
    from firmware.net import dns

    def run(case):
        local = case[0] & 1
        try:
            return dns.answer(case[1:], 0x1234, "broker.local" if local else "broker.test", local)
        except OSError as error:
            return str(error)

    return run


def ntp():
    """Our mark is 8 times 0x11."""
    from firmware.net import ntp
    from tests.unit.help import FakeClock

    def run(case):
        try:
            stamp = ntp.answer(case, b"\x11" * 8)
        except OSError as error:
            return str(error)
        if stamp is not None:
            FakeClock().set_epoch_ms(stamp, "ntp")
        return stamp

    return run


def captive():
    from firmware.net import captive_dns

    def run(case):
        packet = captive_dns.answer(case, b"\xc0\xa8\4\1")
        return packet and in_hex(packet)

    return run
