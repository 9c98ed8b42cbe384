"""CAN through a serial adapter that speaks SLCAN (Lawicel ASCII: CANable, CANUSB, our virtual bus), over a tty or TCP.

We are the host. Commands end with CR; an adapter may answer CR, BEL (refused), `z`/`Z` for a frame taken, or nothing at all:
no answer is ever waited for. A lost adapter is looked for again for ever; what was not sent by then is dropped, for it is old.
"""

import asyncio
from micropython import const

_SPEEDS = {10000: 0, 20000: 1, 50000: 2, 100000: 3, 125000: 4, 250000: 5, 500000: 6, 800000: 7, 1000000: 8}
_BEL = const(7)
_LINE_MAX = const(32)  # "T" + 8 + 1 + 16 + 4 of time stamp
_BACKOFF_MS = const(250)
_BACKOFF_MAX_MS = const(5_000)
_PAUSE_MS = const(20)  # between opening commands: some adapters lose one that comes with the next


@micropython.viper
def encode(can_id: int, data: ptr8, size: int, line: ptr8) -> int:
    """Write `tIIIL<hex>` and CR for a standard frame into `line`; gives its length."""
    line[0] = 116  # t
    at = 1
    shift = 8
    while shift >= 0:
        digit = (can_id >> shift) & 15
        line[at] = digit + 48 if digit < 10 else digit + 55
        at += 1
        shift -= 4
    line[4] = 48 + size
    at = 5
    i = 0
    while i < size:
        byte = data[i]
        digit = byte >> 4
        line[at] = digit + 48 if digit < 10 else digit + 55
        digit = byte & 15
        line[at + 1] = digit + 48 if digit < 10 else digit + 55
        at += 2
        i += 1
    line[at] = 13
    return at + 1


@micropython.viper
def parse(line: ptr8, size: int, data: ptr8) -> int:
    """Read a line without its CR: dlc << 11 | id of a standard data frame whose bytes are now in `data` (8 bytes), else -1.

    A time stamp (four digits) after the data is allowed.
    """
    if size < 5 or line[0] != 116:
        return -1
    can_id = 0
    dlc = line[4] - 48
    if dlc < 0 or dlc > 8 or (size != 5 + 2 * dlc and size != 9 + 2 * dlc):
        return -1
    i = 1
    while i < 5 + 2 * dlc:
        digit = line[i]
        if digit >= 48 and digit <= 57:
            digit -= 48
        elif digit >= 65 and digit <= 70:
            digit -= 55
        elif digit >= 97 and digit <= 102:
            digit -= 87
        else:
            return -1
        if i < 4:
            can_id = can_id << 4 | digit
        elif i > 4:
            at = (i - 5) >> 1
            data[at] = (data[at] << 4 | digit) & 255
        i += 1
    if can_id > 0x7FF:
        return -1
    return dlc << 11 | can_id


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
        self.on_receive = None
        self._port = port
        self._log = log
        self._speed = b"S%d\r" % _SPEEDS[speed]
        self._task = None
        self._out = bytearray(22)
        views = memoryview(self._out)
        self._lines = tuple(views[: 6 + 2 * dlc] for dlc in range(9))  # a frame of each length, nothing to allocate
        self._line = bytearray(_LINE_MAX)
        self._length = 0
        self._skipping = False  # the line is too long: to its end it is rubbish
        self._data = bytearray(8)
        views = memoryview(self._data)
        self._views = tuple(views[:dlc] for dlc in range(9))

    async def start(self):
        """Begin to look for the adapter; comes back at once."""
        if self._task is None:
            self._task = asyncio.create_task(self._run())

    def stop(self):
        if self._task is not None:
            self._task.cancel()
            self._task = None
        if self.state == "RUNNING":
            try:
                self._port.write(b"C\r")
            except OSError:
                pass
        self.state = "STOPPED"
        self._port.close()

    def send(self, can_id, data):
        """Send a standard frame of up to 8 bytes; False when there is no adapter. Never waits."""
        size = len(data)
        if self.state != "RUNNING":
            self.dropped += 1
            return False
        encode(can_id, data, size, self._out)
        try:
            self._port.write(self._lines[size])
        except OSError as error:
            self._lost(error)
            return False
        self.sent += 1
        return True

    def poll(self):
        """Nothing: the reader task does it."""

    def _fail(self, text):
        self.errors += 1
        self.last_error = text

    def _lost(self, error):
        """The adapter is gone; the reader task finds out by itself and connects again."""
        if self.state == "RUNNING":
            self.state = "STOPPED"
            self._fail("ADAPTER_LOST")
            self._log.warning("can", "adapter lost: %s" % error)
        self._port.close()

    async def _run(self):
        wait = _BACKOFF_MS
        buffer = bytearray(256)
        while True:
            try:
                await self._port.open()
                await self._handshake()
                wait = _BACKOFF_MS
                await self._read(buffer)
                self._lost("closed")
            except OSError as error:
                if self.state != "RUNNING" and wait == _BACKOFF_MS:  # once, not at each attempt
                    self._fail("NO_ADAPTER")
                    self._log.warning("can", "no adapter: %s" % error)
                self._lost(error)
            await asyncio.sleep_ms(wait)
            wait = min(2 * wait, _BACKOFF_MAX_MS)

    async def _handshake(self):
        """Close what may be open, set the speed, open."""
        for command in (b"\r\r\r", b"C\r", self._speed, b"O\r"):
            self._port.write(command)
            await asyncio.sleep_ms(_PAUSE_MS)
        self._length = 0
        self._skipping = False
        answers = bytearray(64)
        refused = 0
        while True:  # CR and BEL so far: C is refused where nothing was open, a refused S or O shows as a second BEL
            n = self._port.any_in(answers)
            if not n:
                break
            refused += sum(1 for byte in answers[:n] if byte == _BEL)
        if refused > 1:
            self._fail("REFUSED")
            self._log.warning("can", "the adapter refused speed or opening")
        self.connects += 1
        self.state = "RUNNING"
        self._log.info("can", "adapter opened")

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
                    self._fail("REFUSED")
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

    def _take(self):
        """A whole line is there."""
        first = self._line[0]
        if first == 116:  # t
            result = parse(self._line, self._length, self._data)
            if result >= 0:
                self.received += 1
                if self.on_receive:
                    self.on_receive(result & 0x7FF, self._views[result >> 11])
                return
        elif first in b"TrR":
            self.ignored += 1
            return
        elif first in b"zZVNF":  # a frame was taken; version, serial number, flags
            # some adapters put the acknowledgement and the next frame on one line: z has no CR of its own there
            if self._length > 1 and first in b"zZ":
                self._length -= 1
                for i in range(self._length):
                    self._line[i] = self._line[i + 1]
                self._take()
            return
        self._fail("RUBBISH")
