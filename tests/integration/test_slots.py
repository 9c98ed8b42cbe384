"""Updates that work, that do not, and that leave nothing to start, with real uploads to a private copy of the build."""

import json
import shutil
import socket

import pytest
from websockets.sync.client import connect

from tests import bundles
from tests.integration.parts import Failed, wait_for
from tools.processes import HOST_BUILD, REBOOT

pytestmark = pytest.mark.usefixtures("host_build")

START_S = 30


def state(parts):
    return json.loads((parts.root / "slots.json").read_text())


def make_slot(parts, slot, version, **changes):
    """Fill a slot with the application as `version`; `changes`: files by name with "_" for what is not a letter, or None."""
    files = bundles.slot_files(HOST_BUILD / "slot_a")
    for path, data in changes.pop("files", {}).items():
        files[path] = data
    shutil.rmtree(parts.root / slot, ignore_errors=True)
    for path, data in files.items():
        target = parts.root / slot / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(data)
    (parts.root / slot / "manifest.json").write_bytes(bundles.manifest(files, version=version))


def select(parts, slot, trial=0):
    (parts.root / "slots.json").write_text(json.dumps({"active": slot, "trial": trial}))


def upload(gateway, version="9.9.9", files=None):
    """The answer to an upload of the application as `version`."""
    body, headers = bundles.form(bundles.bundle(files or bundles.slot_files(HOST_BUILD / "slot_a"), version=version))
    return gateway.http("/api/ota", "POST", body, headers, timeout=60)


def start(parts, cause="HARD", confirm_s=60, **options):
    return parts.start_gateway(
        own_root=True, reset_cause=cause, env={"TINYBMS_CONFIRM_S": str(confirm_s)}, heap="1M", **options
    )


def info(gateway):
    return gateway.http("/api/system/info").json


def flip(path):
    """Change one bit in the middle of a file."""
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)


def test_update_is_kept_when_it_works(parts):
    gateway = start(parts)
    assert info(gateway)["slot"] == "slot_a" and not (parts.root / "slots.json").exists()
    answer = upload(gateway)
    assert answer.status == 200 and answer.json["partition"] == "slot_b", answer.body
    assert state(parts) == {"active": "slot_b", "trial": 0}
    gateway.http("/api/system/restart", "POST", {"target": "gateway", "delay_ms": 200})
    assert gateway.child.wait(10) == REBOOT
    gateway = start(parts, "SOFT", confirm_s=3)
    shown = info(gateway)
    assert shown["slot"] == "slot_b" and shown["reset_cause"] == "SOFT" and shown["boot_count"] == 2
    assert shown["slots"]["versions"]["slot_b"] == "9.9.9"
    wait_for(lambda: state(parts) == {"active": "slot_b"}, START_S, "the confirmation")
    assert info(gateway)["slots"] == shown["slots"] | {"trial": False, "boots": 0}
    gateway.child.stop()
    assert info(start(parts))["slot"] == "slot_b"


def test_killed_before_it_is_confirmed_three_times(parts):
    """Healthy, but never for long enough."""
    make_slot(parts, "slot_b", "9.9.9")
    select(parts, "slot_b")
    for boot in (1, 2, 3):
        gateway = start(parts)
        shown = info(gateway)
        assert shown["slot"] == "slot_b" and shown["slots"]["trial"] and shown["slots"]["boots"] == boot
        gateway.child.process.kill()
        gateway.child.wait()
    gateway = start(parts)
    shown = info(gateway)
    failed = {"slot": "slot_b", "version": "9.9.9", "reason": "not confirmed in 3 boots"}
    assert shown["slot"] == "slot_a" and shown["slots"]["failed"] == failed
    assert "slot_b (9.9.9) was given up: not confirmed in 3 boots" in parts.logs()
    gateway.child.stop()
    start(parts)
    assert info(parts.gateway)["slots"]["failed"] == failed  # shown until the next update, told once
    assert "was given up" not in "\n".join(parts.gateway.child.lines)
    assert upload(parts.gateway).json["partition"] == "slot_b" and "failed" not in state(parts)


