"""The hunt for the replies of the TinyBMS, and what they begin with (tinybms_uart facts 3, 4). Requests: requests.py.

The stream has no end marks and no byte stuffing, and noise, broadcast text, doubled replies and AA within data occur: a
reply is what begins as expected, has the expected length and checks.
"""

from micropython import const

from firmware.bms.crc import copy, crc16
from firmware.lazy import seldom

LONGEST = const(259)  # reply to "read 127 registers"
CHUNK = const(128)  # most bytes fed at once; a poll's reply of 117 fits
_START = b"\xaa"
_SIZE = const(387)  # an unfinished reply and a chunk
READ = const(0x03)
WRITE_ONE = const(0x0D)
WRITE = const(0x10)
RESET = const(0x02)
EVENTS = const(0x12)
LIMITS = const(0x1D)
ACK = const(0x01)


def word(frame, n):
    """Word n (0 = first) of the reply to a Modbus read."""
    return (frame[3 + 2 * n] << 8) | frame[4 + 2 * n]


class Counters:
    """What happened on the line since start."""

    @seldom
    def __init__(self):
        self.polls = 0  # polls sent
        self.good = 0  # complete and plausible
        self.timeouts = 0  # requests without an answer after all resends
        self.resends = 0
        self.crc_errors = 0  # replies that did not check
        self.nacks = 0
        self.noise_bytes = 0  # bytes that belonged to no reply: noise, broadcast text, damaged frames
        self.doubled = 0  # replies beyond the one that was waited for
        self.implausible = 0
        self.opened = 0  # times the port was opened


class Parser:
    """Finds replies in the stream. `expect` what comes next, `feed` what arrives; a find is in `buf` at `at`.

    Candidates are decided in the order of their bytes, so that data that looks like a frame is not taken for one. What
    hides behind a false beginning is found by `rescue`, for the moment the request times out.
    """

    @seldom
    def __init__(self, counters):
        self.buf = bytearray(_SIZE)
        self.at = 0
        self.length = 0
        self._counters = counters
        self._count = 0
        self._code = READ
        self._third = 0
        self._command = READ
        self._total = 0

    def expect(self, command, code, third, total):
        """The next reply answers `command`: AA `code` `third`..., `total` bytes (0: `third` + 5; `third` < 0: events).

        What came before is dropped.
        """
        self._counters.noise_bytes += self._count
        self._count = 0
        self._command = command
        self._code = code
        self._third = third
        self._total = total

    def feed(self, chunk, start, length):
        """Take `length` (<= CHUNK) bytes; True when a reply is found. Go on with `more` after it was dealt with."""
        copy(chunk, start, self.buf, self._count, length)
        self._count += length
        return self._hunt(0, False)

    def more(self):
        """Drop the find and look behind it; True when there is another."""
        self._drop(self.at + self.length)
        return self._hunt(0, False)

    def rescue(self):
        """Look behind the unfinished beginning that the hunt waits at; True when a whole reply is there."""
        return self._hunt(1, True)

    def _drop(self, count):
        copy(self.buf, count, self.buf, 0, self._count - count)
        self._count -= count

    def _hunt(self, at, final):
        buf = self.buf
        end = self._count
        while True:
            at = buf.find(_START, at, end)
            if at < 0:
                at = end
                break
            length = self._length_at(at, end)
            if length > 0 and at + length <= end:
                if crc16(buf, at, length) == 0:
                    self._counters.noise_bytes += at
                    self.at = at
                    self.length = length
                    return True
                if not final:  # the same candidate is met again by the ordinary hunt
                    self._counters.crc_errors += 1
            elif length >= 0 and not final:
                break  # wait for its end
            at += 1
        if not final and at:
            self._counters.noise_bytes += at
            self._drop(at)
        return False

    def _length_at(self, at, end):
        """Length of the reply that begins at `at`, 0 while that is not known, -1 when it cannot be one."""
        buf = self.buf
        left = end - at
        if left < 2:
            return 0
        second = buf[at + 1]
        if second and second != self._code:
            return -1
        if left < 3:
            return 0
        third = buf[at + 2]
        if not second:  # refused: AA 00 command error
            return 6 if third == self._command else -1
        if self._third < 0:  # an event list
            return third + 5 if 4 <= third <= 200 and not third & 3 else -1
        return (self._total or third + 5) if third == self._third else -1
