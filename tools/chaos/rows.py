"""The faults. A row begins, holds for some seconds, is checked, and ends; it says what it may take away."""

from __future__ import annotations

import random
import resource
import socket
import time
from collections.abc import Callable
from dataclasses import dataclass

from tests.integration.parts import wait_for
from tests.integration.test_http_hostile import malformed
from tests.integration.test_update import application, complete, upload

POLLS, FRAMES, GATEWAY = "polls", "frames", "gateway"  # what a fault may take away


def _nothing(world):
    pass


@dataclass
class Row:
    name: str
    begin: Callable
    end: Callable = _nothing
    hold: float = 6
    takes: str = ""  # one of the above: then `check` alone says what is promised
    check: Callable | None = None
    files: bool = False  # lets nothing be written, or has to write: not together with another such


# -- UART --


def _uart(name, hold=6, takes="", check=None, **options):
    return Row(
        f"uart_{name}", lambda world: world.parts.control.call("fault", name=name, **options),
        lambda world: world.parts.control.call("fault", name=name, on=False), hold, takes, check,
    )  # fmt: skip


def _steps(world, since):
    """DESIGN 5: no good poll for 5, 10, 15 s."""
    rows = world.limits(since)
    charge = next((at for at, _, ccl, _ in rows if ccl == 0), None)
    discharge = next((at for at, _, _, dcl in rows if dcl == 0), None)
    assert charge and 4 < charge < 7.5, f"CCL 0 after {charge}"
    assert discharge and 9 < discharge < 12.5, f"DCL 0 after {discharge}"
    assert 13 < rows[-1][0] < 17, f"last 0x351 after {rows[-1][0]}"
    assert min(row[1] for row in rows) > 40, "CVL fell"


def _short_silence(world):
    world.parts.control.call("fault", name="silence", ms=7500)


def _short(world, since):
    rows = world.limits(since)
    assert any(ccl == 0 for _, _, ccl, _ in rows) and all(dcl > 0 for _, _, _, dcl in rows), rows


def _uart_gone(world):
    world.port = int(world.parts.uart_url.rsplit(":", 1)[1])
    world.parts.sim.stop()


def _bms_fault(world):
    world.parts.control.call("event", id=0x03, active=True)
    world.parts.control.call("set", register=50, value=0x9B)


def _bms_well(world):
    world.parts.control.call("set", register=50, value=0x92)
    world.parts.control.call("unset")
    world.parts.control.call("clear")
    world.parts.control.call("model", step_s=0.1)


def _no_charge(world, since):
    rows = [row for row in world.limits(since) if row[0] > 4]
    assert rows and all(ccl == 0 and dcl > 0 for _, _, ccl, dcl in rows), rows


# -- CAN --


def _can(name, hold=6, takes="", **options):
    return Row(
        f"can_{name}", lambda world: world.parts.can_control.call("fault", name=name, **options),
        lambda world: world.parts.can_control.call("fault", name=name, on=False), hold, takes,
    )  # fmt: skip


# -- network, files, machine --


def _strangers(world):
    dice = random.Random(3)
    host = f"127.0.0.1:{world.gateway.port}"
    end = time.monotonic() + 4
    while time.monotonic() < end:
        try:
            with socket.create_connection(("127.0.0.1", world.gateway.port), 2) as link:
                link.sendall(malformed(dice, host))
        except OSError:
            pass


def _half_open(world):
    world.links = [socket.create_connection(("127.0.0.1", world.gateway.port), 5) for _ in range(8)]
    for link in world.links:
        link.sendall(b"GET /api/status HTTP/1.1\r\nX-Slow: ")


def _close(world):
    for link in world.links:
        link.close()


def _broker_gone(world):
    """A broker that takes connections and says nothing."""
    world.broker = socket.create_server(("127.0.0.1", 0))
    uri = "mqtt://127.0.0.1:%d" % world.broker.getsockname()[1]
    assert world.gateway.http("/api/mqtt/config", "POST", {"broker_uri": uri}).status == 200


def _broker_end(world):
    world.broker.close()
    assert world.gateway.http("/api/mqtt/config", "POST", {"broker_uri": ""}).status == 200


def _disk_bad(world):
    """No configuration can be written: its temporary file cannot be made."""
    (world.parts.data / "config.tmp").mkdir()
    world.before = world.gateway.http("/api/config").json["charge"]["rebulk_soc"]
    reply = world.gateway.http("/api/config", "POST", {"charge_rebulk_soc": 60 + (world.before - 59) % 30})
    assert reply.status == 500 and reply.json["code"] == "STORAGE_ERROR", reply.body


