"""Schedule, qualification, loss and return of firmware/bms/poller.py, and what a poll costs in heap."""

import asyncio
import gc

from firmware import bus as topics
from firmware import lazy
from firmware import live as fields
from firmware.bms.bms import Bms
from firmware.bus import Bus
from firmware.live import Live
from tests.unit.bms_fakes import FakeBms, entry, nack
from tests.unit.help import FakeClock, FakeConfig, FakeLog

_SPEED = 10  # the clock runs so much faster than the test


class Rig:
    """A Bms on a fake port with a clock that runs `_SPEED` times too fast; `log` keeps what was published."""

    def __init__(self, registers=None):
        self.clock = FakeClock()
        self.port = FakeBms(registers) if registers else FakeBms()
        self.live = Live(self.clock)
        self.bus = Bus()
        self.config = FakeConfig({"uart.timeout_ms": 1000, "uart.poll_interval_ms": 10})
        self.log = FakeLog()
        self.published = []
        for topic in (topics.LINK, topics.POLL, topics.STATUS, topics.SETTINGS, topics.BMS_EVENTS):
            self.bus.subscribe(topic, self._note)
        self.bms = Bms(self.port, self.live, self.bus, self.clock, self.config, self.log)

    def _note(self, topic, payload):
        self.published.append((topic, payload, self.live.qualified))

    def count(self, topic):
        return sum(1 for note in self.published if note[0] == topic)

    def sent(self, code, address=None):
        """Number of requests of a kind since the start."""
        head = bytes((0xAA, code)) if address is None else bytes((0xAA, code, address >> 8, address & 255))
        return sum(1 for tx in self.port.sent if tx.startswith(head))

    async def until(self, condition, limit_ms=20_000):
        """Let it run until `condition()`; the limit is in the time of the clock."""
        end = self.clock.uptime_ms() + limit_ms
        while not condition():
            assert self.clock.uptime_ms() < end, (self.bms.reason, self.published[-5:])
            await self.pass_ms(20)

    async def pass_ms(self, ms):
        for _ in range(max(1, ms // (_SPEED * 2))):
            await asyncio.sleep_ms(2)
            self.clock.advance(_SPEED * 2)

    async def run(self, coroutine):
        task = asyncio.create_task(self.bms.run())
        try:
            await coroutine
        finally:
            task.cancel()
            await asyncio.sleep_ms(0)


async def test_start():
    rig = Rig()

    async def script():
        await rig.until(lambda: rig.live.qualified)

    await rig.run(script())
    order = [note[0] for note in rig.published]
    assert order[:3] == [topics.SETTINGS, topics.BMS_EVENTS, topics.POLL], order
    assert rig.published[2][2] is False  # the first good poll does not qualify
    link = rig.published.index((topics.LINK, True, True))
    assert order[:link].count(topics.POLL) == 1 and order[link + 1] == topics.POLL
    assert (topics.STATUS, fields.IDLE, False) in rig.published
    kinds = [(tx[1], tx[2] << 8 | tx[3]) for tx in rig.port.sent[:4]]
    assert [kind[0] for kind in kinds] == [3, 3, 0x12, 3]
    assert (kinds[0][1], kinds[1][1], kinds[3][1]) == (500, 300, 0)
    live = rig.live
    assert live.data[fields.VOLTAGE] == 55780 and live.data[fields.SOH] == fields.ABSENT
    assert live.data[fields.SET_FULL] == 4150 and live.data[fields.FIRMWARE] == 242
    assert live.data[fields.FAULTS] == 0 and rig.bms.events.count == 4
    assert live.steering_age_ms() < 5000 and live.settings_age_s() < 60
    assert rig.bms.reason == ""


async def test_slow_blocks_have_their_periods():
    rig = Rig()
    rig.config.values["uart.poll_interval_ms"] = 50
    rig.bms._on_config(topics.CONFIG, ("uart.poll_interval_ms",))

    async def script():
        await rig.until(lambda: rig.live.qualified)
        settings, events, statistics = rig.sent(3, 300), rig.sent(0x12), rig.sent(3, 100)
        await rig.pass_ms(13_000)
        assert rig.sent(0x12) > events
        assert (rig.sent(3, 300), rig.sent(3, 500)) == (settings, 1)
        rig.clock.advance(4_000)
        for _ in range(12):
            rig.clock.advance(4_000)
            await asyncio.sleep_ms(120)
        assert rig.sent(3, 300) == settings + 1
        assert rig.sent(3, 100) > statistics
        assert rig.live.data[fields.STAT_MAX_DISCHARGE] == 51000

    await rig.run(script())


async def test_a_write_reads_the_settings_again():
    rig = Rig()

    async def script():
        await rig.until(lambda: rig.live.qualified)
        count = rig.count(topics.SETTINGS)
        assert await rig.bms.write_register(300, 4100) == 4100
        await rig.until(lambda: rig.count(topics.SETTINGS) > count, 1500)
        assert rig.live.data[fields.SET_FULL] == 4100
        await rig.bms.command(1)
        events = rig.sent(0x12)
        await rig.until(lambda: rig.sent(0x12) > events, 3000)

    await rig.run(script())


async def test_loss_and_return():
    rig = Rig()

    async def script():
        await rig.until(lambda: rig.live.qualified)
        rig.port.sleep = 1 << 20
        rig.published.clear()
        await rig.pass_ms(3000)
        assert rig.live.qualified  # 5 s are not over
        await rig.until(lambda: not rig.live.qualified)
        assert rig.live.age_ms() >= fields.STALE_MS
        assert rig.live.status() == "DISCONNECTED"
        assert (topics.LINK, False, False) in rig.published
        assert rig.bms.reason == "no answer"
        rig.port.sent.clear()
        rig.published.clear()
        rig.port.sleep = 0
        await rig.until(lambda: rig.live.qualified)
        assert rig.sent(3, 500) >= 1 and rig.sent(3, 300) >= 1
        order = [note[0] for note in rig.published]
        assert order.index(topics.SETTINGS) < order.index(topics.POLL) < order.index(topics.LINK)
        assert order[: order.index(topics.LINK)].count(topics.POLL) == 1
        assert topics.STATUS in order

    await rig.run(script())


async def test_a_short_silence_loses_nothing():
    rig = Rig()

    async def script():
        await rig.until(lambda: rig.live.qualified)
        rig.port.sleep = 3
        await rig.pass_ms(2000)
        assert rig.live.qualified and rig.count(topics.LINK) == 1
        assert rig.live.age_ms() < 2000

    await rig.run(script())


async def test_implausible_polls_are_no_polls():
    rig = Rig()
    rig.port.registers[50] = 0x10

    async def script():
        await rig.until(lambda: rig.bms.counters.implausible > 3)
        assert "status 0x10" in rig.bms.reason
        assert not rig.live.polls and rig.live.data[fields.VOLTAGE] == fields.ABSENT
        rig.port.registers[50] = 0x97
        await rig.until(lambda: rig.live.qualified)
        rig.port.registers[53] = 13
        polls = rig.live.polls
        await rig.until(lambda: "13 detected" in rig.bms.reason)
        await rig.until(lambda: not rig.live.qualified)
        assert rig.live.polls <= polls + 2

    await rig.run(script())


async def test_what_cannot_be_loaded_stops_nothing():
    """No heap or no flash for the texts and for the order of events: polls are refused and taken as ever."""
    real, asked = lazy.once, []

    def once(name):
        asked.append(name)
        raise (MemoryError, ImportError, OSError)[len(asked) % 3]("no room")

    rig = Rig()
    rig.port.registers[50] = 0x10
    rig.port.events = [entry(100, 0x61), entry(200, 0x03)]
    lazy.once = once

    async def script():
        await rig.until(lambda: rig.bms.counters.implausible > 3)
        assert rig.bms.reason == "not plausible" and not rig.live.polls
        rig.port.registers[50] = 0x97
        await rig.until(lambda: rig.live.qualified)
        assert rig.live.data[fields.FAULTS] == fields.ABSENT and "bms.order" in asked
        lazy.once = real
        await rig.until(lambda: rig.live.data[fields.FAULTS] != fields.ABSENT)

    try:
        await rig.run(script())
    finally:
        lazy.once = real


async def test_one_bad_poll_starts_the_row_again():
    rig = Rig()
    answers = []

    def hook(tx):
        if tx[1:4] == b"\x03\x00\x00" and not rig.live.qualified:
            answers.append(1)
            rig.port.registers[50] = 0x97 if len(answers) in (1, 3, 4) else 0x11

    rig.port.hook = hook

    async def script():
        await rig.until(lambda: rig.live.qualified)
        assert len(answers) == 4

    await rig.run(script())


async def test_implausible_settings():
    rig = Rig()
    rig.port.registers[301] = 2800

    async def script():
        await rig.until(lambda: "316 < 301" in rig.bms.reason)
        await rig.pass_ms(1000)
        assert not rig.live.polls and rig.live.settings_age_s() == 86400
        rig.port.registers[301] = 3000
        await rig.until(lambda: rig.live.qualified)
        rig.port.registers[301] = 2800  # behind our back, found when they are read again
        rig.bms._poller.settings_changed()
        await rig.until(lambda: "316 < 301" in rig.bms.reason)
        polls = rig.live.polls
        await rig.until(lambda: not rig.live.qualified)
        assert rig.live.polls == polls, "a poll counted although the settings are refused"
        assert rig.live.data[fields.SET_EMPTY] == 3000
        rig.port.registers[301] = 3000
        await rig.until(lambda: rig.live.qualified)

    await rig.run(script())


async def test_a_bms_that_refuses_the_version_and_events():
    rig = Rig()
    rig.port.hook = lambda tx: [nack(tx[1])] if tx[1] == 0x12 or tx[2:4] == b"\x01\xf4" else None

    async def script():
        await rig.until(lambda: rig.live.qualified)
        assert rig.live.data[fields.FIRMWARE] == fields.ABSENT
        assert rig.live.data[fields.FAULTS] == fields.ABSENT

    await rig.run(script())


async def test_fault_reads_the_events_at_once():
    rig = Rig()

    async def script():
        await rig.until(lambda: rig.live.qualified)
        await rig.pass_ms(500)
        rig.port.registers[50] = fields.FAULT
        events = rig.sent(0x12)
        await rig.until(lambda: (topics.STATUS, fields.FAULT, True) in rig.published, 3000)
        await rig.until(lambda: rig.sent(0x12) > events, 1000)
        await rig.until(lambda: rig.sent(0x12) > events + 2, 5000)  # no cause yet: each second
        rig.port.events.append(entry(12_144_501, 0x03))
        await rig.until(lambda: rig.live.data[fields.FAULTS] == 1 << 3, 3000)
        rig.port.registers[50] = fields.IDLE
        rig.port.events.append(entry(12_144_503, 0x79))
        await rig.until(lambda: rig.live.data[fields.FAULTS] == 0, 3000)

    await rig.run(script())


async def test_a_fault_whose_events_cannot_be_read_has_an_unknown_cause():
    """What the list said before may be over: as long as it cannot be read in a new fault, nobody knows what is wrong."""
    rig = Rig()
    port = rig.port

    async def script():
        await rig.until(lambda: rig.live.qualified)
        port.registers[50] = fields.FAULT
        port.events.append(entry(12_144_501, 0x03))
        await rig.until(lambda: rig.live.data[fields.FAULTS] == 1 << 3, 3000)
        port.registers[50] = fields.IDLE
        port.hook = lambda tx: [b""] if tx[1] == 0x12 else None  # lost, and with it that the fault has ended
        await rig.until(lambda: (topics.STATUS, fields.IDLE, True) in rig.published, 6000)
        assert rig.live.data[fields.FAULTS] == 1 << 3
        port.registers[50] = fields.FAULT
        await rig.until(lambda: rig.live.data[fields.STATUS] == fields.FAULT, 6000)
        assert rig.live.data[fields.FAULTS] == 1 << 3 | fields.UNKNOWN_FAULT
        port.events += [entry(12_144_503, 0x79), entry(12_144_504, 0x02)]
        port.hook = None
        await rig.until(lambda: rig.live.data[fields.FAULTS] == 1 << 2, 3000)
        events = rig.sent(0x12)  # and again each second: another cause may come
        await rig.until(lambda: rig.sent(0x12) > events + 1, 5000)

    await rig.run(script())


async def test_new_firmware():
    rig = Rig()
    rig.port.registers.update({502: 254, 45: 48500, 305: 90})

    async def script():
        await rig.until(lambda: rig.live.qualified)
        assert rig.live.data[fields.SOH] == 9700
        assert rig.live.data[fields.SET_PEAK_DISCHARGE] == 90_000

    await rig.run(script())


# --- heap ---


class QuietPort:
    """Answers each request with the same preallocated reply and allocates nothing."""

    def __init__(self, reply):
        self._reply = reply
        self._flag = asyncio.Event()

    async def open(self):
        pass

    def write(self, buf):
        self._flag.set()

    async def readinto(self, buf):
        await self._flag.wait()
        self._flag.clear()
        for i in range(len(self._reply)):
            buf[i] = self._reply[i]
        return len(self._reply)

    def close(self):
        pass


def _parts(bms, n):
    """Heap of `n` polls from bytes to snapshot, without asyncio."""
    link, poller = bms._link, bms._poller
    parser = link._parser
    chunk = link._chunk
    gc.collect()
    gc.disable()
    before = gc.mem_alloc()
    for _ in range(n):
        parser.expect(3, 3, 112, 0)
        link._waiting = True
        if parser.feed(chunk, 0, 117):
            link._found()
        assert poller._fast(117)
        poller._take()
    after = gc.mem_alloc()
    gc.enable()
    return after - before


def heap_of_parts():
    """Bytes of heap that the parts allocate for one poll."""
    rig = Rig()
    rig.bus = None
    bms = rig.bms
    bms._poller._ready = True
    for topic in range(topics.TOPICS):
        bms._poller._bus._direct[topic] = ()
    reply = rig.port.answer(bms._poller._tx_fast)
    bms._link._chunk[:117] = reply
    rig.live.data[fields.SET_CELLS] = 14
    _parts(bms, 3)
    assert rig.live.polls == 3 and rig.live.data[fields.VOLTAGE] == 55780
    return _parts(bms, 20) / 20


async def heap_with_asyncio(n=20):
    """Bytes of heap for one poll with all of asyncio around it (the port's own garbage excepted)."""
    rig = Rig()
    reply = rig.port.answer(rig.bms._poller._tx_fast)
    bms = Bms(QuietPort(reply), rig.live, Bus(), rig.clock, rig.config, rig.log)
    poller = bms._poller
    poller._ready = True
    poller._since = poller._settings_due = poller._events_due = poller._statistics_due = rig.clock.ticks_add(
        rig.clock.ticks_ms(), 100_000
    )
    poller._version_known = True
    poller._status = fields.IDLE  # no change, so nothing but fast polls
    rig.live.data[fields.SET_CELLS] = 14
    poller.interval_ms = 5
    task = asyncio.create_task(bms.run())
    await asyncio.sleep_ms(50)
    gc.collect()
    gc.disable()
    polls, before = rig.live.polls, gc.mem_alloc()
    for _ in range(200):
        await asyncio.sleep_ms(25)  # in one piece, so that the waiting itself costs nothing
        if rig.live.polls - polls >= n:
            break
    after, polls = gc.mem_alloc(), rig.live.polls - polls
    gc.enable()
    task.cancel()
    assert polls >= n
    return (after - before) / polls


def test_the_parts_allocate_nothing():
    assert heap_of_parts() == 0


async def test_a_poll_with_asyncio_allocates_little():
    got = await heap_with_asyncio()
    assert got <= 1024, got  # 1.5 KB less the 480 of readinto on a stream
