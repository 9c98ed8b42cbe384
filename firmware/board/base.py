"""What every board gives. `host.py` and `esp32.py` fill in the rest:

    data_dir         where this gateway keeps its files
    www_dir          where the built web files lie
    ticks_ms()       milliseconds, wraps at 2^30
    prepare(config)  what must happen before the radio is switched on; called once, first
    uart(config)     the byte stream to the BMS: a port (see `Port`)
    can(config, log) the CAN driver (firmware/can: slcan, twai), not started
    unique_id()      6 bytes, the MAC
    largest_block()  largest free block of the heap in bytes
    idf_free()       free memory outside the Python heap in bytes, None where there is no such thing
    network()        the `wifi` object of GET /api/status
    dns_server()     (address, port) to ask for names, None where none is known
    info()           what GET /api/system/info says of the machine
    console(line)    a line for the person at the serial console; announce(line) one for the program that started us
    start_timer(period_ms, callback)  call back from a hardware timer; None where there is none
    start_watchdog() and feed()
    reset()          restart the machine; does not come back

A port: `await open()`, `write(buf)`, `await readinto(buf)` (at least one byte, 0 = closed), `any_in(buf)` (without waiting),
`close()`; all raise OSError when the line is broken.
"""

import gc
import time
from micropython import const

_TICKS_PERIOD = const(0x40000000)
_TICKS_HALF = const(0x20000000)
_TICKS_MASK = const(0x3FFFFFFF)
_FIRST_VALID_YEAR = const(2025)


class Board:
    """Clock and heap figures, alike on every board."""

    def __init__(self):
        self.time_valid = False
        self._epoch_offset = 0
        self._up_seconds = 0  # whole seconds, so that a year fits a small int
        self._up_ticks = self.ticks_ms()
        self._heap_min = gc.mem_free()

    def ticks_diff(self, a, b):
        """a - b in milliseconds, right for times under 6 days apart."""
        return ((a - b + _TICKS_HALF) & _TICKS_MASK) - _TICKS_HALF

    def ticks_add(self, t, ms):
        return (t + ms) & _TICKS_MASK

    def uptime_s(self):
        """Seconds since start; somebody asks at least every 6 days (the supervisor does, each second)."""
        elapsed = self.ticks_diff(self.ticks_ms(), self._up_ticks) // 1000
        if elapsed > 0:
            self._up_seconds += elapsed
            self._up_ticks = self.ticks_add(self._up_ticks, elapsed * 1000)
        return self._up_seconds

    def uptime_ms(self):
        seconds = self.uptime_s()
        return seconds * 1000 + self.ticks_diff(self.ticks_ms(), self._up_ticks)

    def epoch_ms(self):
        """Unix milliseconds; until the clock is set, milliseconds since start."""
        return self.uptime_ms() + self._epoch_offset

    def set_epoch_ms(self, epoch_ms):
        """Set the clock (NTP, browser). Raises ValueError for a time before this firmware was written."""
        base = 0 if time.gmtime(0)[0] == 1970 else 946_684_800  # the epoch of `time` is 2000 on an ESP32
        if time.gmtime(epoch_ms // 1000 - base)[0] < _FIRST_VALID_YEAR:
            raise ValueError("time lies before %d" % _FIRST_VALID_YEAR)
        self._epoch_offset = epoch_ms - self.uptime_ms()
        self.time_valid = True

    def heap_free(self):
        free = gc.mem_free()
        if free < self._heap_min:
            self._heap_min = free
        return free

    def heap_min(self):
        """The smallest `heap_free` that was seen."""
        self.heap_free()
        return self._heap_min

    def _nothing(self, *args):
        """Stands for what only some machines have."""

    idf_free = prepare = start_watchdog = feed = start_timer = _nothing
