"""The one table of all configuration keys. Loaded when the configuration is read, changed or shown, then dropped.

A key is "group.name" or "group.part.name". A line of the table is `name kind range default flags`:

- kind: `bool`; `int` with range low..high; `text` (length in UTF-8 bytes low..high), `ascii` (the same, printable ASCII only);
  `choice` with its values separated by "|" (integers when the first one is); `ip` (IPv4 address or empty); `uri` (mqtt:// or
  mqtts://, or empty); `topic` (MQTT topic name without wildcards); `name` (host name label).
- default: `-` is the empty text, `*` is made of the MAC address (`make_default`).
- flags: `s` secret (masked when shown, empty always allowed), `r` acts after a restart, `h` hidden (only the owner of the key
  sets it, with Config.set; not part of GET and POST), `z` zero is allowed beside the range ("none", or "from the BMS").
"""

_TABLE = """
[wifi]
ssid text 0..32 -
password text 8..64 - s
static_ip ip . -
gateway ip . -
netmask ip . -
[mqtt]
broker_uri uri 0..128 -
port int 1..65535 1883
username text 0..64 -
password text 0..128 - s
client_id text 1..64 *
client_cert_path text 0..96 -
client_key_path text 0..96 -
ca_cert_path text 0..96 -
verify_hostname bool . false
keepalive int 10..3600 120
default_qos choice 0|1 1
retain bool . false
topics.status topic 1..96 tinybms/status
topics.metrics topic 1..96 tinybms/metrics
topics.config topic 1..96 tinybms/config
topics.can_raw topic 1..96 tinybms/can/raw
topics.can_decoded topic 1..96 tinybms/can/decoded
topics.can_ready topic 1..96 tinybms/can/ready
topics.alerts topic 1..96 tinybms/alerts
can_raw_enabled bool . false
can_decoded_enabled bool . false
can_ready_enabled bool . false
home_assistant.enabled bool . true
home_assistant.prefix topic 1..64 homeassistant
override_timeout_s int 10..86400 3600
commands.acknowledge bool . false
commands.limits bool . false
commands.config bool . false
commands.registers bool . false
commands.restart_bms bool . false
commands.restart_gateway bool . false
[uart]
baudrate choice 9600|19200|38400|57600|115200|230400 115200 r
tx_pin int 0..48 17 r
rx_pin int 0..48 16 r
timeout_ms int 50..10000 1000
poll_interval_ms int 100..1000 250
[can]
enabled bool . true
speed choice 125000|250000|500000|1000000 500000 r
tx_pin int 0..48 5 r
rx_pin int 0..48 4 r
protocol choice VICTRON VICTRON
manufacturer ascii 0..8 -
battery_name ascii 0..16 -
battery_family ascii 0..8 -
serial_number ascii 0..16 -
[charge]
chemistry choice auto|lfp|nmc|lto auto
absorption_mv int 1200..4500 0 z
float_mv int 1000..4500 0 z
rebulk_soc int 50..99 90
absorption_max_min int 5..480 60
tail_current_ma int 100..50000 0 z
cvl_max_mv int 4000..64000 0 z
ccl_max_ma int 500..750000 0 z
dcl_max_ma int 500..750000 0 z
temperature_source choice auto|external|internal|none auto
[alerts]
enabled bool . true
debounce_sec int 0..3600 60
temp_high_enabled bool . true
temperature_max_c int -40..125 45
temp_low_enabled bool . false
temperature_min_c int -40..125 0
cell_volt_high_enabled bool . true
cell_voltage_max_mv int 500..5000 3650
cell_volt_low_enabled bool . true
cell_voltage_min_mv int 500..5000 2800
pack_volt_high_enabled bool . false
pack_voltage_max_mv int 1000..80000 58400
pack_volt_low_enabled bool . false
pack_voltage_min_mv int 1000..80000 44800
discharge_current_enabled bool . false
discharge_current_max_ma int 100..750000 100000
charge_current_enabled bool . false
charge_current_max_ma int 100..750000 100000
soc_low_enabled bool . false
soc_min_percent int 0..100 10
soc_high_enabled bool . false
soc_max_percent int 0..100 99
imbalance_enabled bool . true
imbalance_max_mv int 5..2000 100
monitor_tinybms_events bool . true
monitor_status_changes bool . true
[history]
interval_ms int 250..60000 1000
[auth]
protect_reads bool . false
allowed_hosts text 0..256 -
password_hash text 0..128 - sh
password_salt text 0..64 - sh
rounds int 0..1000000 0 h
[time]
ntp_enabled bool . true
ntp_server text 1..64 pool.ntp.org
utc_offset_min int -720..840 0
[log]
level choice error|warning|info|debug info
[ble]
enabled bool . false r
provisioning bool . false r
[system]
language choice fr|en fr
hostname name 1..32 tinybms-gw
board choice generic|esp32-can-x2|t-can485|esp32-s3|esp32-c3 generic r
led_pin int -1..48 -1 r
"""

