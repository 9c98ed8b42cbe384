"""MQTT when something is wrong: passwords, ACLs, certificates, brokers and DNS servers that keep silent. The loop is watched."""

import json
import os
import signal
import socket
import threading
import time

import pytest
from tests.integration.mqtt_broker import Broker, Certificates, free_port, longest_hold, start_gateway
from tests.integration.parts import Parts, wait_for
from tests.integration.test_mqtt import GAP_S, HELD_MS, post, state
from tests.integration.watch import Watch


class Dns:
    """A DNS server that knows broker.test (127.0.0.1) and nothing else; says nothing while `silent`. `asked`: names."""

    def __init__(self):
        self.sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.sock.bind(("127.0.0.1", 0))
        self.address = "127.0.0.1:%d" % self.sock.getsockname()[1]
        self.silent, self.asked = False, []
        threading.Thread(target=self._run, daemon=True).start()

    def _run(self):
        while True:
            try:
                data, peer = self.sock.recvfrom(512)
            except OSError:
                return
            name, at = [], 12
            while data[at]:
                name.append(data[at + 1 : at + 1 + data[at]].decode())
                at += 1 + data[at]
            name = ".".join(name)
            self.asked.append(name)
            if self.silent:
                continue
            known = name in ("broker.test", "wrong.test")
            head = data[:2] + (b"\x81\x80\0\1\0\1" if known else b"\x81\x83\0\1\0\0") + b"\0\0\0\0"
            answer = b"\xc0\x0c\0\1\0\1\0\0\0\x3c\0\4\x7f\0\0\1" if known else b""
            self.sock.sendto(head + data[12:] + answer, peer)


@pytest.fixture(scope="module")
def parts(host_build):
    parts = Parts()
    try:
        yield parts
    finally:
        parts.stop()


@pytest.fixture(scope="module")
def dns():
    dns = Dns()
    yield dns
    dns.sock.close()


@pytest.fixture(scope="module")
def running(parts, dns):
    parts.start_sim(scenario="normal", speed=0, soc=60)
    parts.start_can()
    watch = Watch(parts)
    gateway = start_gateway(parts, {"mqtt": {"keepalive": 10}}, os.environ | {"TINYBMS_DNS": dns.address})
    assert state(gateway)["connected"] is False and state(gateway)["broker"] == ""
    watch.wait_first()
    yield gateway
    watch.stop()
    print(f"longest gap of 0x351 {watch.longest():.3f} s, longest hold of the loop {longest_hold(gateway)} ms")
    assert watch.longest() < GAP_S + watch.stalled()
    assert longest_hold(gateway) <= HELD_MS
    assert gateway.child.find("getaddrinfo ") is None


@pytest.fixture(autouse=True)
def off_afterwards(running):
    yield
    post(
        running, broker_uri="", username="", password="", ca_cert_path="", client_cert_path="", client_key_path="",
        verify_hostname=False, port=1883,
    )  # fmt: skip
    wait_for(lambda: not state(running)["connected"] and state(running)["last_error"] == "", 20)


def fails(gateway, text, seconds=20):
    """Wait until last_error holds `text`; gives the status."""

    def look():
        status = state(gateway)
        return not status["connected"] and text in status["last_error"] and status

    return wait_for(look, seconds, f"last_error with {text!r}; is {state(gateway)['last_error']!r}")


def connects(gateway, seconds=15):
    return wait_for(lambda: state(gateway)["connected"] and state(gateway), seconds, f"connection: {state(gateway)}")


def test_password_and_acl(parts, running):
    require = parts.directory / "passwords"
    acl = parts.directory / "acl"
    os.system(f"mosquitto_passwd -b -c {require} gw sécret >/dev/null 2>&1")
    acl.write_text("user gw\ntopic readwrite tinybms/metrics\n")
    broker = Broker(parts, f"password_file {require}", f"acl_file {acl}", anonymous=False)
    post(running, broker_uri=broker.uri, username="gw", password="wrong")
    fails(running, "credentials: refused (5: not authorized)")
    post(running, password="sécret")
    connects(running)
    sub = broker.sub("#", options=("-u", "gw", "-P", "sécret"))
    sub.json("tinybms/metrics")
    assert not sub.on("tinybms/status")  # the ACL forbids it: the broker swallows it
    assert state(running)["connected"]


