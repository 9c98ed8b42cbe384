"""The virtual CAN bus: as an adapter to one raw client, as a bus to several python-can ones, and with its faults."""

import asyncio
import socket
import threading
import time

import can
import pytest

from tests.integration.watch import Stalls
from tools.control import Control, ControlError, host_port
from tools.virtual_can.adapter import Adapter, frame_line, parse_frame
from tools.virtual_can.hub import Hub
from tools import control as control_channel


class Service:
    """A hub in a thread of this process."""

    def __enter__(self):
        started = threading.Event()
        self.thread = threading.Thread(target=asyncio.run, args=(self._serve(started),), daemon=True)
        self.thread.start()
        assert started.wait(5)
        self.control = Control(*host_port(self.control_at))
        return self

    async def _serve(self, started):
        self.loop, self.end = asyncio.get_running_loop(), asyncio.Event()
        hub = Hub()
        bus = await self.loop.create_server(lambda: Adapter(hub), "127.0.0.1", 0)
        side = await control_channel.serve(hub.control, "127.0.0.1", 0)
        self.bus_at, self.control_at = control_channel.name_of(bus), control_channel.name_of(side)
        started.set()
        await self.end.wait()

    def __exit__(self, *_error):
        self.control.close()
        self.loop.call_soon_threadsafe(self.end.set)
        self.thread.join(5)

    def raw(self):
        return Raw(host_port(self.bus_at))

    def bus(self, **options):
        channel = f"socket://{self.bus_at}"
        return can.Bus(interface="slcan", channel=channel, **{"bitrate": 500_000, "sleep_after_open": 0} | options)

    def wait(self, condition, seconds=5):
        """Wait until `condition(state)` holds."""
        deadline = time.monotonic() + seconds
        while not condition(state := self.control.call("state")):
            assert time.monotonic() < deadline, state
            time.sleep(0.01)
        return state


class Raw:
    """A bare SLCAN host."""

    def __init__(self, address):
        self.socket = socket.create_connection(address, 5)

    def ask(self, command):
        """The answer to a command, up to CR or BELL."""
        self.socket.sendall(command)
        return self.line()

    def line(self):
        got = b""
        while not got.endswith((b"\r", b"\a")):
            byte = self.socket.recv(1)
            if not byte:
                raise EOFError(got)
            got += byte
        return got

    def open(self, how=b"O", rate=b"S6"):
        assert self.ask(rate + b"\r") == b"\r" and self.ask(how + b"\r") == b"\r"
        return self

    def silent(self, seconds=0.15):
        self.socket.settimeout(seconds)
        try:
            return self.socket.recv(100) == b""
        except TimeoutError:
            return True
        finally:
            self.socket.settimeout(5)


@pytest.fixture
def service():
    with Service() as service:
        yield service


def test_lines_of_frames():
    assert frame_line(0x351, b"\x48\x02") == b"t35124802"
    assert frame_line(0x1ABCDEF0, b"", extended=True) == b"T1ABCDEF00"
    assert frame_line(0x7FF, remote=True, dlc=3) == b"r7FF3"
    assert parse_frame(b"t3512aB02") == b"t3512AB02"
    for bad in (
        b"t351",
        b"t8FF0",
        b"t3519",
        b"t351248",
        b"t3512480203",
        b"r35118",
        b"T200000000",
        b"t3511G0",
        b"x3510",
    ):
        assert parse_frame(bad) is None, bad


def test_commands_of_an_adapter(service):
    one = service.raw()
    assert one.ask(b"\r") == b"\r"
    assert one.ask(b"O\r") == b"\a"  # no bit rate yet
    assert one.ask(b"C\r") == b"\a" and one.ask(b"F\r") == b"\a" and one.ask(b"t3510\r") == b"\a"
    assert one.ask(b"V\r") == b"V1013\r" and one.ask(b"N\r")[:1] == b"N"
    assert one.ask(b"S9\r") == b"\a" and one.ask(b"S\r") == b"\a" and one.ask(b"?\r") == b"\a"
    assert one.ask(b"S6\r") == b"\r" and one.ask(b"O\r") == b"\r"
    assert one.ask(b"O\r") == b"\a" and one.ask(b"S5\r") == b"\a" and one.ask(b"Z1\r") == b"\a"
    assert one.ask(b"F\r") == b"F00\r"
    assert one.ask(b"x" * 100) == b"\a"  # a line without end
    assert one.ask(b"C\r") == b"\r" and one.ask(b"L\r") == b"\r"
    assert one.ask(b"t3510\r") == b"\a"  # listens only


