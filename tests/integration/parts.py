"""The processes of an integration test: simulated BMS, virtual bus, gateway, and their ends. None survives the test."""

from __future__ import annotations

import json
import shutil
import tempfile
import time
import urllib.error
import urllib.request
from contextlib import contextmanager
from pathlib import Path

import can

from tools.control import Control, host_port
from tools.gx_sim import GxSim
from tools.processes import Child, Failed, install, start_gateway, stop_all, tool

START_S = 30  # this machine may be busy


def wait_for(condition, seconds=15, what="", step=0.05):
    """Wait until `condition()` is true and give its value; AssertionError with `what` after `seconds`."""
    deadline = time.monotonic() + seconds
    while not (value := condition()):
        assert time.monotonic() < deadline, f"not in {seconds} s: {what or condition}"
        time.sleep(step)
    return value


class Reply:
    """What an HTTP request gave: `status`, `headers`, `body` (bytes); `json` reads the body."""

    def __init__(self, status, headers, body):
        self.status, self.headers, self.body = status, headers, body

    @property
    def json(self):
        return json.loads(self.body)


def http(url, method="GET", data=None, headers=None, timeout=10):
    """A `Reply`, whatever its status; OSError when there is none. `data`: bytes, or an object to send as JSON."""
    headers = dict(headers or {})
    if data is not None and not isinstance(data, bytes):
        data = json.dumps(data).encode()
        headers.setdefault("Content-Type", "application/json")
    request = urllib.request.Request(url, data, headers, method=method)
    try:
        with urllib.request.urlopen(request, timeout=timeout) as reply:
            return Reply(reply.status, reply.headers, reply.read())
    except urllib.error.HTTPError as error:
        return Reply(error.code, error.headers, error.read())


class Bus:
    """A python-can client of the virtual bus that also keeps what came: `frames` is a list of (time, can_id, bytes)."""

    def __init__(self, url):
        self._bus = can.Bus(
            interface="slcan", channel=url.removeprefix("slcan+"), bitrate=500_000, sleep_after_open=0, timeout=0.05
        )
        self.frames = []

    def recv(self, timeout=5):
        """The next frame as (time, can_id, data), or None."""
        message = self._bus.recv(timeout)
        if message is None:
            return None
        self.frames.append((time.monotonic(), message.arbitration_id, bytes(message.data)))
        return self.frames[-1]

    def wait(self, can_id, seconds=10, match=lambda data: True):
        """The data of the next frame with this identifier (for which `match(data)` holds)."""
        deadline = time.monotonic() + seconds
        while (left := deadline - time.monotonic()) > 0:
            frame = self.recv(left)
            if frame and frame[1] == can_id and match(frame[2]):
                return frame[2]
        raise AssertionError(f"no such 0x{can_id:X} in {seconds} s; came: {sorted({hex(f[1]) for f in self.frames})}")

    def drain(self):
        """Forget what has come so far, so that `wait` gives what comes from now on."""
        while self._bus.recv(0.01) is not None:
            pass

    def listen(self, seconds):
        """All frames of the next `seconds`: list of (time, can_id, data)."""
        start, deadline = len(self.frames), time.monotonic() + seconds
        while (left := deadline - time.monotonic()) > 0:
            self.recv(left)
        return self.frames[start:]

    def silent(self, seconds, *can_ids):
        """True when none of these (any when none is named) comes within `seconds`."""
        return not [f for f in self.listen(seconds) if not can_ids or f[1] in can_ids]

    def falls_silent(self, quiet, seconds=20):
        """True when there comes a pause of `quiet` seconds: what was under way when the sender ended may still come before."""
        deadline = time.monotonic() + seconds
        while not self.silent(quiet):
            if time.monotonic() > deadline:
                return False
        return True

    def send(self, can_id, data=b""):
        self._bus.send(can.Message(arbitration_id=can_id, data=data, is_extended_id=False))

    def shutdown(self):
        self._bus.shutdown()


class Gateway:
    """A running gateway: `port`, `url`, `child` (lines, pid, exit_code)."""

    def __init__(self, child):
        self.child = child
        self.port = host_port(child.wait_line("http ", START_S))[1]
        self.url = f"http://127.0.0.1:{self.port}"
        self.ws_url = f"ws://127.0.0.1:{self.port}"

    def http(self, path, method="GET", data=None, headers=None, timeout=10):
        return http(self.url + path, method, data, headers, timeout)

    def status(self):
        return self.http("/api/status").json


