"""The TWAI driver, under MicroPython, on a SJA1000 that others wrote: QEMU's. Another controller on the bus is the test's.

QEMU has no bit timing, error counters, receive counter, bus-off, abort or self-reception: those are tested on our own model.
"""

import os
import subprocess
from pathlib import Path

import pytest

from tests.hardware_model.qemu_can import Qemu, SingleFilter
from tests.packages import require_package

ROOT = Path(__file__).resolve().parent.parent.parent
MICROPYTHON = os.environ.get("MICROPYTHON") or str(ROOT / ".venv" / "bin" / "micropython")
KEEP_ALIVE = bytes.fromhex("1234567856494300")


class Driver:
    """The driver in a MicroPython process (twai_agent.py); its register accesses go to `controller`."""

    def __init__(self, controller):
        self.controller = controller
        self.writes = []  # (index, value)
        self.heard = []
        command = [MICROPYTHON, "tests/hardware_model/twai_agent.py", "ESP32", "500000"]
        self._process = subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def do(self, command):
        """Run one command; gives the driver's answer."""
        self._say(command)
        while True:
            words = self._process.stdout.readline().split()
            if not words:
                raise RuntimeError("the driver has gone")
            if words[0] == "r":
                self._say(self.controller.read(int(words[1])))
            elif words[0] == "w":
                self.writes.append((int(words[1]), int(words[2])))
                self.controller.write(*self.writes[-1])
                self._say("")
            elif words[0] == "+":
                self.heard.append((int(words[1], 16), bytes.fromhex(words[2] if len(words) > 2 else "")))
            else:
                return " ".join(words[1:])

    def _say(self, text):
        self._process.stdin.write(f"{text}\n")
        self._process.stdin.flush()

    def close(self):
        self._process.stdin.close()
        self._process.stdout.close()
        self._process.kill()
        self._process.wait()


@pytest.fixture
def qemu():
    machine = Qemu(require_package("qemu-system-x86_64", "qemu-system-x86"))
    yield machine
    machine.close()


@pytest.fixture
def pair(qemu):
    """(driver on the bus, the other controller)."""
    qemu.other.open()
    driver = Driver(SingleFilter(qemu.ours))
    assert driver.do("start").startswith("RUNNING")
    yield driver, qemu.other
    driver.do("stop")
    driver.close()


def test_transmit_all_lengths(pair):
    driver, other = pair
    frames = [(0x351, bytes(range(0xF8, 0xF8 + n))) for n in range(9)]
    for can_id, data in frames:
        assert driver.do(f"send {can_id:x} {data.hex()}") == "True"
        driver.do("poll")
        assert other.receive() == [(can_id, data)]
    assert driver.do("status") == "RUNNING 9 0 0 0 -"


def test_transmit_ids(pair):
    driver, other = pair
    for bit in range(11):
        for can_id in (1 << bit, 0x7FF ^ 1 << bit):
            driver.do(f"send {can_id:x} 55aa")
            driver.do("poll")
            assert other.receive() == [(can_id, b"\x55\xaa")]


def test_queue_drains_one_frame_a_poll(pair):
    driver, other = pair
    for can_id in range(0x370, 0x37A):
        driver.do(f"send {can_id:x} {can_id:04x}")
    for _ in range(12):
        driver.do("poll")
    # QEMU's controller has sent before the command returns, and its 64 bytes hold all ten
    assert other.receive() == [(can_id, can_id.to_bytes(2, "big")) for can_id in range(0x370, 0x37A)]
    assert driver.do("status").split()[1] == "10"


def test_receive_all_lengths(pair):
    driver, other = pair
    for n in range(9):
        other.transmit(0x305, KEEP_ALIVE[:n])
        driver.do("poll")
    assert driver.heard == [(0x305, KEEP_ALIVE[:n]) for n in range(9)]


def test_receive_filter(pair):
    driver, other = pair
    near = {0x305} | {0x305 ^ (1 << i | 1 << j) for i in range(11) for j in range(11)} | set(range(0x300, 0x310))
    for can_id in sorted(near):
        other.transmit(can_id, KEEP_ALIVE)
        driver.do("poll")
    assert driver.heard == [(can_id, KEEP_ALIVE) for can_id in (0x305, 0x306, 0x307)]