def test_update_that_does_not_start(parts):
    make_slot(parts, "slot_b", "9.9.9", files={"firmware/app.mpy": b"M\x01\x00\x1f of another MicroPython"})
    select(parts, "slot_b")
    for _ in range(3):
        with pytest.raises(Failed, match="ended with 1"):
            start(parts)
    shown = info(start(parts))
    assert shown["slot"] == "slot_a" and shown["slots"]["failed"]["slot"] == "slot_b" and shown["safe_mode"] == ""


def test_watchdog_resets_of_an_update_do_not_lead_to_safe_mode(parts):
    make_slot(parts, "slot_b", "9.9.9")
    select(parts, "slot_b")
    for cause in ("SOFT", "WATCHDOG", "WATCHDOG", "WATCHDOG"):
        gateway = start(parts, cause)
        shown = info(gateway)
        gateway.child.stop()
    assert shown["slot"] == "slot_a" and shown["safe_mode"] == "" and shown["reset_cause"] == "WATCHDOG"


@pytest.mark.parametrize("name", ["firmware/app.mpy", "www/index.html.gz", "manifest.json"])
def test_damaged_slot_is_not_started(parts, name):
    make_slot(parts, "slot_b", "9.9.9")
    flip(parts.root / "slot_a" / name)
    shown = info(start(parts))
    assert shown["slot"] == "slot_b" and shown["slots"]["failed"]["slot"] == "slot_a"
    assert shown["slots"]["failed"]["reason"]
    assert state(parts)["active"] == "slot_b"


def test_both_slots_bad_then_rescued(parts):
    make_slot(parts, "slot_b", "9.9.9")
    for slot in ("slot_a", "slot_b"):
        flip(parts.root / slot / "firmware" / "app.mpy")
    parts.start_can()
    bus = parts.bus()
    rescue = start(parts)
    page = rescue.http("/").body.decode()
    assert "rescue" not in page and "slot_a: firmware/app.mpy" in page and "slot_b: firmware/app.mpy" in page
    assert "Envoyer" in page and 'enctype="multipart/form-data"' in page
    assert rescue.http("/api/status").json["rescue"] is True
    assert rescue.http("/api/config").status == 404
    good = bundles.slot_files(HOST_BUILD / "slot_a")
    for files, changes, code in (
        (good, {"family": "xtensawin"}, "WRONG_FAMILY"),
        (good, {"micropython": "9.0.0"}, "MICROPYTHON_TOO_OLD"),
        (good, {"name": "other"}, "INVALID_BUNDLE"),
    ):
        body, headers = bundles.form(bundles.bundle(files, **changes))
        answer = rescue.http("/api/ota", "POST", body, headers, timeout=30)
        assert answer.status == 400 and answer.json["code"] == code, answer.body
    body, headers = bundles.form(bundles.bundle(good)[:-100])
    assert rescue.http("/api/ota", "POST", body, headers).status == 400
    body, headers = bundles.form(b"nonsense", name="other")
    assert rescue.http("/api/ota", "POST", body, headers).json["code"] == "INVALID_FIELD"
    assert rescue.http("/api/ota", "POST", b"{}", {"Content-Type": "application/json"}).status == 400
    answer = rescue.http("/api/ota", "POST", body, headers | {"Origin": "http://elsewhere.example"})
    assert answer.status == 403
    assert bus.silent(1) and not (parts.root / "slots.json").exists()
    answer = upload(rescue, "9.9.10")
    assert answer.status == 200 and answer.json["version"] == "9.9.10" and answer.json["status"] == "ok"
    assert rescue.child.wait(10) == REBOOT
    assert not list(parts.root.glob("*.new"))
    gateway = start(parts, "SOFT", confirm_s=2)
    assert info(gateway)["slot"] == answer.json["partition"]
    wait_for(lambda: state(parts) == {"active": answer.json["partition"]}, START_S, "the confirmation")


