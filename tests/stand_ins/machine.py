"""Stand-in of `machine` on an ESP32, see README. `fake_reset()` puts all back as after power-on."""

import io

PWRON_RESET = 1
HARD_RESET = 2
WDT_RESET = 3
DEEPSLEEP_RESET = 4
SOFT_RESET = 5

_UNSET = object()
_MEMORY_MAX = 2048
_POLL_READ = 1
_POLL_WRITE = 4

fake_log = []  # what matters to a test in its order: ("pin", 5, 1), ("reset",), ("mem32", address, value)...
fake_cause = PWRON_RESET
fake_unique_id = b"\x24\x6f\x28\x01\x02\x03"
fake_pins = {}  # {number: Pin}
fake_uarts = {}
fake_timers = {}
fake_watchdog = None
fake_memory = b""
fake_missing_pins = (24, 28, 29, 30, 31)  # of an ESP32; a Pin of one raises ValueError


def fake_reset():
    global fake_cause, fake_watchdog, fake_memory
    fake_cause, fake_watchdog, fake_memory = PWRON_RESET, None, b""
    for store in (fake_log, fake_pins, fake_uarts, fake_timers, mem32.fake_words):
        store.clear()


class FakeReset(BaseException):
    """What `reset` raises: nothing on the board comes back from it."""


def reset():
    fake_log.append(("reset",))
    raise FakeReset()


def soft_reset():
    fake_log.append(("soft_reset",))
    raise FakeReset()


def reset_cause():
    return fake_cause


def unique_id():
    return fake_unique_id


def freq(_hz=_UNSET):
    return 160_000_000 if _hz is _UNSET else None


def disable_irq():
    return 0


def enable_irq(_state):
    pass


def idle():
    pass


class _Memory:
    """mem32: words by address, 0 until written; `fake_words` keeps them."""

    def __init__(self):
        self.fake_words = {}

    def __getitem__(self, address):
        if address & 3:
            raise ValueError("address %08x is not aligned to 4 bytes" % address)
        return self.fake_words.get(address, 0)

    def __setitem__(self, address, value):
        if address & 3:
            raise ValueError("address %08x is not aligned to 4 bytes" % address)
        fake_log.append(("mem32", address, value))
        self.fake_words[address] = value


mem32 = _Memory()


class Pin:
    IN = 1
    OUT = 3
    OPEN_DRAIN = 7
    PULL_DOWN = 1
    PULL_UP = 2
    IRQ_RISING = 1
    IRQ_FALLING = 2
    DRIVE_0 = 0
    DRIVE_1 = 1
    DRIVE_2 = 2
    DRIVE_3 = 3

    def __init__(self, _id, mode=-1, pull=-1, *, value=None, drive=None, alt=None):
        if not isinstance(_id, int) or _id < 0 or _id > 48 or _id in fake_missing_pins:
            raise ValueError("invalid pin")
        self.fake_number = _id
        self.fake_value = 0
        self.fake_mode = -1
        self.fake_pull = -1
        self.fake_handler = None
        fake_pins[_id] = self
        self.init(mode, pull, value=value, drive=drive, alt=alt)

    def init(self, mode=-1, pull=-1, *, value=None, drive=None, alt=None):
        if mode != -1:
            self.fake_mode = mode
        if pull != -1:
            self.fake_pull = pull
        if value is not None:
            self._put(value)

    def _put(self, value):
        self.fake_value = 1 if value else 0
        fake_log.append(("pin", self.fake_number, self.fake_value))

    def value(self, _x=_UNSET):
        if _x is _UNSET:
            return self.fake_value
        self._put(_x)

    __call__ = value

    def on(self):
        self._put(1)

    def off(self):
        self._put(0)

    def toggle(self):
        self._put(not self.fake_value)

    def irq(self, handler=None, trigger=3, *, priority=1, wake=None, hard=False):
        if hard:
            raise ValueError("hard irq")
        self.fake_handler = handler