GROUPS = ("wifi", "mqtt", "uart", "can", "charge", "alerts", "history", "auth", "time", "log", "ble", "system")

# Flat names of the reference that are not group_name
ALIASES = {"mqtt_broker": "mqtt.broker_uri"}

# Fields that GET adds and POST ignores, as they follow from others
DERIVED = ("mqtt.scheme", "mqtt.host")

SECRET = "s"
RESTART = "r"
HIDDEN = "h"
OR_ZERO = "z"


class Row:
    """One key: `key`, `kind`, `low` and `high` (int, text), `choices` (choice), `default`, `flags`."""

    def __init__(self, group, line):
        parts = line.split(" ")
        name, kind, span, default = parts[:4]
        self.key = group + "." + name
        self.kind = kind
        self.flags = parts[4] if len(parts) > 4 else ""
        self.low = self.high = self.choices = None
        if kind == "choice":
            self.choices = span.split("|")
            if self.choices[0].isdigit():
                self.choices = [int(choice) for choice in self.choices]
                default = int(default)
        elif span != ".":
            low, high = span.split("..")
            self.low, self.high = int(low), int(high)
        if kind == "int":
            default = int(default)
        elif kind == "bool":
            default = default == "true"
        self.default = "" if default == "-" else default

    def make_default(self, mac):
        """The default on the device with the MAC address `mac` (bytes)."""
        if self.default == "*":  # the only one: mqtt.client_id
            return "tinybms-gw-" + "".join("%02x" % byte for byte in mac[-3:])
        return self.default

    def has(self, flag):
        return flag in self.flags


def _bounds(group):
    """Where the lines of `group` start and end in the table, or (-1, -1)."""
    start = _TABLE.find("\n[" + group + "]\n")
    if start < 0:
        return -1, -1
    end = _TABLE.find("\n[", start + 1)
    return start, len(_TABLE) - 1 if end < 0 else end


def rows(group=None):
    """Every Row of one group, or of all, in the order of the table."""
    if group is None:
        for name in GROUPS:
            yield from rows(name)
        return
    start, end = _bounds(group)
    start = _TABLE.find("\n", start + 1)
    while 0 <= start < end:
        stop = _TABLE.find("\n", start + 1)
        yield Row(group, _TABLE[start + 1 : stop])
        start = stop


def _plain(name):
    """True for a name that can be searched for in the table: it must not reach into the next column or line."""
    for char in name:
        if not ("a" <= char <= "z" or "0" <= char <= "9" or char in "_."):
            return False
    return bool(name)


def find(key):
    """The Row of `key` ("group.name"), or None."""
    group, dot, name = key.partition(".")
    if not dot or not _plain(group) or not _plain(name):
        return None
    start, end = _bounds(group)
    at = _TABLE.find("\n" + name + " ", start, end) if start >= 0 else -1
    if at < 0:
        return None
    return Row(group, _TABLE[at + 1 : _TABLE.find("\n", at + 1)])


def is_group(path):
    """True when keys lie below `path` ("mqtt", "mqtt.topics")."""
    group, dot, part = path.partition(".")
    if group not in GROUPS or not dot:
        return group in GROUPS
    start, end = _bounds(group)
    return _plain(part) and _TABLE.find("\n" + part + ".", start, end) >= 0


def resolve(prefix, name):
    """The Row that a caller means with `name` inside `prefix` ("" at the top, "mqtt", "mqtt.topics"), or None.

    At the top a name is flat (group_name, mqtt_topics_status, topic_status or an alias); inside a group it is the name, or flat
    below the group (topics_status, topic_status).
    """
    if not prefix:
        if name in ALIASES:
            return find(ALIASES[name])
        if name.startswith("topic_"):
            return find("mqtt.topics." + name[6:])
        prefix, bar, name = name.partition("_")
        if not bar:
            return None
    elif "." in name:
        return None
    row = find(prefix + "." + name)
    if row or "." in prefix:
        return row
    if prefix == "mqtt" and name.startswith("topic_"):
        return find("mqtt.topics." + name[6:])
    at = name.find("_")
    while at >= 0 and not row:
        row = find(prefix + "." + name[:at] + "." + name[at + 1 :])
        at = name.find("_", at + 1)
    return row
