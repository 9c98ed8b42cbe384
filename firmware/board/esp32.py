"""The ESP32, S3 and C3 on official MicroPython. Not tried on a board yet: see the table in the README.

Facts: esp32_micropython, sections 1 (TWAI), 3 (UART), 4 (RAM), 6 (misc).
"""

import gc
import os
import sys
import time

import esp32
import machine
import network
from asyncio import core
from firmware.board.base import Board

_UART_ID = 1
_RX_BUFFER = 1024  # the default of 256 is small for a burst of 250 bytes while the loop is busy
_TX_BUFFER = 512
_WATCHDOG_MS = 8000
_RESET_CAUSES = {1: "POWER_ON", 2: "HARD", 3: "WATCHDOG", 4: "DEEP_SLEEP", 5: "SOFT"}


class UartPort:
    """The UART as a port (see base.py). Opening it never fails."""

    def __init__(self, baudrate, tx, rx):
        self._settings = (baudrate, tx, rx)
        self._uart = None

    async def open(self):
        if self._uart is None:
            baudrate, tx, rx = self._settings
            self._uart = machine.UART(
                _UART_ID, baudrate, tx=tx, rx=rx, rxbuf=_RX_BUFFER, txbuf=_TX_BUFFER, timeout=0, timeout_char=2
            )

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
        try:
            os.mkdir(self.data_dir)
        except OSError:
            pass

    def ticks_ms(self):
        return time.ticks_ms()

    def ticks_diff(self, a, b):
        return time.ticks_diff(a, b)  # the sum in Board.ticks_diff would leave the small ints of this port

    def uart(self, config):
        return UartPort(config.get("uart.baudrate"), config.get("uart.tx_pin"), config.get("uart.rx_pin"))

    def prepare(self, config):
        """The CAN controller's clock first: its switch lies in a word that WiFi changes too (facts 1.3, 1.7). Then WiFi on."""
        from firmware.can import twai_chips
        from firmware.can.twai_regs import MemRegs

        self._twai = twai_chips.find(sys.implementation._machine)
        self._regs = MemRegs(self._twai, config.get("can.tx_pin"), config.get("can.rx_pin"))
        self._regs.enable()
        network.WLAN(network.STA_IF).active(True)

    def can(self, config, log):
        from firmware.can.twai import Twai

        return Twai(self._regs, self, config.get("can.speed"), log=log, chip=self._twai)

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

    def dns_server(self):
        wlan = network.WLAN(network.STA_IF)
        address = wlan.ifconfig()[3] if wlan.active() and wlan.isconnected() else "0.0.0.0"
        return None if address == "0.0.0.0" else (address, 53)

    def info(self):
        parts = esp32.Partition.find(esp32.Partition.TYPE_APP) + esp32.Partition.find(esp32.Partition.TYPE_DATA)
        return {
            "chip": sys.implementation._machine.rsplit(" with ", 1)[-1].lower(),
            "firmware": sys.version,
            "reset_cause": self.reset_cause(),
            "partitions": [{"label": p.info()[4], "address": p.info()[2], "size": p.info()[3]} for p in parts],
            "mac": self.unique_id().hex(),
        }

    def reset_cause(self):
        return _RESET_CAUSES.get(machine.reset_cause(), "UNKNOWN")

    def kept(self):
        return machine.RTC().memory()

    def keep(self, data):
        machine.RTC().memory(data)

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
        gc.collect()
        machine.reset()
