"""MQTT: packets against those of the specification, the reader, settings, messages, PEM files."""

import asyncio
import json

from firmware import live as L
from firmware.mqtt import client, limits, messages, opening, peer, settings, tls
from firmware.mqtt.endpoint import endpoint
from firmware.mqtt.mqtt import Mqtt
from firmware.bus import Bus
from firmware.live import Live
from tests.unit.help import FakeClock, FakeConfig, FakeLog, raises

BASE = {
    "mqtt.broker_uri": "mqtt://10.0.0.1", "mqtt.port": 1883, "mqtt.username": "gw", "mqtt.password": "é",
    "mqtt.client_id": "gw/1+", "mqtt.client_cert_path": "", "mqtt.client_key_path": "", "mqtt.ca_cert_path": "",
    "mqtt.verify_hostname": False, "mqtt.keepalive": 60, "mqtt.default_qos": 1, "mqtt.retain": False,
    "mqtt.topics.status": "site/{id}/status", "mqtt.topics.metrics": "m", "mqtt.topics.config": "c", "mqtt.topics.alerts": "a",
    "mqtt.topics.can_raw": "r", "mqtt.topics.can_decoded": "d", "mqtt.topics.can_ready": "y", "mqtt.can_raw_enabled": True,
    "mqtt.can_decoded_enabled": False, "mqtt.can_ready_enabled": False, "mqtt.home_assistant.enabled": True,
    "mqtt.home_assistant.prefix": "homeassistant", "mqtt.commands.acknowledge": False, "mqtt.commands.limits": True,
    "mqtt.commands.config": False, "mqtt.commands.registers": False, "mqtt.commands.restart_bms": False,
    "mqtt.commands.restart_gateway": False,
}  # fmt: skip


def make(**changes):
    values = dict(BASE)
    for key, value in changes.items():
        values["mqtt." + key] = value
    return settings.make(lambda key: values[key])


class Wire:
    """A socket that takes a few bytes at a time, and says `incoming`."""

    def __init__(self, step=7):
        self.out = bytearray()
        self.step = step
        self.turn = 0

    def write(self, data):
        self.turn += 1
        if self.turn % 3 == 0:
            return None  # would block
        part = bytes(data[: self.step])
        self.out.extend(part)
        return len(part)

    def close(self):
        pass


def connection(got=None):
    made = client.Connection(b"gw", FakeClock(), lambda topic, payload: got.append((topic, payload)))
    made._sock = Wire()
    return made


def feed(made, data):
    """Let the reader of `made` take the packets in `data`."""

    left = [data]

    async def fill():
        part, left[0] = left[0][:100], left[0][100:]
        if not part:
            raise client.Failure("tcp", "end")
        made._buffer[: len(part)] = part
        made._at, made._end = 0, len(part)

    made._fill = fill
    asyncio.run(made._read())


def test_settings():
    made = make()
    assert (made.host, made.port, made.tls) == ("10.0.0.1", 1883, False)
    assert made.id == "gw-1-" and made.topics["status"] == b"site/gw-1-/status" and made.base == "site/gw-1-"
    assert made.will_topic == b"site/gw-1-/status/availability" and made.password == "é".encode()
    assert made.commands == ["limits"] and made.topics["can_raw"] == b"r" and made.topics["can_ready"] is None
    made = make(broker_uri="mqtts://b.test", ca_cert_path="ca", verify_hostname=True)
    assert (made.host, made.port, made.tls, made.verified) == ("b.test", 8883, True, True)
    assert make(broker_uri="mqtts://b.test:1883").port == 1883
    assert not make(broker_uri="mqtts://b.test", verify_hostname=True).verified
    assert make(broker_uri="").host == ""
    assert endpoint(lambda key: BASE[key]) == ("mqtt", "10.0.0.1", 1883)