class Parts:
    """What a test has started; `stop` (the fixture calls it) ends everything.

    Each start_... gives the thing and keeps it: `sim`, `can`, `gateway` (the last one); `control` and `can_control` are
    the clients of the control channels, `uart_url` and `can_url` what the gateway is given.
    """

    def __init__(self):
        self.directory = Path(tempfile.mkdtemp(prefix="tinybms-gw-"))
        self.data = self.directory / "data"
        self.data.mkdir()
        self.children, self._closers = [], []
        self.uart_url = self.can_url = self.control = self.can_control = self.gateway = self.sim = self.can = None

    def start(self, name, argv, **options):
        """Any other command as a `Child`."""
        child = Child(name, argv, self.directory / f"{name}.log", **options)
        self.children.append(child)
        return child

    def _control(self, child):
        url = child.wait_line("control ", START_S)
        control = Control.from_url(url)
        self._closers.append(control.close)
        return control

    def start_sim(self, *arguments, listen="127.0.0.1:0", **options):
        """The simulated BMS; options are those of its command line: scenario="full", soc=50, dump=path, speed=60 ..."""
        for name, value in options.items():
            arguments += (f"--{name.replace('_', '-')}", value)
        self.sim = self.start("tinybms_sim", tool("tinybms_sim", "--listen", listen, *arguments))
        return self._sim_is_there()

    def _sim_is_there(self):
        self.uart_url = self.sim.wait_line("uart ", START_S)
        self.control_url = self.sim.wait_line("control ", START_S)
        self.control = self._control(self.sim)
        return self.sim

    def start_can(self, *arguments, listen="127.0.0.1:0"):
        """The virtual CAN bus. Nobody acknowledges on it until a `bus()` or `gx()` is there."""
        self.can = self.start("virtual_can", tool("virtual_can", "--listen", listen, *arguments))
        return self._can_is_there()

    def _can_is_there(self):
        self.can_url = self.can.wait_line("can ", START_S)
        self.can_control = self._control(self.can)
        return self.can

    @property
    def root(self):
        """A private copy of build/host, made when it is first asked for: where a gateway can be updated."""
        root = self.directory / "app"
        if not root.exists():
            install(root)
        return root

    def start_gateway(self, config=None, own_root=False, **options):
        """The gateway on the simulators that were started; `config`: dict in the form of GET /api/config.

        `own_root`: run it from `root` instead of build/host. Options: uart, can, data, port, host, heap, no_restart, reset_cause,
        heartbeat, env. Without simulators it gets ends where nobody listens.
        """
        if own_root:
            options["root"] = self.root
        if config is not None:
            options["config"] = self.directory / "config.json"
            options["config"].write_text(json.dumps(config))
        given = {
            "uart": self.uart_url or "socket://127.0.0.1:9",
            "can": self.can_url or "slcan+socket://127.0.0.1:9",
            "data": self.data,
        }
        child = start_gateway(log=self.directory / "gateway.log", **(given | options))
        self.children.append(child)
        self.gateway = Gateway(child)
        return self.gateway

    def start_all(self, **options):
        """Simulated BMS, virtual bus, gateway; options of `start_gateway`."""
        self.sim = self.start("tinybms_sim", tool("tinybms_sim", "--listen", "127.0.0.1:0"))
        self.can = self.start("virtual_can", tool("virtual_can", "--listen", "127.0.0.1:0"))
        self._sim_is_there()  # two Pythons start at the same time
        self._can_is_there()
        return self.start_gateway(**options)

    def http(self, path, method="GET", data=None, headers=None, timeout=10):
        return self.gateway.http(path, method, data, headers, timeout)

    def bus(self):
        """A new python-can client of the bus, see `Bus`."""
        bus = Bus(self.can_url)
        self._closers.append(bus.shutdown)
        return bus

    def gx(self, **options):
        """A simulated GX on the bus, see tools/gx_sim.py; gives a started `GxSim`."""
        gx = GxSim(self.can_url, **options)
        self._closers.append(gx.stop)
        return gx.start()

    def wait_connected(self, seconds=20):
        """Wait until the gateway has the battery; gives /api/status."""

        def connected():
            status = self.gateway.status()
            return status["battery"]["status"] != "DISCONNECTED" and status

        return wait_for(connected, seconds, "the battery in /api/status")

    def logs(self):
        """The last lines of all processes, for the report of a failure."""
        return "\n".join(f"--- {child.name} (exit code {child.exit_code()}){child.tail(40)}" for child in self.children)

    def stop(self):
        for close in reversed(self._closers):
            try:
                close()
            except (OSError, can.CanError):
                pass
        stop_all(self.children)
        shutil.rmtree(self.directory, ignore_errors=True)


def free_heap(gateway, samples):
    """The best of some looks at the free heap, as it is after a collection. The gateway looks at most each 50 ms."""
    best = 0
    for _ in range(samples):
        time.sleep(0.06)
        best = max(best, gateway.status()["free_heap"])
    return best


@contextmanager
def connected(**options):
    """`Parts` with a gateway (options of `start_gateway`) that has its battery; all of it ends with the block."""
    parts = Parts()
    try:
        parts.start_all(**options)
        parts.wait_connected()
        yield parts
    finally:
        parts.stop()


__all__ = ["Bus", "Failed", "Gateway", "Parts", "connected", "free_heap", "http", "wait_for"]
