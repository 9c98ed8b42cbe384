"""The two wires."""

from tools.fuzz.device.common import chunks, in_hex


def uart():
    from array import array
    from firmware import live
    from firmware.bms import decode, frames, plausible, registers

    shapes = (
        (3, 3, 4, 0), (3, 3, 112, 0), (3, 3, 88, 0), (3, 3, 36, 0), (3, 3, 20, 0), (0x12, 0x12, -1, 0), (0x10, 0x10, 1, 8),
        (1, 1, 2, 5),
    )  # fmt: skip
    parser = frames.Parser(frames.Counters())
    poll = array("i", (0 for _ in range(decode.SIZE)))
    data = array("i", (live.ABSENT for _ in range(live.FIELDS)))

    def look(frame, third):
        if third == 112:
            decode.fast(frame, poll, 16, True)
            plausible.check(poll)
        elif third == 88:
            registers.settings(frame, data)
        elif third == 36:
            registers.statistics(frame, data)
        elif third == 20:
            registers.version(frame, data)

    def run(case):
        command, code, third, total = shapes[case[0] % len(shapes)]
        parser.expect(command, code, third, total)
        found = []

        def take():
            frame = bytes(parser.buf[parser.at : parser.at + parser.length])
            found.append(in_hex(frame))
            if frame[1]:
                look(frame, third)

        for chunk in chunks(case[2:], case[1] % frames.CHUNK + 1):
            there = parser.feed(chunk, 0, len(chunk))
            while there:
                take()
                there = parser.more()
            assert 0 <= parser._count <= frames.LONGEST, parser._count  # with a chunk more it still fits the buffer
        there = parser.rescue()
        while there:
            take()
            there = parser.more()
        return found

    return run


class _NoPort:
    def write(self, data):
        pass

    def close(self):
        pass


def slcan():
    from firmware.can.slcan import Slcan
    from tests.unit.help import FakeClock, FakeLog

    def run(case):
        clock = FakeClock()
        driver = Slcan(_NoPort(), clock, 500000, FakeLog())
        driver.state = "RUNNING"
        found = []
        driver.on_receive = lambda can_id, data: found.append([can_id, in_hex(data)])
        for chunk in chunks(case[1:], case[0] or 256):
            clock.advance(700)
            driver.poll()
            driver.send(0x351, b"12345678")
            driver.feed(chunk, len(chunk))
        assert driver.received == len(found)
        assert driver.state in ("RUNNING", "NO_ACK", "ERROR_PASSIVE", "BUS_OFF"), driver.state
        return found

    return run
