"""What every board gives. `host.py` and `esp32.py` fill in the rest:

    root_dir         where boot.py, slots.json and the slots lie, without a slash at the end ("" on a board)
    data_dir         where this gateway keeps its files
    www_dir          where the built web files lie
    ticks_ms()       milliseconds, wraps at 2^30
    prepare(config)  what must happen before the radio is switched on; called once, first
    uart(config)     the byte stream to the BMS: a port (see `Port`)
    can(config, log) the CAN driver (firmware/can: slcan, twai), not started
    unique_id()      6 bytes, the MAC
    largest_block()  largest free block of the heap in bytes
    idf_free()       free memory outside the Python heap in bytes, None where there is no such thing
    radio()          (the module `network`, port of the access point's name server) for net/wifi.py, None where there is no WiFi
    network()        the `wifi` object of GET /api/status
    dns_server()     (address, port) to ask for names, None where none is known
    info()           what GET /api/system/info says of the machine
    console(line)    a line for the person at the serial console; announce(line) one for the program that started us
    start_timer(period_ms, callback)  call back from a hardware timer; None where there is none
    start_watchdog() and feed()
    chip()           "esp32", "esp32s3", "esp32c3"...; "" on a host
    check_pins(values) and pin_warnings(values)  what board/pins.py has against the pins of a configuration
    family()         whose bytecode files run here: "xtensawin" (ESP32, S3), "rv32imc" (C3, C6), "x64"
    reset_cause()    "POWER_ON", "HARD", "WATCHDOG", "DEEP_SLEEP", "SOFT" or "UNKNOWN"
    kept()           bytes that the last `keep(bytes)` (at most 512) left, b"" if none; survives resets, not power loss
    confirm_s        so many seconds a slot on trial must be healthy before it is kept
    ota_partition()  where an image of MicroPython can go: None, or `.label .size .write(block, buf) .finish()`
    mark_app_valid() tell the bootloader that this image of MicroPython works
    led(pin)         callable(on), None where there is no LED
    reset()          restart the machine; does not come back

A port: `await open()`, `write(buf)`, `await readinto(buf)` (at least one byte, 0 = closed), `any_in(buf)` (without waiting),
`close()`; all raise OSError when the line is broken.

What is asked for once or rarely are functions of esp32info.py, hostinfo.py and rare.py that take the board, loaded for each use:
who keeps such a method keeps its module.
"""

import gc
from micropython import const
from firmware import lazy

_TICKS_PERIOD = const(0x40000000)
_TICKS_HALF = const(0x20000000)
_TICKS_MASK = const(0x3FFFFFFF)


class Board:
    """Clock and heap figures, alike on every board."""

    confirm_s = 60
    time_source = "none"  # of the clock: "ntp", "browser", "host"
    station = None  # the object of net/wifi.py, once it is there
    _info = "rare"  # the module of this kind of board

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

    def heap_free(self):
        free = gc.mem_free()
        if free < self._heap_min:
            self._heap_min = free
        return free

    def heap_min(self):
        """The smallest `heap_free` that was seen. Does not look: that goes through the whole heap, 0.3 ms for 1 MB on a host."""
        return self._heap_min

    def check_pins(self, values):
        """(key, text) of a pin in the configuration `values` that cannot work here, or None: see board/pins.py."""
        return lazy.once("board.pins").check(values, self.chip())

    def __getattr__(self, name):
        """What is asked for rarely: `board.info()` is `info(board)` of `_info` or of rare.py."""
        for place in (self._info, "rare"):
            function = getattr(lazy.once("board." + place), name, None)
            if function:
                return lambda *args: function(self, *args)
        raise AttributeError(name)
