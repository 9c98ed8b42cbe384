"""The line: resends, doubles, noise, NACK, reopening, and what callers of Bms get, against a fake port in real time."""

import asyncio

from firmware import bus as topics
from firmware.bms.bms import Bms
from firmware.bms.errors import BmsError
from firmware.bms.requests import request
from firmware.bus import Bus
from firmware.live import Live
from tests.unit.bms_fakes import FakeBms, RealClock, nack
from tests.unit.help import FakeConfig, FakeLog


def make(port, timeout=1000, interval=1000, clock=None):
    clock = clock or RealClock()
    config = FakeConfig({"uart.timeout_ms": timeout, "uart.poll_interval_ms": interval})
    return Bms(port, Live(clock), Bus(), clock, config, FakeLog())


async def with_line(bms, coroutine):
    """Await `coroutine` while only the line of `bms` runs, without polls."""
    line = asyncio.create_task(bms._link.run())
    await asyncio.sleep_ms(0)
    await asyncio.sleep_ms(0)
    try:
        return await coroutine
    finally:
        line.cancel()


async def refused(coroutine, code):
    try:
        await coroutine
    except BmsError as error:
        assert error.code == code, error.code
        return
    raise AssertionError("did not raise")


async def test_read():
    bms = make(FakeBms())
    assert await with_line(bms, bms.read(300, 2)) == [4150, 3000]


async def test_a_sleeping_bms_wakes_on_the_first():
    port = FakeBms()
    port.sleep = 1
    bms = make(port)
    clock = RealClock()
    start = clock.ticks_ms()
    assert await with_line(bms, bms.read(50, 1)) == [151]
    assert clock.ticks_diff(clock.ticks_ms(), start) < 600
    assert len(port.sent) == 2 and port.sent[0] == port.sent[1]
    assert bms.counters.resends == 1 and bms.counters.timeouts == 0


async def test_silence_times_out_and_the_next_request_works():
    port = FakeBms()
    port.sleep = 100
    bms = make(port, 300)

    async def run():
        await refused(bms.read(50, 1), "timeout")
        assert bms.counters.timeouts == 1 and len(port.sent) == 2
        port.sleep = 0
        assert await bms.read(50, 1) == [151]

    await with_line(bms, run())


async def test_nack_is_told_at_once():
    port = FakeBms()
    port.hook = lambda tx: [nack(3)]
    bms = make(port)
    await with_line(bms, refused(bms.read(50, 1), "nack"))
    assert bms.counters.nacks == 1 and len(port.sent) == 1


async def test_a_request_damaged_on_the_way_is_sent_again():
    port = FakeBms()
    port.hook = lambda tx: [nack(3, 1)] if len(port.sent) == 1 else None
    bms = make(port)
    assert await with_line(bms, bms.read(50, 1)) == [151]
    assert len(port.sent) == 2


async def test_damaged_reply_noise_and_text():
    port = FakeBms()

    def hook(tx):
        good = port.answer(tx)
        if len(port.sent) == 1:
            return [good[:-1] + b"\x00"]
        return [b"BPV:49.05\tMINCV:3.7", b"\xaa\x03\xaa", good[:3], good[3:], b"\xff\xaa"]

    port.hook = hook
    bms = make(port)
    assert await with_line(bms, bms.read(50, 1)) == [151]
    assert bms.counters.crc_errors == 1
    assert bms.counters.noise_bytes >= 29


async def test_a_refusal_behind_a_false_beginning_is_found_by_the_time_limit():
    port = FakeBms()
    port.hook = lambda tx: [b"\xaa\x03\x02" + nack(3)[:3], nack(3)[3:5], nack(3)[5:]]
    bms = make(port, 400)
    await with_line(bms, refused(bms.read(0, 1), "nack"))
    port.hook = lambda tx: [b"\xaa\x03\x70" + nack(3)]
    await with_line(bms, refused(bms.read(0, 56), "nack"))
    assert bms.counters.timeouts == 0


async def test_doubled_replies_answer_once():
    """The double of one reply must not be taken for the reply to the next request of the same shape."""
    port = FakeBms()
    port.hook = lambda tx: [port.answer(tx), port.answer(tx)]
    bms = make(port)

    async def run():
        for register, word in ((300, 4150), (301, 3000), (307, 14), (315, 4200), (316, 2900)) * 2:
            assert await bms.read(register, 1) == [word]

    await with_line(bms, run())
    assert bms.counters.doubled >= 9  # nobody waits for the last


async def test_late_replies_to_resends_are_not_mixed_up():
    port = FakeBms()
    bms = make(port)

    async def late(data):
        await asyncio.sleep_ms(170)
        port.push(data)

    def hook(tx):
        asyncio.create_task(late(port.answer(tx)))
        return []

    port.hook = hook

    async def run():
        for register, word in ((300, 4150), (301, 3000), (315, 4200)):
            assert await bms.read(register, 1) == [word]

    await with_line(bms, run())
    assert bms.counters.resends == 3
    assert bms.counters.timeouts == 0


