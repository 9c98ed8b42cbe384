"""SLCAN against a fake port. The lines are those of the Lawicel command set as any adapter sends them."""

import asyncio

from firmware.can import slcan
from tests.unit.help import FakeClock, FakeLog, raises


class Port:
    """A stream that the test feeds; `chunks` is what comes in, b"" = closed."""

    def __init__(self):
        self.out = b""
        self.chunks = []
        self.opens = 0
        self.refuse = 0  # so many opens fail
        self.closed = True
        self.broken = False
        self.answers = b""

    async def open(self):
        self.opens += 1
        if self.refuse:
            self.refuse -= 1
            raise OSError(111)
        self.closed = False
        self.broken = False

    def write(self, data):
        if self.broken or self.closed:
            raise OSError(32)
        self.out += bytes(data)

    async def readinto(self, buffer):
        while not self.chunks:
            if self.closed:
                raise OSError(9)
            await asyncio.sleep_ms(1)
        chunk = self.chunks.pop(0)
        buffer[: len(chunk)] = chunk
        return len(chunk)

    def any_in(self, buffer):
        n = len(self.answers)
        buffer[:n] = self.answers
        self.answers = b""
        return n

    def close(self):
        self.closed = True


def make(port=None, speed=500000):
    driver = slcan.Slcan(port or Port(), FakeClock(), speed, FakeLog())
    driver.got = []
    driver.on_receive = lambda can_id, data: driver.got.append((can_id, bytes(data)))
    return driver


def feed(driver, data):
    driver.feed(data, len(data))


async def until(condition):
    for _ in range(1000):
        if condition():
            return
        await asyncio.sleep_ms(2)
    raise AssertionError("timed out")


async def running(driver):
    await until(lambda: driver.state == "RUNNING")


def test_encode():
    line = bytearray(22)
    data = bytes((0x48, 0x02, 0x00, 0x05, 0x00, 0x05, 0xAE, 0x01))
    n = slcan.encode(0x351, data, 8, line)
    assert line[:n] == b"t3518480200050005AE01\r", line
    assert line[: slcan.encode(0x7FF, b"", 0, line)] == b"t7FF0\r"
    assert line[: slcan.encode(0x00A, b"\xff", 1, line)] == b"t00A1FF\r"


def test_parse():
    data = bytearray(8)

    def parse(line):
        return slcan.parse(line, len(line), data)

    assert parse(b"t30780102030405060708") == 8 << 11 | 0x307 and data == b"\x01\x02\x03\x04\x05\x06\x07\x08"
    assert parse(b"t30781234567856494300") == 8 << 11 | 0x307 and data == b"\x12\x34\x56\x78VIC\0"
    assert parse(b"t3072abCD1234") == 2 << 11 | 0x307 and data[:2] == b"\xab\xcd"  # with a time stamp
    assert parse(b"t3050") == 0x305
    for bad in (
        b"t",
        b"t305",
        b"t3051",
        b"t30519",
        b"t8000",
        b"t3059000000000000000000",
        b"t30x100",
        b"t305100AB5",
        b"x3050",
    ):
        assert parse(bad) == -1, bad


def test_random_round_trip():
    seed = 12345
    line, data = bytearray(22), bytearray(8)
    for _ in range(500):
        seed = (seed * 1103515 + 12345) & 0x3FFFFFFF
        size = (seed >> 7) % 9
        can_id = (seed >> 11) & 0x7FF
        payload = bytes((seed >> k) & 255 for k in range(size))
        n = slcan.encode(can_id, payload, size, line)
        assert bytes(line[:n]) == b"t%03X%d" % (can_id, size) + b"".join(b"%02X" % b for b in payload) + b"\r"
        assert slcan.parse(line, n - 1, data) == size << 11 | can_id
        assert data[:size] == payload


def test_any_split():
    stream = b"t30781234567856494300\rz\rt3050\r\rT1234567810A\rr3058\r"
    for size in range(1, len(stream) + 1):
        driver = make()
        for at in range(0, len(stream), size):
            feed(driver, stream[at : at + size])
        assert driver.got == [(0x307, b"\x12\x34\x56\x78VIC\0"), (0x305, b"")], (size, driver.got)
        assert (driver.received, driver.ignored, driver.errors) == (2, 2, 0), size


def test_rubbish():
    driver = make()
    feed(driver, b"\x00\xff" * 100 + b"\r")
    feed(driver, b"hello\r\x07t30510G\r")
    assert driver.got == [] and driver.errors == 4, driver.errors
    feed(driver, b"zt3050\rZ\rt3051FF\r")
    assert driver.got == [(0x305, b""), (0x305, b"\xff")] and driver.errors == 4


def test_speed():
    raises(ValueError, make, Port(), 333333)
    assert make(Port(), 250000)._speed == b"S5\r"