def test_connect_packet():
    """Lengths count bytes, not characters (MQTT 3.1.1 sections 1.5.3 and 3.1)."""
    packet = opening._connect_packet(connection().client, make(client_id="g", topics_status="x"))
    made = make(client_id="g")
    made.will_topic = b"w"
    packet = opening._connect_packet(connection().client, made)
    body = b"\0\4MQTT\4\xee\0\x3c\0\1g\0\1w\0\7offline\0\2gw\0\2\xc3\xa9"
    assert packet == b"\x10" + bytes((len(body),)) + body, packet
    made.user = b""
    made.will_topic = None
    assert opening._connect_packet(connection().client, made) == b"\x10\x0d\0\4MQTT\4\2\0\x3c\0\1g"


def test_publish_packets():
    made = connection()

    async def go(*args):
        made._sock.out = bytearray()
        await made.publish(*args)
        return bytes(made._sock.out)

    assert asyncio.run(go(b"a/b", b"hi")) == b"\x30\x07\0\3a/bhi"
    assert asyncio.run(go(b"a/b", b"hi", True)) == b"\x31\x07\0\3a/bhi"
    assert asyncio.run(go(b"a/b", b"hi", False, 0x1234)) == b"\x32\x09\0\3a/b\x12\x34hi"
    assert asyncio.run(go(b"a/b", b"hi", True, 0x1234, True)) == b"\x3b\x09\0\3a/b\x12\x34hi"
    long = asyncio.run(go(b"t", client.Body(1500, (b"x" * 500 for _ in range(3))), False, 1))
    assert long == b"\x32\xe1\x0b\0\1t\0\1" + b"x" * 1500  # 1505 = 0x61 | 0x80, 0x0b

    async def wrong():
        try:
            await made.publish(b"t", client.Body(5, (b"four",)))
        except client.Failure:
            return True

    assert asyncio.run(wrong())


def test_subscribe_and_ping():
    made = connection()

    async def go():
        await made.subscribe(b"x/cmd/#")
        await made.ping()
        return bytes(made._sock.out)

    assert asyncio.run(go()) == b"\x82\x0c\0\1\0\7x/cmd/#\1" + b"\xc0\0"


def test_reader():
    got = []
    made = connection(got)
    message = b"\x30\x06\0\2abhi"
    feed(
        made, b"\x20\2\0\5" + b"\x90\3\0\1\x01" + b"\x40\2\x12\x34" + b"\xd0\0" + message * 30 + b"\x32\x08\0\2ab\0\7hi"
    )
    assert made.connack == 5 and made.acked == 0x1234 and made.subscribed is True
    assert got == [(b"ab", b"hi")] * 31 and made.received == 31
    assert bytes(made._acks) == b"\x40\2\0\7"
    assert made.failed.stage == "tcp"


def test_reader_skips_what_is_long_or_retained():
    got = []
    made = connection(got)
    size = 100_000 + 4
    long = b"\x30" + client.packet_length(size) + b"\0\2ab" + b"x" * 100_000
    feed(made, long + b"\x31\x06\0\2abhi" + b"\x30\x06\0\2abok")
    assert got == [(b"ab", b"ok")] and made.skipped == 2 and made.received == 3


def test_reader_ends_on_nonsense():
    for data in (b"\x30\xff\xff\xff\xff\x01", b"\x30\x01\0", b"\x36\x05\0\2abx", b"\x30\x03\0\x09a"):
        made = connection([])
        feed(made, data)
        assert made.failed and made.failed.stage == "mqtt", data


class Board(FakeClock):
    free = None

    def heap_free(self):
        return 12345

    def idf_free(self):
        return self.free


class Counters:
    polls, timeouts, crc_errors = 5, 1, 0
    sent, errors = 7, 2


