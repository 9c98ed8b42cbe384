"""CAN through a serial adapter that speaks SLCAN (Lawicel ASCII: CANable, CANUSB, our virtual bus), over a tty or TCP.

We are the host. Commands end with CR; an adapter may answer CR, BEL (refused), `z`/`Z` for a frame taken, or nothing at all:
no answer is ever waited for. A lost adapter is looked for again for ever; what was not sent by then is dropped, for it is old.

The status flags (F) are asked for now and then, as long as the adapter knows them. Error passive while nobody is heard means that
nobody acknowledges: the channel is then opened anew each second, which throws away what the adapter holds, and gets one frame.
"""

import asyncio
from micropython import const

from firmware import lazy
from firmware.can.slcan_line import encode, parse

_SPEEDS = {10000: 0, 20000: 1, 50000: 2, 100000: 3, 125000: 4, 250000: 5, 500000: 6, 800000: 7, 1000000: 8}
_BEL = const(7)
_FRAME = const(22)  # t + 3 + 1 + 16 and CR: a frame of 8 bytes, as all of ours are and those of a GX
_LINE_MAX = const(32)  # "T" + 8 + 1 + 16 + 4 of time stamp
_BACKOFF_MS = const(250)
_BACKOFF_MAX_MS = const(5_000)
_ASK_MS = const(2_000)  # between two F
_ASK_AGAIN_MS = const(1_000)  # while something is wrong
_ASK_TIMES = const(3)  # without an answer: the adapter does not know F
_HEARD_MS = const(3_000)  # a frame so recent: somebody is there who acknowledges
_STEERING = const(0x351)
_PASSIVE = const(0x20)  # flag: error passive
_TX_FULL = const(0x02)  # flag: no room for another frame
_RECOVER_MAX_MS = const(30_000)