class UART(io.IOBase):
    """`fake_sent` collects what was written, `fake_put(bytes)` receives; with `fake_loop` what is sent comes back."""

    RTS = 1
    CTS = 2
    INV_RX = 4
    INV_TX = 32
    IRQ_RX = 1
    IRQ_BREAK = 2
    IRQ_RXIDLE = 4096

    def __init__(
        self,
        _id,
        baudrate=9600,
        bits=8,
        parity=None,
        stop=1,
        *,
        tx=None,
        rx=None,
        txbuf=None,
        rxbuf=None,
        timeout=None,
        timeout_char=None,
        invert=None,
        flow=None,
        rts=None,
        cts=None,
    ):
        if _id not in (0, 1, 2):
            raise ValueError("UART(%d) does not exist" % _id)
        self.fake_sent = bytearray()
        self.fake_received = bytearray()
        self.fake_loop = False
        self.fake_size = 256
        self.fake_handler = None
        fake_uarts[_id] = self
        self.init(
            baudrate, bits, parity, stop, tx=tx, rx=rx, txbuf=txbuf, rxbuf=rxbuf, timeout=timeout,
            timeout_char=timeout_char, invert=invert, flow=flow, rts=rts, cts=cts,
        )  # fmt: skip

    def init(
        self,
        baudrate=9600,
        bits=8,
        parity=None,
        stop=1,
        *,
        tx=None,
        rx=None,
        txbuf=None,
        rxbuf=None,
        timeout=None,
        timeout_char=None,
        invert=None,
        flow=None,
        rts=None,
        cts=None,
    ):
        self.fake_settings = {
            "baudrate": baudrate,
            "tx": tx,
            "rx": rx,
            "timeout": timeout,
            "timeout_char": timeout_char,
        }
        if rxbuf is not None:
            if rxbuf <= 128:
                raise ValueError("rxbuf")  # the IDF wants more than its hardware FIFO
            self.fake_size = rxbuf

    def deinit(self):
        self.fake_settings = None

    def fake_put(self, data):
        """Bytes arrive; those that find no room are lost, as on a board."""
        self.fake_received.extend(data[: self.fake_size - len(self.fake_received)])
        if self.fake_handler:
            self.fake_handler(self)

    def any(self):
        return len(self.fake_received)

    def readinto(self, _buf, _nbytes=_UNSET):
        size = min(len(_buf) if _nbytes is _UNSET else _nbytes, len(self.fake_received))
        if not size:
            return None
        _buf[:size] = self.fake_received[:size]
        self.fake_received = self.fake_received[size:]
        return size

    def read(self, _nbytes=_UNSET):
        size = len(self.fake_received) if _nbytes is _UNSET else min(_nbytes, len(self.fake_received))
        if not size:
            return None
        data = bytes(self.fake_received[:size])
        self.fake_received = self.fake_received[size:]
        return data

    def write(self, _buf):
        self.fake_sent.extend(_buf)
        if self.fake_loop:
            self.fake_put(_buf)
        return len(_buf)

    def flush(self):
        pass

    def txdone(self):
        return True

    def irq(self, _handler=None, _trigger=0, _hard=False):
        if _hard:
            raise ValueError("hard irq")
        self.fake_handler = _handler

    def ioctl(self, op, arg):
        """The stream protocol of MicroPython, for its poller (not part of the type stubs)."""
        if op != 3:
            return 0
        return arg & ((_POLL_READ if self.fake_received else 0) | _POLL_WRITE)


class Timer:
    ONE_SHOT = 0
    PERIODIC = 1

    def __init__(self, _id, *, mode=PERIODIC, period=None, freq=None, tick_hz=None, callback=None, hard=None):
        if _id not in (0, 1, 2, 3):
            raise ValueError("Timer doesn't exist")  # virtual ones (-1) came with 1.29
        fake_timers[_id] = self
        self.fake_callback = None
        if period is not None or freq is not None:
            self.init(mode=mode, period=period, freq=freq, tick_hz=tick_hz, callback=callback, hard=hard)

    def init(self, *, mode=PERIODIC, period=None, freq=None, tick_hz=None, callback=None, hard=None):
        if hard:
            raise ValueError("hard Timers are not implemented")
        self.fake_mode = mode
        self.fake_period = period if period is not None else 1000 // freq
        self.fake_callback = callback

    def deinit(self):
        self.fake_callback = None

    def fake_fire(self):
        if self.fake_callback:
            self.fake_callback(self)


class WDT:
    """`fake_fed` counts; `machine.fake_watchdog` is the one that runs."""

    def __init__(self, *, id=0, timeout=5000):
        global fake_watchdog
        if id != 0 or timeout <= 0:
            raise ValueError("WDT")
        self.fake_timeout = timeout
        self.fake_fed = 0
        fake_watchdog = self

    def feed(self):
        self.fake_fed += 1


class RTC:
    """`machine.fake_memory` is what `memory` keeps; a test of power loss empties it."""

    def __init__(self, _id=0, *, datetime=None):
        self.fake_datetime = (2000, 1, 1, 5, 0, 0, 0, 0)

    def datetime(self, datetimetuple=None):
        if datetimetuple is None:
            return self.fake_datetime
        if len(datetimetuple) != 8:
            raise ValueError("datetime")
        self.fake_datetime = tuple(datetimetuple)

    def memory(self, _data=_UNSET):
        global fake_memory
        if _data is _UNSET:
            return fake_memory
        if len(_data) > _MEMORY_MAX:
            raise ValueError("buffer too long")
        fake_memory = bytes(_data)