def _disk_good(world):
    (world.parts.data / "config.tmp").rmdir()
    assert world.gateway.http("/api/config").json["charge"]["rebulk_soc"] == world.before


def _room(world, size):
    """No file of the gateway can become longer than `size` bytes: a write that would fails there, as on a full disk."""
    hard = resource.prlimit(world.gateway.child.pid, resource.RLIMIT_FSIZE)[1]
    resource.prlimit(world.gateway.child.pid, resource.RLIMIT_FSIZE, (hard if size is None else size, hard))


def _disk_full(world):
    """Neither settings nor an update find room: both are refused with their reason."""
    world.before = world.gateway.http("/api/config").json["charge"]["rebulk_soc"]
    _room(world, 0)
    reply = world.gateway.http("/api/config", "POST", {"charge_rebulk_soc": 60 + (world.before - 59) % 30})
    assert reply.status == 500 and reply.json["code"] == "STORAGE_ERROR", reply.body
    _room(world, 65536)
    try:
        reply = upload(world.gateway, application("3.0.0"))
        assert reply.status in (413, 500) and reply.json["code"] in ("PAYLOAD_TOO_LARGE", "FLASH_ERROR"), reply.body
    finally:
        _room(world, 0)


def _disk_free(world):
    _room(world, None)
    assert world.gateway.http("/api/config").json["charge"]["rebulk_soc"] == world.before
    state = world.gateway.http("/api/ota").json
    assert complete(world.parts.root / state["running"]), state
    assert not list(world.parts.root.glob("*.new")), "what came of the update is still there"


def _history_full(world):
    """A restart writes the history and the counters; they find no room, and it restarts all the same."""
    child = world.gateway.child
    _room(world, 0)
    assert world.gateway.http("/api/system/restart", "POST", {"target": "gateway", "delay_ms": 100}).status == 200
    wait_for(lambda: child.exit_code() is not None, 15, "the restart with a full disk")
    assert child.exit_code() == 42, child.exit_code()
    assert any("history: not written" in line for line in child.lines), child.lines[-20:]
    began = time.monotonic()
    world.start_gateway()
    wait_for(lambda: world.limits(began), 8, "0x351 after a restart with a full disk")
    reply = world.gateway.http("/api/history/files")
    assert reply.status == 200, reply.body


def _killed(world):
    world.kill()
    began = time.monotonic()
    world.start_gateway()
    wait_for(lambda: world.limits(began), 8, "0x351 after a kill")


ROWS = [
    _uart("silence", 18, POLLS, _steps),
    Row("uart_silence_short", _short_silence, hold=9, takes=POLLS, check=_short),
    _uart("drop_rate", rate=0.1), _uart("noise", bytes=20, rate=0.3), _uart("noise_in", rate=0.1), _uart("bad_crc", rate=0.2),
    _uart("delay", ms=100), _uart("nack", rate=0.05, code=1), _uart("short", rate=0.1), _uart("split", rate=0.5), _uart("double"),
    _uart("wrong_command", rate=0.1), _uart("broadcast", ms=300), _uart("sleep", ms=3000),
    Row("uart_gone", _uart_gone, lambda w: w.start_battery(listen=f"127.0.0.1:{w.port}"), takes=POLLS),
    Row("bms_fault_0x03", _bms_fault, _bms_well, 9, POLLS, _no_charge),
    _can("drop", takes=FRAMES, sent=0x351, count=5), _can("bus_off", takes=FRAMES, sent=0x351, reopen=True),
    _can("error", takes=FRAMES, sent=0x351, count=5), _can("mute", sent=0x351), _can("partial", sent=0x351),
    _can("slow_read", 4, FRAMES, sent=0x351), _can("garbage", sent=0x351), _can("disconnect", takes=FRAMES, sent=0x351),
    Row("http_strangers", _strangers), Row("http_half_open", _half_open, _close),
    Row("mqtt_silent_broker", _broker_gone, _broker_end, files=True),
    Row("disk_bad", _disk_bad, _disk_good, files=True), Row("disk_full", _disk_full, _disk_free, files=True),
    Row("history_full", _history_full, takes=GATEWAY, files=True), Row("gateway_killed", _killed, takes=GATEWAY),
]  # fmt: skip
ROWS = {row.name: row for row in ROWS}