def test_messages():
    board = Board()
    live = Live(board)
    absent = json.loads(messages.metrics(live, board, Counters, Counters))
    assert absent["status"] == "DISCONNECTED" and absent["voltage_v"] is None and absent["cells"] == []
    assert absent["protection"]["ov"] is None and absent["can_errors"] == 2
    values = {
        L.VOLTAGE: 52005, L.CURRENT: -40, L.SOC: 9999, L.STATUS: L.DISCHARGING, L.CELL_COUNT: 2, L.CELL: 3000, L.CELL + 1: 3301,
        L.CELL_MIN: 3000, L.CELL_MAX: 3301, L.TEMP_INT: -5, L.FAULTS: 1 << 3, L.WARNINGS: 0, L.CVL: 56000, L.ENERGY_IN: 1234567,
    }  # fmt: skip
    for index, value in values.items():
        live.data[index] = value
    live.good_poll()
    text = messages.metrics(live, board, Counters, Counters)
    for part in ('"voltage_v":52.005,', '"current_a":-0.040,', '"soc_percent":99.99,', '"temp_internal_c":-0.5,'):
        assert part in text.decode(), text
    got = json.loads(text)
    assert got["cells"] == [3.0, 3.301] and got["power_w"] < -2 and got["energy_in_kwh"] > 1234
    assert got["protection"] == {
        "ov": True, "uv": False, "oc_charge": False, "oc_discharge": False, "temp_high": False, "temp_low": False,
    }  # fmt: skip
    live.data[L.FAULTS] |= L.UNKNOWN_FAULT  # a fault, and nobody knows which: nothing is said to be well
    assert set(json.loads(messages.metrics(live, board, Counters, Counters))["protection"].values()) == {None}
    got = json.loads(messages.status(live, board))
    assert got["battery"]["soc_percent"] == 99 and got["battery"]["status"] == "DISCHARGING"
    assert got["limits"] == {"cvl_mv": 56000, "ccl_ma": None, "dcl_ma": None}
    board.advance(6000)
    got = json.loads(messages.metrics(live, board, Counters, Counters))
    assert got["voltage_v"] is None and got["cvl_v"] == 56.0


def test_tls_waits():
    board = Board()
    tls.check(board)
    board.free = 44 * 1024
    assert "44 KB free" in str(raises(client.Failure, tls.check, board))
    board.free = 60 * 1024
    tls.check(board)
    board.time_valid = False
    assert "clock" in str(raises(client.Failure, tls.check, board))


def test_pem():
    pem = b"x\n-----BEGIN CERTIFICATE-----\nAAEC\nAwQ=\n-----END CERTIFICATE-----\n"
    assert list(tls.der_parts(pem + pem)) == [b"\0\1\2\3\4"] * 2
    assert list(tls.der_parts(b"\x30\x82")) == [b"\x30\x82"]
    raises(ValueError, list, tls.der_parts(b"-----BEGIN CERTIFICATE-----\nAAEC"))


def test_name_in_a_certificate():
    issuer = b"\x30\x0d\x06\x03\x55\x04\x03\x0c\x02CA"
    subject = b"\x30\x10\x06\x03\x55\x04\x03\x0c\x05b.old"
    alt = b"\x06\x03\x55\x1d\x11\x04\x14\x30\x12\x81\x02ab\x82\x06b.test\x87\x04\x0a\0\0\1"
    assert peer.name_of(issuer + subject) == "b.old"
    assert peer.name_of(issuer + subject + alt) == "b.test"
    assert peer.name_of(subject + alt[:5] + b"\x01\x01\xff\x04\x08\x30\x06\x87\x04\x0a\0\0\1") == "10.0.0.1"
    raises(ValueError, peer.name_of, b"abc")


class Charge:
    limits = None

    def override(self, *limits):
        self.limits = limits


class Parts:
    def __init__(self):
        self.board = Board()
        self.bus = Bus()
        self.log = FakeLog()
        self.config = FakeConfig(dict(BASE))
        self.can = self
        self.charge = Charge()


def test_limits_expire():
    parts = Parts()
    mqtt = Mqtt(parts)
    mqtt.begin()
    limits.put(mqtt, (0, 0, 20000), 60)
    assert parts.charge.limits == (0, 0, 20000)
    parts.board.advance(59_000)
    mqtt.check_limits()
    assert any(mqtt.limits)
    parts.board.advance(1_000)
    mqtt.check_limits()
    assert parts.charge.limits == (0, 0, 0) and not any(mqtt.limits)


def test_status_while_off():
    parts = Parts()
    parts.config.values["mqtt.broker_uri"] = ""
    status = Mqtt(parts).status()
    assert status["broker"] == "" and not status["connected"] and status["client_id"] == "gw/1+"
    parts.config.values["mqtt.broker_uri"] = "mqtts://b.test"
    assert Mqtt(parts).status()["broker"] == "mqtts://b.test:8883"
