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
import network
from asyncio import core
from firmware import lazy
from firmware.board.base import Board

_UART_ID = 1
_RX_BUFFER = 1024  # the default of 256 is small for a burst of 250 bytes while the loop is busy
_TX_BUFFER = 512
_WATCHDOG_MS = 8000
_KEPT = b"TGW1"  # before what is kept in RTC memory, followed by its CRC-32
_MODE = 0  # register of the CAN controller, and its reset mode
_RESET_MODE = 1


class UartPort:
    """The UART as a port (see base.py). `problem`: why its pins must not be touched; "" opens without fail."""

    def __init__(self, baudrate, tx, rx, problem=""):
        self._settings = (baudrate, tx, rx)
        self._problem = problem
        self._uart = None

    async def open(self):
        if self._problem:
            raise OSError(self._problem)
        if self._uart is None:
            baudrate, tx, rx = self._settings
            try:
                self._uart = machine.UART(
                    _UART_ID, baudrate, tx=tx, rx=rx, rxbuf=_RX_BUFFER, txbuf=_TX_BUFFER, timeout=0, timeout_char=2
                )
            except ValueError as error:  # a pin that this chip does not have
                raise OSError(str(error))

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
    def __init__(self):
        super().__init__()
        self.options = {}
        self.http_host = "0.0.0.0"
        self.http_port = 80
        self.initial_config = ""
        self.may_restart = True
        self.root_dir = ""
        self.data_dir = "/data"
        self.www_dir = sys.path[0] + "/www"
        self._watchdog = None
        self._regs = None  # of the CAN controller
        self._refused = {}  # {"uart", "can" or "led": text}: pins that must not be touched
        try:
            os.mkdir(self.data_dir)
        except OSError:
            pass

    def ticks_ms(self):
        return time.ticks_ms()

    def ticks_diff(self, a, b):
        return time.ticks_diff(a, b)  # the sum in Board.ticks_diff would leave the small ints of this port

    def __getattr__(self, name):
        """What is asked for rarely: `board.info()` is `info(board)` of esp32info.py."""
        function = getattr(lazy.once("board.esp32info"), name)
        return lambda *args: function(self, *args)

    def prepare(self, config):
        """Pins and CAN controller, then WiFi on: in this order (facts 1.3, 1.7)."""
        self._regs, self._refused = lazy.once("board.esp32info").prepare(self, config)
        network.WLAN(network.STA_IF).active(True)

    def uart(self, config):
        tx, rx = config.get("uart.tx_pin"), config.get("uart.rx_pin")
        return UartPort(config.get("uart.baudrate"), tx, rx, self._refused.get("uart", ""))

    def can(self, config, log):
        if self._refused.get("can"):
            raise ValueError(self._refused["can"])
        from firmware.can.twai import Twai

        return Twai(self._regs, self, config.get("can.speed"), log=log, chip=self._regs.name)

    def unique_id(self):
        return machine.unique_id()

    def idf_free(self):
        return sum(region[1] for region in esp32.idf_heap_info(esp32.HEAP_DATA))

    def largest_block(self):
        return max(region[2] for region in esp32.idf_heap_info(esp32.HEAP_DATA))

    def radio(self):
        return network, 53

    def network(self):
        if self.station:
            return self.station.network()
        return {
            "connected": False,
            "ssid": "",
            "rssi": 0,
            "ip": "",
            "gateway": "",
            "netmask": "",
            "mode": "off",
            "ap_ssid": "",
            "hostname": "",
        }

    def chip(self):
        """Of "Generic ESP32S3 module with ESP32S3"; a module's name (ESP32-PICO-D4) is an ESP32."""
        name = sys.implementation._machine.rsplit(" with ", 1)[-1].replace("-", "").lower()
        return name[:7] if name[6:7].isdigit() else "esp32"

    def kept(self):
        raw = machine.RTC().memory()
        data = raw[8:]
        return data if raw[:8] == _KEPT + crc32(data).to_bytes(4, "little") else b""

    def keep(self, data):
        machine.RTC().memory(_KEPT + crc32(data).to_bytes(4, "little") + data)

    def led(self, pin):
        return None if pin < 0 or "led" in self._refused else lazy.once("board.esp32info").led(pin)

    def ota_partition(self):
        return lazy.once("board.esp32info").ota_partition()

    def mark_app_valid(self):
        lazy.once("board.esp32info").mark_app_valid()

    def console(self, line):
        print(line)

    def announce(self, line):
        pass

    def start_watchdog(self):
        """From now on `feed` must be called every few seconds, for ever: it cannot be stopped."""
        self._watchdog = machine.WDT(timeout=_WATCHDOG_MS)

    def feed(self):
        if self._watchdog:
            self._watchdog.feed()

    def start_timer(self, period_ms, callback):
        """Call `callback(timer)` each `period_ms` from the scheduler, whatever the loop does."""
        machine.Timer(0, period=period_ms, mode=machine.Timer.PERIODIC, callback=callback)
        return True

    def reset(self):
        if self._regs:  # it survives the reset, and would be on the bus with a wrong clock meanwhile (facts 1.3)
            self._regs.write(_MODE, _RESET_MODE)
        gc.collect()
        machine.reset()