def test_frames_reach_others_at_the_same_rate(service):
    one, two, slow, closed = service.raw().open(), service.raw().open(), service.raw().open(rate=b"S5"), service.raw()
    listener = service.raw()
    assert listener.ask(b"S6\r") == b"\r" and listener.ask(b"Z1\r") == b"\r" and listener.ask(b"L\r") == b"\r"
    for line in (b"t3512ab02", b"T000003511FF", b"r3078", b"R000003070"):
        assert one.ask(line + b"\r") == (b"z\r" if line[0] >= 97 else b"Z\r")
        expected = line[:1] + line[1:].upper()
        assert two.line() == expected + b"\r"
        stamped = listener.line()
        assert stamped[:-5] == expected and int(stamped[-5:-1], 16) < 60_000
    assert one.silent() and slow.silent() and closed.silent()


def test_split_and_joined_lines(service):
    one, two = service.raw().open(), service.raw().open()
    for part in (b"t35", b"1248", b"02\rt3552", b"0102\r"):
        one.socket.sendall(part)
        time.sleep(0.02)
    assert [two.line(), two.line()] == [b"t35124802\r", b"t35520102\r"]
    assert [one.line(), one.line()] == [b"z\r", b"z\r"]


def test_nobody_acknowledges(service):
    one = service.raw().open()
    listener = service.raw().open(b"L")  # hears nothing that is not acknowledged, and acknowledges nothing
    for n in range(32):
        assert one.ask(b"t3551%02X\r" % n) == b"z\r"
    assert one.ask(b"F\r") == b"FA6\r"  # FIFO full, warning, passive, bus error
    assert one.ask(b"t355120\r") == b"\a" and listener.silent()
    two = service.raw().open()
    assert [two.line() for _ in range(32)] == [b"t3551%02X\r" % n for n in range(32)]
    assert one.ask(b"F\r") == b"F00\r" and one.ask(b"t355121\r") == b"z\r" and two.line() == b"t355121\r"


def test_other_ways_without_acknowledge(service):
    one = service.raw().open()
    service.control.call("set", no_ack="error")
    assert one.ask(b"t3510\r") == b"\a"
    service.control.call("set", no_ack="accept", ack="cr")
    assert one.ask(b"t3510\r") == b"\r" and service.control.call("state")["lost"] == 1
    with pytest.raises(ControlError, match="no_ack is"):
        service.control.call("set", no_ack="maybe")
    with pytest.raises(ControlError, match="unknown command"):
        service.control.call("nonsense")
    with pytest.raises(ControlError, match="missing 'name'"):
        service.control.call("fault")


def test_faults_on_frames(service):
    one, two = service.raw().open(), service.raw().open()
    service.control.call("fault", name="drop", count=2, can_id="0x351")
    for line in (b"t3511AA\r", b"t3551AA\r", b"t3511BB\r", b"t3511CC\r"):
        assert one.ask(line) == b"z\r"
    assert [two.line(), two.line()] == [b"t3551AA\r", b"t3511CC\r"]
    service.control.call("fault", name="error", count=1)
    assert one.ask(b"t3510\r") == b"\a" and one.ask(b"t3510\r") == b"z\r" and two.line() == b"t3510\r"
    service.control.call("fault", name="partial", count=1, client=2)
    assert one.ask(b"t35140102\r") == b"\a"  # too short: refused
    assert one.ask(b"t35120102\r") == b"z\r" and one.ask(b"t3510\r") == b"z\r"
    assert two.line() == b"t351" + b"t3510\r"
    service.control.call("fault", name="garbage", hex="00ff0d", client=1)
    assert one.line() == b"\x00\xff\r"
    service.control.call("send", can_id="0x307", data="1234567856494300")
    assert one.line() == two.line() == b"t30781234567856494300\r"


