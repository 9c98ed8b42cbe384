"""The HTTP server is there while somebody asks, and no longer: nothing is lost, kept or used up by its coming and going."""

import re
import shutil
import socket
import time
from pathlib import Path

import pytest

from tests.integration.parts import Gateway, wait_for
from tools.processes import HOST_BUILD, micropython

pytestmark = pytest.mark.usefixtures("host_build")

DRIVER = Path(__file__).with_name("door_driver.py")


def start(parts, heap="200k", *options, root=HOST_BUILD):
    parts.start_sim()
    parts.start_can()
    parts.gx()
    command = [micropython(), "-X", f"heapsize={heap}", DRIVER, "--uart", parts.uart_url, "--can", parts.can_url]
    command += ["--port", "0", "--data", str(parts.data), "--no-restart", *options]
    return Gateway(parts.start("gateway", command, cwd=root))


def left(gateway):
    """[(bytes allocated, largest free block)] each time when the server had gone."""
    found = (re.match(r"left (\d+) (\d+)", line) for line in gateway.child.lines)
    return [(int(one.group(1)), int(one.group(2))) for one in found if one]


def test_it_comes_and_goes_and_the_heap_stays(parts):
    """Fifteen times with a heap like a board's: page, status and configuration, which is the largest of the modules."""
    gateway = start(parts)
    for count in range(1, 16):
        for path in ("/", "/api/status", "/api/config"):
            assert gateway.http(path).status == 200, (count, path)
        wait_for(lambda count=count: len(left(gateway)) == count, 20, what="the server goes")
    figures = left(gateway)
    print(figures)
    assert max(used for used, _ in figures[5:]) < figures[2][0] + 4096  # the log fills
    assert min(block for _, block in figures[5:]) > figures[2][1] // 2
    assert not [line for line in gateway.child.lines if "died" in line or "error http" in line]


def test_connections_that_come_while_it_goes_are_served(parts):
    """Requests at every moment of its coming and going."""
    gateway = start(parts, "1M")
    for step in range(12):
        assert gateway.http("/api/status").status == 200
        time.sleep(1.4 + step * 0.06)
    wait_for(lambda: len(left(gateway)) >= 3, 20, what="the server goes")
    assert not [line for line in gateway.child.lines if "died" in line]


def test_who_guesses_passwords_gains_nothing_by_waiting(parts):
    gateway = start(parts, "1M")
    assert gateway.http("/api/auth/password", "POST", {"password": "a good password"}, timeout=30).status == 200
    wrong = {"Authorization": "Basic YWRtaW46d3Jvbmc="}
    for _ in range(4):
        assert gateway.http("/api/auth/check", headers=wrong, timeout=30).status == 401
    count = len(left(gateway))
    wait_for(lambda: len(left(gateway)) > count, 20, what="the server goes")
    assert gateway.http("/api/auth/check", headers=wrong, timeout=30).status == 401  # the fifth
    assert gateway.http("/api/auth/check", headers=wrong, timeout=30).status == 429
    count = len(left(gateway))
    wait_for(lambda: len(left(gateway)) > count, 20, what="the server goes")
    assert gateway.http("/api/auth/check", headers=wrong, timeout=30).status == 429


def test_no_room_is_told(parts):
    """A heap that leaves no room for the server: 503 and a line in the log; CAN goes on."""
    gateway = start(parts, "139k")
    bus = parts.bus()
    answer = gateway.http("/api/status", timeout=20)
    assert answer.status == 503 and answer.json["code"] == "LOW_MEMORY"
    assert [line for line in gateway.child.lines if "connection refused" in line]
    with socket.create_connection(("127.0.0.1", gateway.port)):
        pass  # one that goes before it is answered
    assert gateway.http("/api/status", timeout=20).status == 503
    assert bus.wait(0x351, 5)


@pytest.mark.parametrize("name", ["http", "alerts"])
def test_a_file_that_cannot_be_loaded_stops_nothing_else(parts, name):
    """The flash has lost a module: what needs it is refused or left out, the battery and the other parts go on."""
    root = parts.data / "application"
    shutil.copytree(HOST_BUILD, root)
    (root / "slot_a" / "firmware" / f"{name}.mpy").write_bytes(b"not a module")
    gateway = start(parts, "1M", root=root)
    bus = parts.bus()
    assert bus.wait(0x351, 5)
    if name == "http":
        for _ in range(2):
            answer = gateway.http("/api/status", timeout=20)
            assert answer.status == 503 and answer.json["code"] == "LOW_MEMORY"
        assert [line for line in gateway.child.lines if "connection refused: ValueError" in line]
    else:
        said = "not started: ValueError"
        wait_for(lambda: [line for line in gateway.child.lines if said in line], 10, said)
        states = {task["name"]: task["state"] for task in gateway.http("/api/system/tasks").json["tasks"]}
        assert states["alerts"] == "Suspended" and states["history"] != "Suspended", states
    assert bus.wait(0x351, 5)
    assert not [line for line in gateway.child.lines if "died" in line]
