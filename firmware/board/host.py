"""A Linux machine with the unix port: serial ports or TCP instead of pins, and ticks that wrap like the board's."""

import os
import sys
import time
from firmware import lazy
from firmware.board.base import Board

_TICKS_START = (1 << 30) - 20_000  # the ticks wrap 20 s after start, so that every run crosses the wrap
_TICKS_MASK = (1 << 30) - 1
REBOOT_CODE = 42  # exit code that asks tools/run to start us again


class Host(Board):
    """`argv`: the options of tools/run. Raises ValueError for what is none."""

    _info = "hostinfo"

    def __init__(self, argv):
        self._ticks_offset = _TICKS_START - time.ticks_ms()
        super().__init__()
        self.time_valid = True
        self.time_source = "host"
        self._epoch_offset = time.time_ns() // 1_000_000
        hostinfo = lazy.once("board.hostinfo")
        self.options = hostinfo.parse(argv)
        self.http_host = self.options["host"]
        self.http_port = int(self.options["port"])
        self.initial_config = self.options["config"]
        self.may_restart = not self.options["no-restart"]
        self.data_dir = self.options["data"]
        slot = __file__.rsplit("/firmware/", 1)[0] if "/firmware/" in __file__ else "."
        self.www_dir = slot + "/www"
        self.root_dir = slot.rpartition("/")[0] if slot[-7:-1] == "/slot_" else slot
        self.confirm_s = int(os.getenv("TINYBMS_CONFIRM_S") or self.confirm_s)
        self._heartbeat = None
        self._beats = 0
        hostinfo.make_dir(self.data_dir)

    def ticks_ms(self):
        return (time.ticks_ms() + self._ticks_offset) & _TICKS_MASK

    def network(self):
        """Not in hostinfo.py: each /api/status asks for it."""
        if self.station:
            return self.station.about()
        return {
            "connected": True,
            "ssid": "host",
            "rssi": 0,
            "ip": "127.0.0.1" if self.http_host == "0.0.0.0" else self.http_host,
            "gateway": "",
            "netmask": "",
            "mode": "host",
            "ap_ssid": "",
            "hostname": "",
        }

    def idf_free(self):
        """Not in rare.py: each request asks for it."""

    def start_watchdog(self):
        self._heartbeat = os.getenv("TINYBMS_HEARTBEAT")
        self.feed()

    def feed(self):
        """The watchdog is tools/run: it ends a gateway whose heartbeat file does not change any more."""
        if self._heartbeat:
            self._beats += 1
            try:
                with open(self._heartbeat, "w") as file:
                    file.write(str(self._beats))
            except OSError:
                pass  # a full disk: the file was opened, which is a beat too

    def console(self, line):
        sys.stderr.write(line + "\n")

    def announce(self, line):
        """Tell tools/run, on standard output."""
        sys.stdout.write(line + "\n")

    def reset(self):
        raise SystemExit(REBOOT_CODE)
