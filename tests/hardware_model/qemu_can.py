"""Two SJA1000 controllers of QEMU on one bus, driven register by register over QEMU's qtest socket; no guest runs.

A Kvaser PCI card (one controller, registers in BAR 1) and an Advantech PCM-3680 (two, BAR 0 and 1; the second on a bus of
its own), one byte a register.
"""

import shutil
import socket
import subprocess
import tempfile
from pathlib import Path

_KVASER = 0x840610E8  # device and vendor
_PCM3680 = 0xC00213FE
_TIMEOUT_S = 20


class Controller:
    """One SJA1000 at an I/O address."""

    def __init__(self, qemu, address):
        self._qemu = qemu
        self._address = address

    def read(self, index):
        return int(self._qemu.ask(f"inb {self._address + index:#x}").split()[1], 16)

    def write(self, index, value):
        self._qemu.ask(f"outb {self._address + index:#x} {value & 0xFF:#x}")

    # the other node of a test: plain PeliCAN, nothing of the driver

    def open(self):
        """On the bus, receiving everything: dual filter mode (see SingleFilter)."""
        self.write(0, 1)
        self.write(31, 0x80)
        for i in range(4):
            self.write(16 + i, 0)
            self.write(20 + i, 0xFF)
        self.write(4, 0)
        self.write(0, 0)

    def transmit(self, can_id, data=b"", remote=False, extended=False):
        info = len(data) | (0x40 if remote else 0) | (0x80 if extended else 0)
        if extended:
            head = [info, can_id >> 21, can_id >> 13, can_id >> 5, can_id << 3]
        else:
            head = [info, can_id >> 3, can_id << 5]
        for i, value in enumerate([*head, *data]):
            self.write(16 + i, value)
        self.write(1, 1)

    def receive(self):
        """All that was received: a list of (id, data)."""
        frames = []
        while self.read(2) & 1:
            info = self.read(16)
            can_id = self.read(17) << 3 | self.read(18) >> 5
            frames.append((can_id, bytes(self.read(19 + i) for i in range(info & 15)), info & 0xC0))
            self.write(1, 4)
        return [(can_id, data) for can_id, data, kind in frames if not kind]


class SingleFilter:
    """What the driver needs and QEMU's controller lacks, added on the way to it.

    QEMU gets the mask of a single filter wrong (`amr[1] << 5` where the chip has `>> 5`: the low three bits of an id always
    count). Its dual mode is right, and two equal filters that leave out the data are the same for standard frames. It has no
    receive counter either and reads as 255, which would mean the FIFO is lost.
    """

    def __init__(self, controller):
        self._controller = controller

    def read(self, index):
        if index == 29:
            return 0
        value = self._controller.read(index)
        return value | self._mode & 8 if index == 0 else value

    _mode = 0

    def write(self, index, value):
        write, read = self._controller.write, self._controller.read
        if index == 0 and value & 8 and not value & 1:
            for i in (16, 20):
                write(i + 2, read(i))
                write(i + 3, read(i + 1))
            write(21, read(21) | 0x0F)
            write(23, read(23) | 0x0F)
        if index == 0:
            self._mode = value
            value &= ~8
        write(index, value)


class Qemu:
    """`ours` and `other` are on one bus."""

    def __init__(self, binary):
        self._directory = tempfile.mkdtemp()
        path = str(Path(self._directory) / "qtest")
        server = socket.socket(socket.AF_UNIX)
        server.bind(path)
        server.listen(1)
        server.settimeout(_TIMEOUT_S)
        command = [binary, "-machine", "pc,accel=tcg", "-S", "-nodefaults", "-display", "none"]
        command += ["-object", "can-bus,id=a", "-object", "can-bus,id=b", "-device", "kvaser_pci,canbus=a"]
        command += ["-device", "pcm3680_pci,canbus0=a,canbus1=b", "-qtest", f"unix:{path}", "-qtest-log", "/dev/null"]
        self._process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        try:
            self._socket, _ = server.accept()
        except TimeoutError as error:
            self._process.kill()
            raise RuntimeError(self._process.communicate()[0].decode(errors="replace")) from error
        finally:
            server.close()
        self._socket.settimeout(_TIMEOUT_S)
        self._file = self._socket.makefile("rw", newline="\n")
        self.ours = self._card(_KVASER, 1, 0xC000)
        self.other = self._card(_PCM3680, 0, 0xC200)

    def ask(self, command):
        self._file.write(command + "\n")
        self._file.flush()
        while True:
            line = self._file.readline()
            if not line:
                raise RuntimeError("QEMU has gone")
            if line.startswith("OK"):
                return line
            if not line.startswith("IRQ"):
                raise RuntimeError(f"{command}: {line}")

    def _config(self, slot, offset, value=None):
        self.ask(f"outl 0xcf8 {0x80000000 | slot << 11 | offset:#x}")
        if value is None:
            return int(self.ask("inl 0xcfc").split()[1], 16)
        self.ask(f"outl 0xcfc {value:#x}")
        return value

    def _card(self, identity, bar, address):
        slot = next(slot for slot in range(32) if self._config(slot, 0) == identity)
        self._config(slot, 0x10 + 4 * bar, address)
        self._config(slot, 4, 1)  # answer to I/O
        return Controller(self, address)

    def close(self):
        self._file.close()
        self._socket.close()
        self._process.kill()
        self._process.communicate()
        shutil.rmtree(self._directory, ignore_errors=True)
