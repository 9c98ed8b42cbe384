"""A Linux machine with the unix port: serial ports or TCP instead of pins, and ticks that wrap like the board's."""

import gc
import os
import sys
import time
from firmware.board.base import Board
from firmware.board.hostport import SocketPort, TtyPort

_TICKS_START = (1 << 30) - 20_000  # the ticks wrap 20 s after start, so that every run crosses the wrap
_TICKS_MASK = (1 << 30) - 1
REBOOT_CODE = 42  # exit code that asks tools/run to start us again

_OPTIONS = {
    "uart": "socket://127.0.0.1:8600",
    "can": "slcan+socket://127.0.0.1:8601",
    "port": "8080",
    "host": "127.0.0.1",
    "data": "data",
    "config": "",
}


def _parse(argv):
    """Options `--name value` and the flag `--no-restart`; raises ValueError for anything else."""
    options = dict(_OPTIONS)
    options["no-restart"] = False
    words = iter(argv)
    for word in words:
        name = word[2:] if word.startswith("--") else ""
        if name == "no-restart":
            options[name] = True
        elif name in _OPTIONS:
            options[name] = next(words, None)
            if options[name] is None:
                raise ValueError("%s needs a value" % word)
        else:
            raise ValueError("unknown option %s" % word)
    return options


def open_url(url, baudrate):
    """A port for `socket://HOST:PORT` or a device path. Raises ValueError for anything else."""
    if url.startswith("socket://"):
        host, _, port = url[9:].rpartition(":")
        if not host or not port.isdigit():
            raise ValueError("expected socket://HOST:PORT, got %s" % url)
        return SocketPort("127.0.0.1" if host == "localhost" else host, int(port))
    if url.startswith("/"):
        return TtyPort(url, baudrate)
    raise ValueError("expected socket://HOST:PORT or a device path, got %s" % url)


class Host(Board):
    chip = "host"

    def __init__(self, argv):
        self._ticks_offset = _TICKS_START - time.ticks_ms()
        super().__init__()
        self.time_valid = True
        self._epoch_offset = time.time_ns() // 1_000_000
        self.options = _parse(argv)
        self.http_host = self.options["host"]
        self.http_port = int(self.options["port"])
        self.initial_config = self.options["config"]
        self.may_restart = not self.options["no-restart"]
        self.data_dir = self.options["data"]
        self.www_dir = __file__.rsplit("/firmware/", 1)[0] + "/www" if "/firmware/" in __file__ else "www"
        _make_dir(self.data_dir)

    def ticks_ms(self):
        return (time.ticks_ms() + self._ticks_offset) & _TICKS_MASK

    def uart(self, config):
        return open_url(self.options["uart"], config.get("uart.baudrate"))

    def can(self, config, log):
        from firmware.can.slcan import Slcan

        url = self.options["can"]
        if url.startswith("slcan+") or url.startswith("slcan:"):
            url = url[6:]
        else:
            raise ValueError("expected slcan+socket://HOST:PORT or slcan:/dev/NAME, got %s" % url)
        return Slcan(open_url(url, 115200), self, config.get("can.speed"), log)

    def unique_id(self):
        """Six bytes kept in the data directory: two gateways on one machine are two."""
        path = self.data_dir + "/mac"
        try:
            with open(path, "rb") as file:
                mac = file.read(6)
            if len(mac) == 6:
                return mac
        except OSError:
            pass
        mac = b"\x02" + os.urandom(5)  # locally administered
        with open(path, "wb") as file:
            file.write(mac)
        return mac

    def largest_block(self):
        return gc.mem_free()  # the unix port has one heap and does not tell its largest block

    def network(self):
        return {
            "connected": True,
            "ssid": "host",
            "rssi": 0,
            "ip": "127.0.0.1" if self.http_host == "0.0.0.0" else self.http_host,
            "gateway": "",
            "netmask": "",
        }

    def dns_server(self):
        """Of the environment variable TINYBMS_DNS (ADDRESS:PORT), else the first server of /etc/resolv.conf."""
        address, _, port = (os.getenv("TINYBMS_DNS") or "").partition(":")
        if port.isdigit():
            return address, int(port)
        try:
            with open("/etc/resolv.conf") as file:
                for line in file:
                    words = line.split()
                    if len(words) > 1 and words[0] == "nameserver" and "." in words[1]:
                        return words[1], 53
        except OSError:
            pass
        return None

    def info(self):
        return {
            "chip": "host",
            "firmware": sys.version,
            "reset_cause": "POWER_ON",
            "partitions": [],
            "mac": self.unique_id().hex(),
        }

    def console(self, line):
        sys.stderr.write(line + "\n")

    def announce(self, line):
        """Tell tools/run, on standard output."""
        sys.stdout.write(line + "\n")

    def reset(self):
        raise SystemExit(REBOOT_CODE)


def _make_dir(path):
    made = ""
    for part in path.split("/"):
        made += part + "/"
        try:
            os.mkdir(made)
        except OSError:
            pass  # there already; a real failure shows at the first file
