"""The admin password: open until it is set, then asked for; guessing is locked; forgotten is reset with the board in hand."""

import base64
import threading
import time

import pytest
from tests.integration.parts import Parts, wait_for
from tests.integration.watch import Stalls
from websockets.exceptions import InvalidStatus
from websockets.sync.client import connect

PASSWORD = "correct horse é"
GUARDED = (
    ("POST", "/api/registers", {"key": "capacity_cah", "value": 10000}),
    ("POST", "/api/config/restore", {}),
    ("GET", "/api/config/backup?secrets=1", None),
    ("GET", "/api/system/logs", None),
)
CHANGES = (
    ("POST", "/api/config", {}),
    ("POST", "/api/system/restart", {"target": "gateway"}),
    ("POST", "/api/system/time", {"timestamp_ms": 1800000000000}),
)


def basic(password, user="admin"):
    text = base64.b64encode(f"{user}:{password}".encode()).decode()
    return {"Authorization": f"Basic {text}"}


@pytest.fixture
def gateway(host_build):
    parts = Parts()
    try:
        yield parts.start_gateway(no_restart=True)
    finally:
        parts.stop()


def set_password(gateway, password=PASSWORD, headers=None):
    return gateway.http("/api/auth/password", "POST", {"password": password}, headers, timeout=30)


def test_open_until_a_password_is_set(gateway):
    assert gateway.http("/api/auth/status").json["password_set"] is False
    for method, path, data in GUARDED:
        reply = gateway.http(path, method, data)
        assert reply.status == 403 and reply.json["code"] == "PASSWORD_REQUIRED", path
    for method, path, data in CHANGES:
        assert gateway.http(path, method, data).status == 200, path


def test_once_set_changes_and_secrets_need_it(gateway):
    for bad in ("short", "x" * 65, 7, None):
        assert set_password(gateway, bad).status == 400
    assert set_password(gateway).status == 200
    assert gateway.http("/api/auth/status").json["password_set"] is True
    for method, path, data in GUARDED + CHANGES:
        reply = gateway.http(path, method, data)
        assert reply.status == 401 and reply.headers["WWW-Authenticate"].startswith("Basic "), path
        reply = gateway.http(path, method, data, basic(PASSWORD), timeout=30)
        assert reply.status not in (401, 403), (path, reply.body)
    assert gateway.http("/api/status").status == 200  # reading stays open
    assert set_password(gateway, "another password").status == 401
    assert set_password(gateway, "another password", basic(PASSWORD)).status == 200
    assert gateway.http("/api/config", "POST", {}, basic(PASSWORD)).status == 401
    assert gateway.http("/api/config", "POST", {}, basic("another password")).status == 200
    assert gateway.http("/api/auth/password", "DELETE", None, basic("another password")).status == 200
    assert gateway.http("/api/config", "POST", {}).status == 200


def test_no_answer_and_no_log_holds_the_password(gateway):
    set_password(gateway)
    for path in ("/api/config", "/api/config/backup?secrets=1", "/api/system/logs", "/api/system/info"):
        body = gateway.http(path, headers=basic(PASSWORD), timeout=30).body
        assert PASSWORD.encode() not in body and b"correct horse" not in body, path
    shown = gateway.http("/api/config", headers=basic(PASSWORD)).json["auth"]
    assert set(shown) == {"protect_reads", "allowed_hosts"}


def test_reads_can_be_protected(gateway):
    set_password(gateway)
    gateway.http("/api/config", "POST", {"auth": {"protect_reads": True}}, basic(PASSWORD), timeout=30)
    for path in ("/", "/api/status", "/metrics", "/api/config"):
        assert gateway.http(path).status == 401, path
        assert gateway.http(path, headers=basic(PASSWORD)).status == 200, path
    with pytest.raises(InvalidStatus) as error:
        connect(gateway.ws_url + "/ws/telemetry")
    assert error.value.response.status_code == 401
    with connect(gateway.ws_url + "/ws/telemetry", additional_headers=basic(PASSWORD)) as socket:
        assert "battery_data" in socket.recv(10)


def test_our_page_asks_for_the_password_itself(gateway):
    """With WWW-Authenticate a browser opens its own box, and the page's request hangs behind it."""
    assert gateway.http("/api/auth/check").status == 403  # there is none to check
    set_password(gateway)
    asked = gateway.http("/api/auth/check", headers=basic("wrong"))
    assert asked.status == 401 and asked.headers["WWW-Authenticate"].startswith("Basic ")
    page = {"X-Requested-With": "page"}
    asked = gateway.http("/api/auth/check", headers={**basic("wrong"), **page})
    assert asked.status == 401 and asked.headers["WWW-Authenticate"] is None
    assert gateway.http("/api/auth/check", headers={**basic(PASSWORD), **page}).status == 200
    assert gateway.http("/api/auth/password", "DELETE", None, basic(PASSWORD)).status == 200


def test_guessing_is_locked(gateway):
    set_password(gateway)
    for wrong in range(5):
        assert gateway.http("/api/config", "POST", {}, basic(f"wrong {wrong}"), timeout=30).status == 401
    reply = gateway.http("/api/config", "POST", {}, basic(PASSWORD))
    assert reply.status == 429 and reply.json["code"] == "TOO_MANY_FAILURES"
    wait = int(reply.headers["Retry-After"])
    assert 1 <= wait <= 10
    assert gateway.http("/api/status").status == 200
    time.sleep(wait + 1)
    assert gateway.http("/api/config", "POST", {}, basic("wrong again"), timeout=30).status == 401
    reply = gateway.http("/api/config", "POST", {}, basic(PASSWORD))
    assert reply.status == 429 and int(reply.headers["Retry-After"]) > 10  # it grows


def test_checking_a_password_holds_nobody_up(gateway):
    set_password(gateway)
    busy = threading.Thread(target=gateway.http, args=("/api/config", "POST", {}, basic("wrong"), 30))
    busy.start()
    slowest = 0
    with Stalls() as machine:
        while busy.is_alive():
            start = time.monotonic()
            gateway.http("/api/status")
            slowest = max(slowest, time.monotonic() - start)
    assert slowest < 0.5 + machine.seconds


def test_foreign_pages_are_refused_from_the_first_boot(gateway):
    own = f"127.0.0.1:{gateway.port}"
    for headers in ({"Origin": "http://evil.example"}, {"Host": "evil.example"}, {"Origin": "null"}):
        reply = gateway.http("/api/config", "POST", {}, headers)
        assert reply.status == 403 and reply.json["code"].startswith("FOREIGN_"), headers
    assert gateway.http("/api/config", "POST", {}, {"Origin": f"http://{own}"}).status == 200
    with pytest.raises(InvalidStatus) as error:
        connect(gateway.ws_url + "/ws/telemetry", origin="http://evil.example")
    assert error.value.response.status_code == 403
    with connect(gateway.ws_url + "/ws/telemetry", origin=f"http://{own}") as socket:
        assert socket.recv(10)


def test_a_forgotten_password_is_reset_with_the_board_in_hand(host_build, parts):
    gateway = parts.start_gateway(no_restart=True)
    set_password(gateway)
    gateway.child.stop()
    gateway = parts.start_gateway(no_restart=True)
    assert gateway.http("/api/config", "POST", {}).status == 401  # it survives a restart
    gateway.child.stop()
    (parts.data / "reset_password").touch()
    gateway = parts.start_gateway(no_restart=True)
    wait_for(lambda: gateway.http("/api/auth/status").json["password_set"] is False, 5)
    assert gateway.http("/api/config", "POST", {}).status == 200
    assert not (parts.data / "reset_password").exists()