async def test_requests_take_turns():
    port = FakeBms()
    bms = make(port)
    got = []

    async def one(register):
        got.append((register, await bms.read(register, 1)))

    async def run():
        await asyncio.gather(*[one(r) for r in (300, 301, 303, 304)])

    await with_line(bms, run())
    assert got == [(300, [4150]), (301, [3000]), (303, [3200]), (304, [1000])]


async def test_a_cancelled_caller_lets_the_next_one_in():
    port = FakeBms()
    port.sleep = 1
    bms = make(port)

    async def run():
        task = asyncio.create_task(bms.read(300, 1))
        await asyncio.sleep_ms(20)
        task.cancel()
        await asyncio.sleep_ms(0)
        assert await bms.read(301, 1) == [3000]

    await with_line(bms, run())


async def test_write_and_read_back():
    port = FakeBms()
    bms = make(port)
    assert await with_line(bms, bms.write_register(315, 4210)) == 4210
    assert port.sent[0] == bytes(request(0x10, 0x01, 0x3B, 0, 1, 2, 4210 >> 8, 4210 & 255))
    assert await with_line(bms, bms.write_register(320, -5)) == 0x10000 - 5


async def test_write_falls_back_to_the_other_command():
    port = FakeBms()
    port.hook = lambda tx: [nack(0x10)] if tx[1] == 0x10 else None
    bms = make(port)
    assert await with_line(bms, bms.write_register(315, 4210)) == 4210
    assert port.sent[1] == bytes(request(0x0D, 4, 0x3B, 0x01, 4210 & 255, 4210 >> 8))


async def test_write_refused():
    port = FakeBms()
    port.hook = lambda tx: [nack(tx[1])] if tx[1] != 3 else None
    bms = make(port)
    await with_line(bms, refused(bms.write_register(315, 4210), "nack"))
    for address, value in ((299, 0), (400, 0), (315, 0x10000), (315, -32769)):
        await with_line(bms, refused(bms.write_register(address, value), "range"))


async def test_commands():
    port = FakeBms()
    bms = make(port, 300)
    assert await with_line(bms, bms.command(1)) is True
    assert port.sent[-1] == b"\xaa\x02\x01\x91\x40"
    assert await with_line(bms, bms.command(5)) is True
    assert port.sent[-1] == b"\xaa\x02\x05\x90\x83"
    port.hook = lambda tx: [] if tx[1] == 2 else None
    port.sent.clear()
    assert await with_line(bms, bms.command(5)) is False
    assert [tx[1] for tx in port.sent] == [3, 2]  # once
    await with_line(bms, refused(bms.command(2), "timeout"))
    await with_line(bms, refused(bms.command(3), "range"))


async def test_limits():
    bms = make(FakeBms())
    assert await with_line(bms, bms.read_limits(2)) == [2000 + n for n in range(44)]


async def test_the_port_is_opened_again():
    port = FakeBms()
    port.refuse_open = 1
    bms = make(port)

    async def run():
        await refused(bms.read(50, 1), "offline")
        await asyncio.sleep_ms(1100)
        assert await bms.read(50, 1) == [151]
        port.hang_up()
        await asyncio.sleep_ms(20)
        await refused(bms.read(50, 1), "offline")
        await asyncio.sleep_ms(1100)
        assert await bms.read(50, 1) == [151]
        port.broken = True  # only the write notices
        await refused(bms.read(50, 1), "offline")
        await asyncio.sleep_ms(20)
        assert await bms.read(50, 1) == [151]

    await with_line(bms, run())
    assert port.opened == bms.counters.opened == 3
    told = [text for _, _, text in bms._link._log.lines if text.startswith("UART lost")]
    assert len(told) == 3, told  # refused, hung up, broken; not each attempt


async def test_a_port_that_stays_away_is_told_once():
    port = FakeBms()
    port.refuse_open = 3
    bms = make(port)

    async def wait():
        await asyncio.sleep_ms(2200)

    await with_line(bms, wait())
    assert port.refuse_open == 0
    assert len(bms._link._log.lines) == 1


async def test_frames_are_shown_when_somebody_looks():
    port = FakeBms()
    bms = make(port)
    queue = bms._link._bus.queue((topics.UART_FRAME,))
    await with_line(bms, bms.read(50, 1))
    assert await queue.get() == (topics.UART_FRAME, ("TX", b"\xaa\x03\x00\x32\x00\x01" + port.sent[0][-2:]))
    assert await queue.get() == (topics.UART_FRAME, ("RX", b"\xaa\x03\x02\x00\x97\xdc\x32"))