def test_bus_off(service):
    one, two = service.raw().open(), service.raw().open()
    assert one.ask(b"t3510\r") == b"z\r" and two.line() == b"t3510\r"
    service.control.call("fault", name="bus_off", sent=0x351, reopen=True)
    assert one.ask(b"t3510\r") == b"\a" and one.ask(b"F\r") == b"FA4\r"
    assert two.ask(b"t3050\r") == b"z\r" and one.silent()  # waits: nobody acknowledges any more
    assert one.ask(b"C\r") == b"\r" and one.ask(b"O\r") == b"\r" and one.line() == b"t3050\r"
    assert one.ask(b"t3510\r") == b"z\r" and two.line() == b"t3510\r"
    service.control.call("fault", name="bus_off", ms=100)
    assert one.ask(b"t3510\r") == b"\a" and two.ask(b"t3510\r") == b"\a"
    service.wait(lambda state: "bus_off" not in state["faults"])
    assert two.ask(b"t3510\r") == b"z\r"


def test_disconnect_and_refuse(service):
    one = service.raw().open()
    service.control.call("fault", name="disconnect", ms=200)
    with pytest.raises((EOFError, ConnectionError)):
        one.line()
    with pytest.raises((EOFError, ConnectionError)):
        service.raw().ask(b"V\r")
    service.wait(lambda state: not state["faults"])
    assert service.raw().ask(b"V\r") == b"V1013\r"


def test_mute_and_slow_read(service):
    one, two = service.raw().open(), service.raw().open()
    service.control.call("fault", name="mute")
    one.socket.sendall(b"t3510\r")
    assert two.line() == b"t3510\r" and one.silent()
    service.control.call("clear")
    service.control.call("fault", name="slow_read", client=1)
    one.socket.sendall(b"t3511AA\r")
    assert two.silent()
    service.control.call("fault", name="slow_read", on=False)
    assert two.line() == b"t3511AA\r" and one.line() == b"z\r"


def test_a_client_that_does_not_read_is_dropped_and_delays_nobody(service):
    one, two, lazy = service.raw().open(), service.raw().open(), service.raw()
    lazy.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    lazy.open()
    burst = b"t35180102030405060708\r" * 1000
    worst = 0
    with Stalls() as machine:
        for _ in range(400):
            start = time.monotonic()
            one.socket.sendall(burst)
            for sock, size in ((one.socket, 2000), (two.socket, len(burst))):
                while size > 0:
                    size -= len(sock.recv(size))
            worst = max(worst, time.monotonic() - start)
            if service.control.call("state")["dropped_clients"]:
                break
    state = service.control.call("state")
    assert state["dropped_clients"] == 1 and len(state["clients"]) == 2 and worst < 1 + machine.seconds


def test_several_python_can_clients(service):
    buses = [service.bus() for _ in range(3)]
    try:
        service.wait(lambda state: [one["open"] for one in state["clients"]] == [True] * 3)
        buses[0].send(can.Message(arbitration_id=0x351, data=b"\x48\x02", is_extended_id=False))
        buses[1].send(can.Message(arbitration_id=0x1ABCDEF0, data=range(8), is_extended_id=True))
        buses[2].send(can.Message(arbitration_id=0x307, dlc=8, is_remote_frame=True, is_extended_id=False))
        for at, bus in enumerate(buses):
            got = {}
            while len(got) < 2:
                message = bus.recv(5)
                assert message is not None, got
                got[message.arbitration_id] = message
            assert len(got) == 2 and (0x351, 0x1ABCDEF0, 0x307)[at] not in got
            if at:
                assert bytes(got[0x351].data) == b"\x48\x02" and not got[0x351].is_extended_id
            assert at == 2 or got[0x307].is_remote_frame
        assert service.control.call("state")["clients"][0]["bit_rate"] == 500_000
    finally:
        for bus in buses:
            bus.shutdown()
    service.wait(lambda state: not state["clients"])