def test_filter_is_in_the_hardware(pair):
    driver, other = pair
    for can_id in (0x300, 0x303, 0x308, 0x351, 0x705):
        other.transmit(can_id, KEEP_ALIVE)
        assert not driver.controller.read(2) & 1, hex(can_id)
    other.transmit(0x304, KEEP_ALIVE)  # the mask lets it through, the driver does not
    assert driver.controller.read(2) & 1
    driver.do("poll")
    assert driver.heard == [] and not driver.controller.read(2) & 1


def test_remote_and_extended_frames_are_not_delivered(pair):
    driver, other = pair
    other.transmit(0x305, remote=True)
    other.transmit(0x305 << 18, KEEP_ALIVE, extended=True)
    other.transmit(0x305 << 18 | 0x3FFFF, KEEP_ALIVE, extended=True)
    driver.do("poll")
    assert driver.heard == [] and not driver.controller.read(2) & 1


def test_burst_and_overrun(pair):
    driver, other = pair
    for n in range(5):
        other.transmit(0x305, bytes([n] * 8))
    driver.do("poll")
    assert [data[0] for _, data in driver.heard] == [0, 1, 2, 3, 4]
    for _ in range(10):
        other.transmit(0x305, KEEP_ALIVE)
    assert driver.controller.read(2) & 2  # data overrun
    driver.do("poll")
    assert not driver.controller.read(2) & 3  # released and cleared
    other.transmit(0x307, KEEP_ALIVE)
    driver.do("poll")
    assert driver.heard[-1] == (0x307, KEEP_ALIVE)
    words = driver.do("status").split()
    assert words[0] == "RUNNING" and words[4] == "1" and words[5] == "RX_OVERRUN"


def test_both_directions_in_one_poll(pair):
    driver, other = pair
    other.transmit(0x307, KEEP_ALIVE)
    driver.do("send 351 0102")
    driver.do("poll")
    assert driver.heard == [(0x307, KEEP_ALIVE)] and other.receive() == [(0x351, b"\x01\x02")]


def test_stop_is_reset_mode_and_start_comes_back(pair):
    driver, other = pair
    driver.do("stop")
    assert driver.controller.read(0) & 1
    other.transmit(0x305, KEEP_ALIVE)
    assert driver.do("send 351 01") == "False"
    assert driver.do("poll").startswith("STOPPED") and driver.heard == [] and other.receive() == []
    assert driver.do("start").startswith("RUNNING") and not driver.controller.read(0) & 1
    other.transmit(0x305, KEEP_ALIVE)
    driver.do("poll")
    assert driver.heard == [(0x305, KEEP_ALIVE)]


def test_fallen_into_reset_mode_is_set_up_again(pair):
    driver, other = pair
    driver.controller.write(0, 1)
    driver.controller.write(20, 0xFF)
    driver.do("poll")
    assert driver.do("status").endswith("CONTROLLER_RESET")
    driver.do("send 351 0a")
    driver.do("poll")
    assert other.receive() == [(0x351, b"\x0a")] and driver.do("status").startswith("RUNNING")


def test_order_of_the_start(pair):
    driver, _ = pair
    modes = [value for index, value in driver.writes if index == 0]
    assert modes == [1, 11, 9, 8]  # reset; listen-only while it is set up; single filter; go
    assert [index for index, _ in driver.writes[:3]] == [0, 31, 0]  # the layout before the buffer
    assert driver.writes[-4:] == [(0, 9), (15, 0), (14, 0), (0, 8)]  # error counters once more after listen-only
    assert dict(driver.writes)[6] == 0x83 and dict(driver.writes)[7] == 0x3E
    driver.do("stop")
    assert [driver.controller.read(index) for index in (16, 17, 20, 21)] == [0x60, 0xA0, 0x00, 0x6F]
    assert driver.controller.read(31) == 0x88 and driver.controller.read(0) & 1


def test_no_controller():
    class Empty:  # an address where nothing is, as a controller without its clock
        def read(self, index):
            return 0

        def write(self, index, value):
            pass

    driver = Driver(Empty())
    assert driver.do("start").startswith("OSError")
    assert driver.do("status").startswith("STOPPED")
    driver.close()