async def test_handshake_send_receive():
    port = Port()
    driver = make(port)
    assert driver.send(0x351, bytes(8)) is False and driver.dropped == 1 and driver.state == "STOPPED"
    await driver.start()
    await until(lambda: driver.state == "RUNNING")
    assert port.out == b"\r\r\rC\rS6\rO\r", port.out
    port.out = b""
    assert driver.send(0x355, memoryview(b"\x01\x02")) is True
    assert port.out == b"t35520102\r" and driver.sent == 1
    port.chunks.append(b"t3050\r")
    await until(lambda: driver.got)
    port.out = b""
    driver.stop()
    assert port.out == b"C\r" and driver.state == "STOPPED" and port.closed


async def test_answers_are_tolerated():
    for answers, errors in ((b"", 0), (b"\r\r\r\r\r\r", 0), (b"\r\r\r\x07\r\r", 0), (b"\x07\x07\x07\x07", 1)):
        port = Port()
        port.answers = answers
        driver = make(port)
        await driver.start()
        await running(driver)
        assert driver.errors == errors, (answers, driver.errors)
        driver.stop()


async def test_reconnects():
    port = Port()
    port.refuse = 2
    driver = make(port)
    await driver.start()
    await until(lambda: driver.state == "RUNNING")
    assert port.opens == 3 and driver.errors == 1 and driver.last_error == "NO_ADAPTER"
    port.chunks.append(b"")  # closed by the other end
    await until(lambda: driver.state == "STOPPED")
    assert driver.last_error == "ADAPTER_LOST" and driver.send(0x351, b"") is False
    await until(lambda: driver.state == "RUNNING")
    port.broken = True  # found by a write
    assert driver.send(0x351, b"") is False and driver.state == "STOPPED"
    await until(lambda: driver.state == "RUNNING")
    assert driver.connects == 3
    driver.stop()


async def opened(port):
    driver = make(port)
    await driver.start()
    await running(driver)
    port.out = b""
    return driver


def later(driver, ms):
    driver._clock.advance(ms)
    driver.poll()


async def test_nobody_acknowledges():
    port = Port()
    driver = await opened(port)
    driver.send(0x351, b"")
    driver.poll()
    assert port.out == b"t3510\r"  # no F yet
    later(driver, 2_000)
    assert port.out.endswith(b"F\r")
    port.out = b""
    feed(driver, b"FA4\r")  # error passive, nobody heard: throw away what waits, keep one new frame pending
    assert driver.state == "NO_ACK" and driver.last_error == "NO_ACK" and port.out == b"C\rS6\rO\r"
    port.out = b""
    assert driver.send(0x355, b"") is False and driver.send(0x351, b"") is True and driver.send(0x351, b"") is False
    later(driver, 1_000)
    assert port.out == b"t3510\rF\r"
    feed(driver, b"FA4\r")
    assert driver.state == "NO_ACK" and driver.errors == 1
    later(driver, 1_000)
    feed(driver, b"F00\r")  # nothing was sent since, so this says nothing
    assert driver.state == "NO_ACK"
    later(driver, 1_000)
    assert driver.send(0x351, b"") is True  # between question and answer
    feed(driver, b"F00\r")
    assert driver.state == "NO_ACK"
    later(driver, 1_000)
    feed(driver, b"F00\r")
    assert driver.state == "RUNNING" and driver.send(0x351, b"") and driver.send(0x355, b"")
    feed(driver, b"t3050\r")
    later(driver, 2_000)
    feed(driver, b"F20\r")  # somebody is there: only bad luck on the wire
    assert driver.state == "ERROR_PASSIVE" and driver.send(0x351, b"")
    driver.stop()


async def test_adapter_without_flags():
    for answer, asked in ((b"\x07", 1), (b"", 3)):
        port = Port()
        driver = await opened(port)
        for _ in range(10):
            later(driver, 2_000)
            if port.out.count(b"F") == 1:
                feed(driver, answer)
                answer = b""
        assert port.out == b"F\r" * asked and driver.errors == 0 and driver.state == "RUNNING"
        if asked > 1:
            continue
        driver.send(0x351, b"")
        feed(driver, b"\x07")  # its buffer is full
        assert driver.state == "NO_ACK" and driver.send(0x351, b"") is True
        feed(driver, b"z\r")
        assert driver.state == "RUNNING"
        driver.stop()


async def test_nothing_allocated_by_a_send():
    import micropython

    port = Port()
    driver = await opened(port)
    sink = [0]

    def write(data):
        sink[0] += len(data)

    port.write = write
    data = memoryview(bytearray(8))
    send = driver.send
    send(0x351, data)
    micropython.heap_lock()
    try:
        for can_id in (0x351, 0x355, 0x382):
            send(can_id, data)
    finally:
        micropython.heap_unlock()
    assert sink[0] == 4 * 22
    driver.stop()