def test_tls(parts, running, dns):
    certificates = Certificates(parts.directory)
    good, expired = (
        Broker(parts, f"cafile {certificates.path('ca.pem')}", f"certfile {certificates.path(name)}",
               f"keyfile {certificates.path(key)}", *more)
        for name, key, more in (
            ("good.pem", "good.key", ("require_certificate true",)),
            ("expired.pem", "expired.key", ()),
        )
    )  # fmt: skip
    ca = certificates.path("ca.pem")
    post(running, broker_uri=f"mqtts://broker.test:{good.port}", ca_cert_path=ca, verify_hostname=True)
    fails(running, "tls: the broker ended the handshake")  # it wants a client certificate
    client = {"client_cert_path": certificates.path("client.pem"), "client_key_path": certificates.path("client.key")}
    post(running, **client)
    assert connects(running)["verified"] is True
    post(running, broker_uri=f"mqtts://wrong.test:{good.port}")
    fails(running, "does not match with the expected CN")
    post(running, broker_uri=f"mqtts://broker.test:{expired.port}")
    fails(running, "validity has expired")
    post(running, ca_cert_path=certificates.path("good.pem"))
    fails(running, "not correctly signed")  # a CA that has nothing to do with it
    post(running, verify_hostname=False, ca_cert_path=ca)
    fails(running, "validity has expired")  # the CA still counts
    post(running, broker_uri=f"mqtts://wrong.test:{good.port}")
    assert connects(running)["verified"] is False  # any broker of this CA
    post(running, broker_uri=f"mqtts://wrong.test:{expired.port}", ca_cert_path="")
    assert connects(running)["verified"] is False
    assert {"broker.test", "wrong.test"} <= set(dns.asked)


def test_names(running, dns):
    post(running, broker_uri="mqtt://nobody.test:1883")
    fails(running, "dns: nobody.test is not known")
    dns.silent = True
    try:
        post(running, broker_uri="mqtt://silent.test:1883")
        fails(running, "does not answer")
    finally:
        dns.silent = False


def test_nobody_there(running):
    post(running, broker_uri=f"mqtt://127.0.0.1:{free_port()}")
    fails(running, "ECONNREFUSED")
    first = state(running)["errors"]
    time.sleep(4)
    assert 1 <= state(running)["errors"] - first <= 3, "back-off"
    post(running, broker_uri="mqtt://192.0.2.1:1883")
    fails(running, "tcp: ")


def test_accepts_and_never_answers(running):
    with socket.create_server(("127.0.0.1", 0)) as server:
        post(running, broker_uri="mqtt://127.0.0.1:%d" % server.getsockname()[1])
        fails(running, "does not answer CONNECT")


def test_vanishes_without_fin(parts, running):
    broker = Broker(parts)
    post(running, broker_uri=broker.uri)
    connects(running)
    broker.child.signal(signal.SIGSTOP)
    try:
        wait_for(lambda: not state(running)["connected"], 40, "loss noticed")
        assert "no P" in state(running)["last_error"]  # PUBACK or PINGRESP
    finally:
        broker.child.signal(signal.SIGCONT)
    connects(running, 20)


def test_alerts_across_a_broker_restart(parts, running):
    if running.http("/api/alerts/active").status == 503:
        pytest.skip("no alerts in this gateway")
    broker = Broker(parts)
    post(running, broker_uri=broker.uri)
    connects(running)
    sub = broker.sub("tinybms/alerts")
    expected = []

    def active():
        return [alert["alert_id"] for alert in running.http("/api/alerts/active").json["alerts"]]

    def alert(on):
        rule = {"soc_low_enabled": on, "soc_min_percent": 90, "debounce_sec": 0}
        assert running.http("/api/alerts/config", "POST", rule).status == 200
        total = running.http("/api/alerts/history").json["total"]
        if on:
            wait_for(lambda: running.http("/api/alerts/history").json["total"] > total, 10, "an alert")
            expected.append(running.http("/api/alerts/history?limit=1").json["alerts"][0]["alert_id"])
        else:
            wait_for(lambda: expected[-1] not in active(), 10, "the end of the alert")

    alert(True)
    alert(False)
    sub.wait("tinybms/alerts")
    broker.child.signal(signal.SIGSTOP)  # one is on its way and gets no answer
    alert(True)
    broker.child.signal(signal.SIGKILL)
    wait_for(lambda: not state(running)["connected"], 20)
    alert(False)
    alert(True)
    alert(False)
    broker.start()
    sub = broker.sub("tinybms/alerts")
    connects(running, 20)
    wait_for(lambda: len(sub.on("tinybms/alerts")) >= 3, 10)
    sub.settle()
    seen = [json.loads(text)["alert_id"] for text in sub.on("tinybms/alerts")]
    assert seen == sorted(seen) and set(expected[1:]) <= set(seen), (expected, seen)