def test_rescue_survives_hostile_clients(parts):
    for name in ("boot.py", "main.py", "rescue.mpy"):
        parts.root.joinpath("slot_a", "manifest.json").unlink(missing_ok=True)
        assert (parts.root / name).exists()
    rescue = start(parts)
    post = b"POST /api/ota HTTP/1.1\r\n"
    cut = b"Content-Length: 10\r\nContent-Type: multipart/form-data; boundary=x\r\n\r\nabc"
    nonsense = (
        b"",
        b"\r\n\r\n",
        b"GET\r\n\r\n",
        b"\xff\xfe\r\n\r\n",
        b"GET " + b"x" * 9000,
        post + b"\r\n",
        post + cut,
    )
    for text in nonsense:
        with socket.create_connection(("127.0.0.1", rescue.port), timeout=20) as client:
            try:
                client.sendall(text)
                client.shutdown(socket.SHUT_WR)
                client.recv(1000)
            except OSError as error:  # it was quicker to hang up on us
                assert not isinstance(error, TimeoutError)
    assert rescue.http("/", headers={"Accept": "text/html"}).status == 200
    assert rescue.child.exit_code() is None


def test_maintenance_flag_starts_nothing_once(parts):
    (parts.root / "maintenance").touch()
    select(parts, "slot_a", 1)
    with pytest.raises(Failed, match="ended with 0"):
        start(parts)
    assert not (parts.root / "maintenance").exists() and state(parts)["trial"] == 1
    assert info(start(parts))["slot"] == "slot_a"


def test_nothing_is_written_beside_the_data(parts):
    """Without an update a gateway leaves its slots alone: the tests run from build/host together."""

    def seen():
        return {path: path.stat().st_mtime_ns for path in parts.root.rglob("*")}

    before = seen()
    gateway = start(parts, confirm_s=1)
    gateway.http("/api/ota")
    wait_for(lambda: gateway.status()["uptime_ms"] > 4000, START_S)
    gateway.http("/api/system/restart", "POST", {"target": "gateway", "delay_ms": 200})
    assert gateway.child.wait(10) == REBOOT
    assert seen() == before


def test_safe_mode(parts):
    """Configuration, network, HTTP and update, and why; nothing on CAN, nothing on the UART."""
    parts.start_sim()
    parts.start_can()
    bus = parts.bus()
    for cause in ("POWER_ON", "WATCHDOG", "WATCHDOG"):
        gateway = start(parts, cause)
        assert info(gateway)["safe_mode"] == ""
        gateway.child.process.kill()
        gateway.child.wait()
    gateway = start(parts, "WATCHDOG")
    shown = info(gateway)
    assert shown["safe_mode"].startswith("three watchdog resets or crashes in ") and shown["boot_count"] == 4
    assert bus.falls_silent(2)
    status = gateway.status()
    assert status["battery"]["status"] == "DISCONNECTED" and "safe mode" in status["bms_reason"]
    for path in ("/", "/metrics", "/api/config", "/api/config/schema", "/api/metrics/runtime", "/api/event-bus/metrics",
                 "/api/system/tasks", "/api/ota", "/api/openapi.json"):  # fmt: skip
        assert gateway.http(path).status == 200, path
    for path in ("/api/can/status", "/api/registers", "/api/alerts/active", "/api/history", "/api/mqtt/status"):
        assert gateway.http(path).status == 503, path
    assert gateway.http("/api/system/restart", "POST", {"target": "bms"}).status == 503
    for path in ("/ws/telemetry", "/ws/events"):
        with connect(gateway.ws_url + path) as socket:
            assert socket.ping().wait(10)
    with connect(gateway.ws_url + "/ws/page") as page:
        page.send(
            json.dumps({"type": "subscribe", "streams": ["telemetry", "events", "alerts", "state", "uart", "can"]})
        )
        seen = {}
        while "state" not in seen:
            message = json.loads(page.recv(10))
            seen[message["type"]] = message
        assert seen["state"]["safe_mode"] == shown["safe_mode"] and seen["state"]["can"] is None
    assert gateway.http("/api/config", "POST", {"charge_rebulk_soc": 77}).status == 200
    assert upload(gateway).status == 200
    gateway.http("/api/system/restart", "POST", {"target": "gateway", "delay_ms": 200})
    assert gateway.child.wait(10) == REBOOT
    shown = info(start(parts, "SOFT"))
    assert shown["safe_mode"] == "" and shown["slot"] == "slot_b"
    assert bus.wait(0x351, 20)