class Slcan:
    """The driver interface over `port` (a byte stream of the board). ValueError for a speed that SLCAN has no command for."""

    def __init__(self, port, clock, speed, log):
        if speed not in _SPEEDS:
            raise ValueError("SLCAN has no speed %d" % speed)
        self.state = "STOPPED"
        self.sent = 0
        self.received = 0
        self.errors = 0
        self.last_error = ""
        self.dropped = 0  # frames refused because no adapter was there
        self.ignored = 0  # extended and remote frames: nothing on this bus uses them
        self.connects = 0
        self.bus_offs = 0
        self.on_receive = None
        self._port = port
        self._clock = clock
        self._log = log
        self._speed = b"S%d\r" % _SPEEDS[speed]
        self._task = None
        self._asked_at = clock.ticks_ms()  # last F
        self._unanswered = 0
        self._asking = False  # no answer yet
        self._has_flags = False  # the adapter has answered F
        self._refusals = False  # frames were refused since the last F
        self._wait_ms = 0  # until the next recovery from bus-off
        self._tried_at = 0  # ticks of the last one
        self._heard_at = None  # ticks of the last frame, None: over _HEARD_MS ago
        self._trial = False  # NO_ACK: the one frame is with the adapter
        self._tried = False  # it was there when F was asked
        self._out = bytearray(_FRAME)
        self._line = bytearray(_LINE_MAX)
        self._length = 0
        self._skipping = False  # the line is too long: to its end it is rubbish
        self._data = bytearray(8)

    async def start(self):
        """Begin to look for the adapter; comes back at once."""
        if self._task is None:
            self._task = asyncio.create_task(self._run())

    def stop(self):
        if self._task is not None:
            self._task.cancel()
            self._task = None
        if self.state != "STOPPED":
            try:
                self._port.write(b"C\r")
            except OSError:
                pass
        self.state = "STOPPED"
        self._port.close()

    def send(self, can_id, data):
        """Send a standard frame of up to 8 bytes; False when there is no adapter. Never waits."""
        size = len(data)
        if self.state != "RUNNING" and not self._may_try(can_id):
            self.dropped += 1
            return False
        self._trial = True
        line = self._out
        length = encode(can_id, data, size, line)
        try:
            self._port.write(line if length == _FRAME else line[:length])
        except OSError as error:
            self._lost(error)
            return False
        self.sent += 1
        return True

    def _may_try(self, can_id):
        """Without acknowledgement one frame waits, and that is the one that counts."""
        if self.state == "NO_ACK" and self._has_flags:
            return can_id == _STEERING and not self._trial
        return self.state != "STOPPED"

    def poll(self):
        """Ask for the flags when it is time; the rest is done by the reader task."""
        if self.state == "STOPPED" or self._unanswered >= _ASK_TIMES:
            return
        now = self._clock.ticks_ms()
        since = self._clock.ticks_diff(now, self._asked_at)
        if since < 0 or since >= (_ASK_MS if self.state == "RUNNING" else _ASK_AGAIN_MS):
            self._asked_at = now
            self._tried = self._trial  # the answer says nothing about a frame that comes after the question
            self._unanswered += 1
            self._asking = True
            try:
                self._port.write(b"F\r")
            except OSError as error:
                self._lost(error)

    def _judge(self, flags):
        """The adapter has told its flags."""
        self._unanswered = 0
        self._asking = False
        self._has_flags = True
        if not flags & _PASSIVE:
            if self._tried or self.state != "NO_ACK":
                self._set_state("RUNNING")
                self._wait_ms = 0
            return
        refused, self._refusals = self._refusals, False
        if refused and not flags & _TX_FULL:  # it takes no frame though it has room: it is off the bus
            self._recover()
            return
        if self._heard():
            self._set_state("ERROR_PASSIVE")
            return
        if self.state != "NO_ACK":
            self._fail("NO_ACK")
        self._set_state("NO_ACK")
        self._reopen()

    def _reopen(self):
        """Open the channel anew: throws away what the adapter holds, and takes it back onto the bus."""
        self._trial = False
        for command in (b"C\r", self._speed, b"O\r"):
            self._port.write(command)

    def _recover(self):
        """Bus-off: back at once the first time, then after 1, 2, 4 ... 30 s (DESIGN 5)."""
        now = self._clock.ticks_ms()
        if self.state != "BUS_OFF":
            self._fail("BUS_OFF")
            self.bus_offs += 1
            self._set_state("BUS_OFF")
        elif 0 <= self._clock.ticks_diff(now, self._tried_at) < self._wait_ms:
            return
        self._wait_ms = min(2 * self._wait_ms or 1000, _RECOVER_MAX_MS)
        self._tried_at = now
        self._reopen()

    def _heard(self):
        if self._heard_at is not None:
            age = self._clock.ticks_diff(self._clock.ticks_ms(), self._heard_at)
            if age < 0 or age > _HEARD_MS:
                self._heard_at = None
        return self._heard_at is not None

    def _set_state(self, state):
        if state != self.state:
            self.state = state
            self._log.info("can", state)

    def _fail(self, text):
        self.errors += 1
        self.last_error = text

    def _lost(self, error):
        """The adapter is gone; the reader task finds out by itself and connects again."""
        if self.state != "STOPPED":
            self.state = "STOPPED"
            self._fail("ADAPTER_LOST")
            self._log.warning("can", "adapter lost: %s" % error)
        self._port.close()

    async def _run(self):
        wait = _BACKOFF_MS
        buffer = bytearray(256)
        while True:
            try:
                await self._open()
                wait = _BACKOFF_MS
                await self._read(buffer)
                self._lost("closed")
            except OSError as error:
                if self.state == "STOPPED" and wait == _BACKOFF_MS:  # once, not at each attempt
                    self._fail("NO_ADAPTER")
                    self._log.warning("can", "no adapter: %s" % error)
                self._lost(error)
            await asyncio.sleep_ms(wait)
            wait = min(2 * wait, _BACKOFF_MAX_MS)

    async def _open(self):
        await self._port.open()
        if not await lazy.once("can.slcan_open").handshake(self._port, self._speed):
            self._fail("REFUSED")
            self._log.warning("can", "the adapter refused speed or opening")
        self._length = 0
        self._skipping = False
        self.connects += 1
        self._unanswered = 0
        self._asking = self._has_flags = False
        self._asked_at = self._clock.ticks_ms()
        self._set_state("RUNNING")

    async def _read(self, buffer):
        while True:
            n = await self._port.readinto(buffer)
            if not n:
                return
            self.feed(buffer, n)

    def feed(self, buffer, n):
        """Take `n` received bytes, split anywhere."""
        line = self._line
        for i in range(n):
            byte = buffer[i]
            if byte in b"\r\n\x07":
                if byte == _BEL:
                    self._refused()
                elif self._length and not self._skipping:
                    self._take()
                self._length = 0
                self._skipping = False
            elif self._length < _LINE_MAX:
                line[self._length] = byte
                self._length += 1
            elif not self._skipping:
                self._skipping = True
                self._fail("RUBBISH")

    def _refused(self):
        """BEL: a frame did not fit, or, if it was never answered before, F is not known here."""
        if self._asking and not self._has_flags:
            self._asking = False
            self._unanswered = _ASK_TIMES
            return
        self._fail("REFUSED")
        self._refusals = True
        if not self._has_flags and self.state == "RUNNING":
            self._set_state("NO_ACK")  # what does not fit is what nobody took

    def _taken(self):
        """An acknowledgement or a frame: without flags the only sign that the bus is alive."""
        if not self._has_flags and self.state == "NO_ACK":
            self._set_state("RUNNING")

    def _take(self):
        """A whole line is there."""
        first = self._line[0]
        if first == 116:  # t
            result = parse(self._line, self._length, self._data)
            if result >= 0:
                self.received += 1
                self._heard_at = self._clock.ticks_ms()
                self._taken()
                if self.on_receive:
                    size = result >> 11
                    self.on_receive(result & 0x7FF, self._data if size == 8 else self._data[:size])
                return
        elif first in b"TrR":
            self.ignored += 1
            return
        elif first == 70 and self._length == 3:  # F
            try:
                self._judge(int(bytes(self._line[1:3]), 16))
            except ValueError:
                self._fail("RUBBISH")
            return
        elif first in b"zZVN":  # a frame was taken; version, serial number
            if first in b"zZ":
                self._taken()
            # some adapters put the acknowledgement and the next frame on one line: z has no CR of its own there
            if self._length > 1 and first in b"zZ":
                self._length -= 1
                for i in range(self._length):
                    self._line[i] = self._line[i + 1]
                self._take()
            return
        self._fail("RUBBISH")
