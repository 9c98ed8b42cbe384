"""What is asked of a Linux machine once or rarely: the methods of `Host` beside those in host.py, forgotten after each use."""

import gc
import os
import sys
from firmware.board.hostport import SocketPort

_OPTIONS = {
    "uart": "socket://127.0.0.1:8600",
    "can": "slcan+socket://127.0.0.1:8601",
    "port": "8080",
    "host": "127.0.0.1",
    "data": "data",
    "config": "",
}


def parse(argv):
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


def make_dir(path):
    made = ""
    for part in path.split("/"):
        made += part + "/"
        try:
            os.mkdir(made)
        except OSError:
            pass  # there already; a real failure shows at the first file


def open_url(url, baudrate):
    """A port for `socket://HOST:PORT` or a device path. Raises ValueError for anything else."""
    if url.startswith("socket://"):
        host, _, port = url[9:].rpartition(":")
        if not host or not port.isdigit():
            raise ValueError("expected socket://HOST:PORT, got %s" % url)
        return SocketPort("127.0.0.1" if host == "localhost" else host, int(port))
    if url.startswith("/"):
        from firmware.board.hosttty import TtyPort

        return TtyPort(url, baudrate)
    raise ValueError("expected socket://HOST:PORT or a device path, got %s" % url)


def uart(board, config):
    return open_url(board.options["uart"], config.get("uart.baudrate"))


def can(board, config, log):
    from firmware.can.slcan import Slcan

    url = board.options["can"]
    if url.startswith("slcan+") or url.startswith("slcan:"):
        url = url[6:]
    else:
        raise ValueError("expected slcan+socket://HOST:PORT or slcan:/dev/NAME, got %s" % url)
    return Slcan(open_url(url, 115200), board, config.get("can.speed"), log)


def chip(board):
    return ""


def unique_id(board):
    """Six bytes kept in the data directory: two gateways on one machine are two."""
    path = board.data_dir + "/mac"
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


def largest_block(board):
    return gc.mem_free()  # the unix port has one heap and does not tell its largest block


def radio(board):
    """The stand-in of an ESP32's `network` from the directory TINYBMS_RADIO, for tests; port of names TINYBMS_RADIO_DNS."""
    directory = os.getenv("TINYBMS_RADIO")
    if not directory:
        return None
    sys.path.append(directory)
    import network

    return network, int(os.getenv("TINYBMS_RADIO_DNS") or 53)


def dns_server(board):
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


def reset_cause(board):
    """Of the environment variable TINYBMS_RESET_CAUSE, which tools/run sets."""
    return os.getenv("TINYBMS_RESET_CAUSE") or "POWER_ON"


def kept(board):
    try:
        with open(board.data_dir + "/kept", "rb") as file:
            return file.read()
    except OSError:
        return b""


def keep(board, data):
    path = board.data_dir + "/kept"
    try:
        with open(path + ".new", "wb") as file:
            file.write(data)
        os.rename(path + ".new", path)
    except OSError:
        pass  # a full disk is no reason to stop


class FilePartition:
    """For tests, a file instead of the OTA partition of an ESP32: TINYBMS_OTA_PARTITION=BYTES:PATH. PATH.boot: it boots next."""

    label = "ota_1"

    def __init__(self, size, path):
        self.size = int(size)
        self._path = path
        with open(path, "ab"):
            pass

    def write(self, number, buf):
        with open(self._path, "rb+") as file:
            file.seek(number * len(buf))
            file.write(buf)

    def finish(self):
        with open(self._path + ".boot", "wb"):
            pass


def ota_partition(board):
    size, _, path = (os.getenv("TINYBMS_OTA_PARTITION") or "").partition(":")
    return FilePartition(size, path) if path else None


def info(board):
    return {
        "chip": "host",
        "firmware": sys.version,
        "reset_cause": reset_cause(board),
        "partitions": [],
        "mac": board.unique_id().hex(),
    }
