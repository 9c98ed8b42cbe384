"""The simulated TinyBMS as a process: TCP, pty, control, signals."""

import json
import os
import signal
import socket
import struct
import subprocess
import sys
import time

import pytest
from tests.integration.tinybms_bench import DUMP, FRAMES, ROOT
from tools.control import Control
from tools.tinybms_sim.protocol import seal, valid
from tools.tinybms_sim.scenarios import SCENARIOS


class Process:
    def __init__(self, *arguments):
        command = [sys.executable, "-m", "tools.tinybms_sim", *arguments]
        self.process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)
        self.urls = {}
        for line in self.process.stdout:
            if line == "ready\n":
                break
            name, url = line.split()
            self.urls[name] = url

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.kill()
        self.process.wait()
        self.process.stdout.close()

    def connect(self):
        host, port = self.urls["uart"].removeprefix("socket://").split(":")
        return socket.create_connection((host, int(port)), 5)


def ask(link, *request, size):
    link.sendall(seal(request))
    data = b""
    while len(data) < size:
        part = link.recv(size - len(data))
        assert part
        data += part
    assert valid(data)
    return data


def test_process_over_tcp():
    with Process("--listen", "127.0.0.1:0", "--control", "127.0.0.1:0", "--speed", "600") as sim:
        assert list(sim.urls) == ["uart", "control"]
        for _ in range(2):  # one client after another
            with sim.connect() as link:
                assert ask(link, 0xAA, 0x18, size=6)[1] == 0x18
        with Control.from_url(sim.urls["control"]) as control, sim.connect() as link:
            assert control.call("state")["requests"]["0x18"] == 2
            control.call("model", charger_on=False, load_a=70)
            time.sleep(0.5)
            assert struct.unpack("<f", ask(link, 0xAA, 0x15, size=8)[2:6])[0] == pytest.approx(-70)
            control.call("fault", name="delay", ms=300)
            start = time.monotonic()
            ask(link, 0xAA, 0x18, size=6)
            assert 0.25 < time.monotonic() - start < 3
            with pytest.raises(RuntimeError, match="gremlin"):
                control.call("fault", name="gremlin")
        sim.process.send_signal(signal.SIGTERM)
        assert sim.process.wait(10) == 0


def test_process_on_a_pty_with_a_dump(tmp_path):
    dump = tmp_path / "dump.json"
    dump.write_text(json.dumps({str(r): w for r, w in DUMP.items()}))
    with Process("--pty", "--dump", str(dump)) as sim:
        assert sim.urls["uart"].startswith("/dev/")
        link = os.open(sim.urls["uart"], os.O_RDWR | os.O_NOCTTY)
        try:
            os.write(link, FRAMES["code-voltage"])
            data = b""
            while len(data) < 8:
                data += os.read(link, 8)
            assert struct.unpack("<f", data[2:6])[0] == pytest.approx(55.78)
        finally:
            os.close(link)
        sim.process.send_signal(signal.SIGINT)
        assert sim.process.wait(10) == 0


def test_scenarios_are_listed_and_run():
    out = subprocess.run(
        [sys.executable, "-m", "tools.tinybms_sim", "--list-scenarios"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    assert [line.split()[0] for line in out.splitlines()] == list(SCENARIOS)
    assert {"normal", "full", "empty", "cold", "hot", "weak-cell", "high-cell", "noisy", "sleepy"} <= set(SCENARIOS)
