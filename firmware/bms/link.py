"""The line to the TinyBMS: one request in flight, resends, time limits, the port kept open.

Two tasks: one reads the port for ever and feeds the parser, one watches the deadline of the request in flight. So a
poll costs no `wait_for` (1.4 KB of garbage each) and no task.
"""

import asyncio
from micropython import const

from firmware import bus as topics
from firmware.bms.crc import copy
from firmware.bms.frames import CHUNK, LONGEST, Parser
from firmware.lazy import seldom

# The answer of an awake BMS is there within 30 ms, the longest included (tinybms_uart facts 6). 150 ms leaves room for
# a serial adapter's latency and a busy gateway, and a lost reply costs less than 0.3 s. Later tries wait longer, as a
# sleeping BMS takes its time to wake.
_FIRST_MS = const(150)
_NEXT_MS = const(250)
_TICK_MS = const(25)  # longest sleep of the watcher while a request is in flight
_SETTLE_MS = const(250)  # after resends: longest wait for the surplus replies before another request
_GAP_MS = const(20)  # between different requests whose replies look alike: a late double must not answer the second
_REOPEN_MS = const(1000)

NO_ANSWER = const(0)
NACKED = const(-1)
CLOSED = const(-2)


class Link:
    """`request` is the one door; the reply lies in `frame` until the next request. `run` must be going."""

    @seldom
    def __init__(self, port, bus, clock, log, counters):
        self.frame = bytearray(LONGEST + 2)
        self.timeout_ms = 1000  # for one request with its resends
        self.counters = counters
        self._port = port
        self._bus = bus
        self._clock = clock
        self._log = log
        self._parser = Parser(counters)
        self._taken = False  # a request is in flight
        self._turns = []  # of those who wait for theirs: an Event each
        self._done = asyncio.Event()
        self._begun = asyncio.Event()
        self._chunk = bytearray(CHUNK)
        self.is_open = False
        self._told = False  # that the port is lost
        self._reader = None
        self._waiting = False
        self._result = NO_ANSWER
        self._tx = None
        self._shape = 0  # what the expected reply begins with, to compare
        self._end = 0  # ticks: the request has failed
        self._deadline = 0  # ticks: send again, or fail
        self._resend = True
        self._surplus = 0  # transmissions that were not answered yet, so that another reply may come
        self._answered = 0  # ticks of the last reply

    async def run(self):
        """Never returns. The tasks end with it."""
        self._reader = asyncio.create_task(self._read())
        try:
            await self._watch()
        finally:
            self._reader.cancel()
            self._port.close()

    # --- requests ---

    async def request(self, tx, code, third, total=0, resend=True):
        """Send `tx` and wait for AA `code` `third`... of `total` bytes (0: `third` + 5; `third` -1: an event list).

        Gives the length of the reply in `frame`, or NO_ANSWER (timed out), NACKED, CLOSED (the port is not open). With
        `resend` False it is sent once only.
        """
        if self._taken:
            await self._turn()
        self._taken = True
        try:
            shape = code << 8 | (third & 0xFF)
            if tx is not self._tx and (self._surplus or shape == self._shape):
                await self._settle(shape)
            if not self.is_open:
                return CLOSED
            clock = self._clock
            self._parser.expect(tx[1], code, third, total)
            self._tx = tx
            self._shape = shape
            self._surplus = 0
            self._resend = resend
            now = clock.ticks_ms()
            self._end = clock.ticks_add(now, self.timeout_ms)
            self._deadline = clock.ticks_add(now, min(_FIRST_MS, self.timeout_ms // 2) if resend else self.timeout_ms)
            self._done.clear()
            self._waiting = True
            self._begun.set()
            if self._send():
                await self._done.wait()
            return self._result
        finally:
            self._waiting = False
            self._release()

    # An asyncio.Lock would cost a coroutine for each poll, though hardly anybody ever waits.

    async def _turn(self):
        turn = asyncio.Event()
        self._turns.append(turn)
        try:
            await turn.wait()
        except asyncio.CancelledError:
            if turn in self._turns:
                self._turns.remove(turn)
            else:  # it had just become ours
                self._release()
            raise

    def _release(self):
        if self._turns:
            self._turns.pop(0).set()  # stays taken
        else:
            self._taken = False

    async def _settle(self, shape):
        """Let replies to earlier transmissions pass: `_surplus` ones, and doubles that look like the coming reply."""
        clock = self._clock
        for _ in range(_SETTLE_MS // 10):
            quiet = clock.ticks_diff(clock.ticks_ms(), self._answered)
            if not self._surplus and (shape != self._shape or not 0 <= quiet < _GAP_MS):
                return
            await asyncio.sleep_ms(10)

    def _send(self):
        self._surplus += 1
        if self._bus.wants(topics.UART_FRAME):
            self._bus.publish(topics.UART_FRAME, ("TX", bytes(self._tx)))
        try:
            self._port.write(self._tx)
            return True
        except OSError as error:
            self._reader.cancel()  # it may wait on a stream that never wakes it
            self._lost(error)
            self._reader = asyncio.create_task(self._read())
            return False

    def _finish(self, result):
        self._waiting = False
        self._result = result
        self._done.set()

    # --- the deadline ---

    async def _watch(self):
        clock = self._clock
        while True:
            if not self._waiting:
                self._begun.clear()
                await self._begun.wait()
            left = clock.ticks_diff(self._deadline, clock.ticks_ms())
            if left > 0:
                await asyncio.sleep_ms(left if left < _TICK_MS else _TICK_MS)
            elif self._waiting:
                self._expired()

    def _expired(self):
        if self._parser.rescue():
            self._found()
            return
        now = self._clock.ticks_ms()
        left = self._clock.ticks_diff(self._end, now)
        if left > 0 and self._resend:
            self.counters.resends += 1
            self._deadline = self._clock.ticks_add(now, min(_NEXT_MS, left))
            self._send()
        else:
            self.counters.timeouts += 1
            self._finish(NO_ANSWER)

    # --- the stream ---

    async def _read(self):
        port = self._port
        chunk = self._chunk
        parser = self._parser
        while True:
            try:
                if not self.is_open:
                    await port.open()
                    self.is_open = True
                    self.counters.opened += 1
                count = await port.readinto(chunk)
                if not count:
                    raise OSError("closed")
                self._told = False
            except Exception as error:  # whatever a port raises: the line is opened again for ever
                self._lost(error)
                await asyncio.sleep_ms(_REOPEN_MS)
                continue
            if parser.feed(chunk, 0, count):
                self._found()

    def _lost(self, error):
        if not self._told:  # once, until something was heard again: it is tried each second
            self._told = True
            self._log.warning("bms", "UART lost: {}".format(error))
        self.is_open = False
        try:
            self._port.close()
        except OSError:
            pass
        if self._waiting:
            self._finish(CLOSED)

    def _found(self):
        """The parser holds a reply: deliver it, or count it as a double; then what lies behind it."""
        parser = self._parser
        counters = self.counters
        while True:
            self._answered = self._clock.ticks_ms()
            if self._surplus:
                self._surplus -= 1
            if not self._waiting:
                counters.doubled += 1
            else:
                copy(parser.buf, parser.at, self.frame, 0, parser.length)
                if self.frame[1]:
                    self._finish(parser.length)
                else:
                    counters.nacks += 1
                    if self.frame[3] == 1 and self._resend:  # it saw a damaged request: the watcher sends again at once
                        self._deadline = self._answered
                    else:
                        self._finish(NACKED)
            if self._bus.wants(topics.UART_FRAME):
                frame = memoryview(parser.buf)[parser.at : parser.at + parser.length]
                self._bus.publish(topics.UART_FRAME, ("RX", bytes(frame)))
            if not parser.more():
                return
