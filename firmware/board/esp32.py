"""The ESP32, S3 and C3 on official MicroPython. Not tried on a board yet: see the table in the README.

Facts: esp32_micropython, sections 1 (TWAI), 3 (UART), 4 (RAM), 6 (misc).
"""

import gc
import os
import sys
import time
from binascii import crc32

import esp32
import machine
from asyncio import core
from micropython import const
from firmware import lazy
from firmware.board.base import Board

_KEPT = b"TGW1"  # before what is kept in RTC memory, followed by its CRC-32
_MODE = const(0)  # register of the CAN controller, and its reset mode
_RESET_MODE = const(1)


class UartPort:
    """`uart` as a port (see base.py); None: `problem` tells why it must not be opened."""

    def __init__(self, uart, problem):
        self._uart = uart
        self._problem = problem

    async def open(self):
        if self._problem:
            raise OSError(self._problem)

    def write(self, buf):
        self._uart.write(buf)

    async def readinto(self, buf):
        while True:
            yield core._io_queue.queue_read(self._uart)
            count = self._uart.readinto(buf)
            if count:
                return count

    def any_in(self, buf):
        return self._uart.readinto(buf) or 0

    def close(self):
        pass  # the pins stay ours; a UART that is silent needs no new start


class Esp32(Board):
    options = {}
    http_host = "0.0.0.0"
    http_port = 80
    initial_config = ""
    may_restart = True
    root_dir = ""
    data_dir = "/data"
    _info = "esp32info"
    _watchdog = None
    _regs = None  # of the CAN controller
    _refused = {}  # {"uart", "can" or "led": text}: pins that must not be touched

    def __init__(self):
        super().__init__()
        self.www_dir = sys.path[0] + "/www"
        try:
            os.mkdir(self.data_dir)
        except OSError:
            pass

    def ticks_ms(self):
        return time.ticks_ms()

    def ticks_diff(self, a, b):
        return time.ticks_diff(a, b)  # the sum in Board.ticks_diff would leave the small ints of this port

    def idf_free(self):
        free = 0
        for region in esp32.idf_heap_info(esp32.HEAP_DATA):
            free += region[1]
        return free

    def largest_block(self):
        largest = 0
        for region in esp32.idf_heap_info(esp32.HEAP_DATA):
            largest = max(largest, region[2])
        return largest

    def network(self):
        return (self.station or lazy.once("board.rare")).about()

    def kept(self):
        raw = machine.RTC().memory()
        data = raw[8:]
        return data if raw[:8] == _KEPT + crc32(data).to_bytes(4, "little") else b""

    def keep(self, data):
        machine.RTC().memory(_KEPT + crc32(data).to_bytes(4, "little") + data)

    def console(self, line):
        print(line)

    def feed(self):
        if self._watchdog:
            self._watchdog.feed()

    def reset(self):
        if self._regs:  # it survives the reset, and would be on the bus with a wrong clock meanwhile (facts 1.3)
            self._regs.write(_MODE, _RESET_MODE)
        gc.collect()
        machine.reset()
