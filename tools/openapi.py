"""Makes web/openapi.json, the machine-readable API: `python -m tools.openapi`. The keys come from the firmware's own schema.

Two rules keep it honest for tools that generate requests from it: a request field stands in a schema only when JSON Schema can
say exactly what the gateway takes (texts are measured in UTF-8 bytes, some fields depend on each other: those are named in the
description, and GET /api/config/schema lists every key); and no operation declares `security`, since reading and the documented
calls are open until an admin password is set.
"""

import json
from pathlib import Path

from firmware.config import schema

TARGET = Path(__file__).resolve().parent.parent / "web" / "openapi.json"

_PART = r"([0-9]{1,2}|[01][0-9]{2}|2[0-4][0-9]|25[0-5])"
IP_PATTERN = rf"^(|{_PART}\.{_PART}\.{_PART}\.{_PART})$"
# Fields whose value is bound to another one's
BOUND = {
    "charge.float_mv", "charge.absorption_mv", "alerts.temperature_min_c", "alerts.temperature_max_c",
    "alerts.cell_voltage_min_mv", "alerts.cell_voltage_max_mv", "alerts.pack_voltage_min_mv",
    "alerts.pack_voltage_max_mv", "alerts.soc_min_percent", "alerts.soc_max_percent", "uart.tx_pin", "uart.rx_pin",
    "can.tx_pin", "can.rx_pin", "system.board", "system.led_pin",
}  # fmt: skip

INT, NUM, STR, BOOL = {"type": "integer"}, {"type": "number"}, {"type": "string"}, {"type": "boolean"}
STAMP = {"type": "integer", "description": "Unix milliseconds; until the clock is set, milliseconds since start"}


def maybe(kind):
    """The schema `kind`, or null: not known."""
    return {**kind, "type": [kind["type"], "null"]}


def obj(required=None, **properties):
    """An object with these properties, all required unless told; more are allowed."""
    return {
        "type": "object",
        "properties": properties,
        "required": list(properties) if required is None else required,
    }


def closed(**properties):
    """The object of a request body: no other properties, all required."""
    return {**obj(**properties), "additionalProperties": False}


def array(items):
    return {"type": "array", "items": items}


def ref(name):
    return {"$ref": f"#/components/schemas/{name}"}


def words(*values):
    return {"type": "string", "enum": list(values)}


def row_schema(row):
    """JSON Schema of a configuration key, exact; None where JSON Schema cannot say it."""
    if row.key in BOUND or row.has(schema.HIDDEN):
        return None
    if row.kind == "bool":
        return BOOL
    if row.kind == "choice":
        return {"type": "integer" if isinstance(row.choices[0], int) else "string", "enum": row.choices}
    if row.kind == "int":
        number = {"type": "integer", "minimum": row.low, "maximum": row.high}
        return {"anyOf": [number, {"type": "integer", "enum": [0]}]} if row.has(schema.OR_ZERO) else number
    if row.kind == "ascii":
        return {"type": "string", "pattern": f"^[ -~]{{{row.low},{row.high}}}$"}
    if row.kind == "ip":
        return {"type": "string", "pattern": IP_PATTERN}
    return None


def group_body(*groups, flat=False):
    """(schema of a request body with the keys of these groups, the names that it had to leave out)."""
    properties, left_out = {}, []
    for group in groups:
        for row in schema.rows(group):
            name = row.key.partition(".")[2] if not flat else row.key.replace(".", "_")
            exact = row_schema(row)
            if "." in name or row.has(schema.HIDDEN):
                continue
            if exact is None:
                left_out.append(name)
            else:
                properties[name] = exact
    return {"type": "object", "properties": properties, "additionalProperties": False}, left_out


def group_answer(name):
    """Schema of a configuration group as GET shows it."""
    kinds = {"bool": BOOL, "int": INT}
    tree = {}
    for row in schema.rows(name):
        if row.has(schema.HIDDEN):
            continue
        _, *path = row.key.split(".")
        place = tree
        for part in path[:-1]:
            place = place.setdefault(part, {})
        kind = kinds.get(row.kind, STR)
        place[path[-1]] = INT if row.kind == "choice" and isinstance(row.choices[0], int) else kind
    return obj(**{key: value if "type" in value else obj(**value) for key, value in tree.items()})


def operation(
    summary, answer, *, body=None, optional=False, params=(), status="200", content="application/json", about=""
):
    result = {"summary": summary, "responses": {}}
    if about:
        result["description"] = about
    if params:
        result["parameters"] = list(params)
    if body is not None:
        kind = "multipart/form-data" if "firmware" in body.get("properties", {}) else "application/json"
        result["requestBody"] = {"required": not optional, "content": {kind: {"schema": body}}}
    for code in status.split("/"):
        result["responses"][code] = {"description": "OK", "content": {content: {"schema": answer}}}
    result["responses"]["default"] = {
        "description": "Error: 400, 401, 403, 404, 405, 413, 429, 500 or 503",
        "content": {"application/json": {"schema": ref("Error")}},
    }
    return result


def query(name, kind, about=""):
    return {"name": name, "in": "query", "schema": kind, "description": about}


LANG = query("lang", words("fr", "en"), "of the texts; the default is system.language")


def whole(low, high):
    return {"type": "integer", "minimum": low, "maximum": high}


def schemas():
    battery = obj(
        voltage_mv=maybe(INT), current_ma=maybe(INT), soc_percent=maybe(INT), soh_percent=maybe(INT),
        temperature_c=maybe(NUM), cells_count=maybe(INT), status=ref("BatteryStatus"),
    )  # fmt: skip
    status = words("CHARGING", "FULLY_CHARGED", "DISCHARGING", "SLEEP", "REGENERATION", "IDLE", "FAULT", "DISCONNECTED")
    alert = obj(
        ("alert_id", "type", "severity", "status", "message", "timestamp_ms"),
        alert_id=INT, type=INT, severity=INT, status=INT, message=STR, timestamp_ms=STAMP, ack_timestamp_ms=maybe(INT),
        clear_timestamp_ms=maybe(INT),
    )  # fmt: skip
    alert["description"] = (
        "type: 1/2 temperature high/low, 3/4 cell voltage high/low, 5/6 pack voltage, 7/8 discharge/charge current, "
        "9/10 SoC low/high, 11 imbalance, 12 BMS lost, 13 CAN fault, 14 GX lost, 15 temperature sensor lost, "
        "16 no external sensor, 17 BMS settings old, 18 settings disagree with the chemistry, "
        "19 charge control cannot work, 20-25 status changes, 100 + id, 200 + id - 0x30, 300 + id - 0x60 events of the "
        "BMS. severity: 0 information, 1 warning, 2 critical. status: 0 active, 1 acknowledged, 2 cleared"
    )
    sample = obj(
        timestamp=STAMP, timestamp_iso=maybe(STR), pack_voltage=maybe(NUM), pack_current=maybe(NUM),
        state_of_charge=maybe(NUM), state_of_health=maybe(NUM), average_temperature=maybe(NUM),
        cell_spread=maybe(NUM),
    )  # fmt: skip
    sample["required"].remove("cell_spread")
    sample["description"] = (
        "V, A, %, C. 1m and 15m add the min and max of voltage, current, SoC, temperature and cell voltage"
    )
    counted = obj(charged_wh=maybe(NUM), discharged_wh=maybe(NUM), charged_ah=maybe(NUM), discharged_ah=maybe(NUM))
    energy = obj(
        lifetime=counted, today=maybe(counted), yesterday=maybe(counted), cycles=maybe(NUM),
        full_charges=maybe(INT), high_soc_s=INT, high_soc_percent=INT,
        records={"type": "object", "additionalProperties": maybe(NUM)},
    )  # fmt: skip
    register = obj(
        ("key", "address", "group", "label", "unit", "type", "scale", "value", "min", "max", "default"),
        key=STR, address=INT, group=STR, label=STR, unit=STR, type=STR, scale=NUM, value=maybe(INT), min=INT, max=INT,
        default=maybe(INT), supported=BOOL, read_only=BOOL, restart=BOOL, since=STR, warning=STR,
        values=array(obj(value=INT, label=STR)),
    )  # fmt: skip
    return {
        "Error": obj(error=STR, code=STR, details=STR),
        "Success": obj(success=BOOL),
        "Saved": obj(("success", "message"), success=BOOL, message=STR, warnings=array(STR)),
        "Battery": battery,
        "BatteryStatus": status,
        "Alert": alert,
        "Sample": sample,
        "Energy": energy,
        "Register": register,
        "Config": obj(**{name: group_answer(name) for name in schema.GROUPS}),
    }


def wifi_object(**more):
    """The `wifi` object of the status, with `more` properties."""
    return obj(
        connected=BOOL, ssid=STR, rssi=maybe(INT), ip=STR, gateway=STR, netmask=STR,
        mode=words("station", "ap", "off", "host"), ap_ssid=STR, hostname=STR, **more,
    )  # fmt: skip


def wifi_paths():
    found = obj(ssid=STR, rssi=INT, security=STR, channel=INT)
    state = wifi_object(
        state=words("connected", "connecting", "waiting", "off"), failure=STR, fallback=BOOL, configured_ssid=STR,
        ap_ip=STR, ap_stations=INT,
    )  # fmt: skip
    return {
        "/api/wifi": {
            "get": operation(
                "The WiFi: connection, last failure, access point", state,
                params=[query("secrets", whole(0, 1), "1: with `ap_password`, needs the admin password")],
                about="failure: NOT_FOUND, WRONG_PASSWORD, OTHER_SECURITY, LOST, TIMEOUT, REFUSED_n (reason of the driver), "
                "DRIVER_text, or empty. fallback: the configured network does not work, the last one that did is used.",
            )
        },
        "/api/wifi/connect": {
            "post": operation(
                "Try the configured network now, also while somebody uses the access point", obj(success=BOOL),
                about="Answers first; what comes of it shows GET /api/wifi.",
            )
        },
        "/api/wifi/scan": {
            "get": operation(
                "Networks around, strongest first", obj(networks=array(found)),
                about="Takes about 3 s. Needs the admin password where one is set. 503 while it connects, and on a computer.",
            )
        },
    }  # fmt: skip


def ble_paths():
    state = obj(
        enabled=BOOL,
        provisioning=BOOL,
        state=words("off", "waiting", "battery", "provision"),
        reason=STR,
        connected=BOOL,
    )
    about = "reason: why Bluetooth cannot run here, or empty. waiting: nothing to do now. connected: a telephone is."
    return {"/api/ble": {"get": operation("Bluetooth: mode, or why there is none", state, about=about)}}


def system_paths():
    network = wifi_object()
    tasks = obj(total=INT, running=INT, blocked=INT, suspended=INT)
    task = obj(
        name=STR, state=words("Running", "Ready", "Blocked", "Suspended"), priority=INT, stack_high_water_mark=INT
    )
    restart = obj(
        status=words("scheduled", "throttled"), bms_attempted=BOOL, bms_status=STR, gateway_restart=BOOL, delay_ms=INT
    )
    # `update_mode`, for the gateway alone, is told in words: it depends on `target`
    restart_body = {
        "type": "object",
        "additionalProperties": False,
        "properties": {"target": {**words("bms", "gateway"), "default": "bms"}, "delay_ms": {**whole(0, 60000), "default": 750}},
    }  # fmt: skip
    slots = obj(
        running=STR, trial=BOOL, boots=INT, versions=obj(slot_a=STR, slot_b=STR),
        failed={"anyOf": [obj(slot=STR, version=STR, reason=STR), {"type": "null"}]},
    )  # fmt: skip
    info = obj(
        version=STR, chip=STR, firmware=STR, partitions={"type": "array"}, reset_cause=STR, time_valid=BOOL,
        time_source=words("ntp", "browser", "host", "none"), timestamp_ms=STAMP, uptime_ms=INT,
        hostname=STR, config_problem=STR, password_set=BOOL,
        boot_count=INT, last_exception=STR, safe_mode=STR, slot=words("slot_a", "slot_b", ""), slots=slots,
        pin_warnings=array(STR),
    )  # fmt: skip
    line = obj(timestamp_ms=STAMP, level=STR, source=STR, text=STR)
    return {
        "/api/status": {
            "get": operation(
                "State of the whole system",
                obj(
                    uptime_ms=INT, free_heap=INT, min_heap=INT, task_count=INT, wifi=network,
                    mqtt=obj(connected=BOOL, broker=STR), battery=ref("Battery"), age_ms=INT, bms_reason=STR,
                    password_set=BOOL,
                ),
            )
        },
        "/api/metrics/runtime": {
            "get": operation(
                "Runtime figures",
                obj(
                    uptime_s=INT, free_heap=INT, min_heap_ever=INT, largest_free_block=INT, tasks=tasks,
                    cpu_usage_percent=whole(0, 100),
                ),
            )
        },
        "/api/system/tasks": {"get": operation("Tasks", obj(tasks=array(task)))},
        "/api/system/info": {"get": operation("Versions, chip, partitions, clock", info)},
        "/api/system/logs": {
            "get": operation(
                "The last lines of the log",
                obj(lines=array(line), total=INT),
                params=[query("limit", whole(1, 1000))],
                about="Needs the admin password; 403 PASSWORD_REQUIRED until one is set.",
            )
        },
        "/api/system/restart": {
            "post": operation(
                "Restart the BMS or the gateway", restart, body=restart_body, optional=True, status="200/202",
                about="202: the BMS did not answer, the gateway restarts instead. A BMS restart is throttled to one in 5 s. Also "
                "taken with target gateway: `update_mode` (boolean): start without alerts, history, energy and MQTT, once and "
                "for 15 minutes at most, so that an update finds memory.",
            )
        },
        "/api/system/time": {
            "post": operation(
                "Set the clock, where NTP has not",
                obj(success=BOOL, applied=BOOL, time_valid=BOOL),
                body=closed(timestamp_ms=whole(1735689600000, 4102444799999)),
            )
        },
        "/api/event-bus/metrics": {
            "get": operation(
                "Figures of the event bus",
                obj(
                    total_publishes=INT, total_subscriptions=INT, active_subscriptions=INT, queue_length=INT,
                    queue_max=INT, dropped_events=INT,
                ),
            )
        },
        "/metrics": {"get": operation("Prometheus text format", STR, content="text/plain")},
        "/api/openapi.json": {"get": operation("This document", {"type": "object"})},
    }  # fmt: skip


def config_paths():
    body, left_out = group_body(*schema.GROUPS, flat=True)
    about = (
        "Flat keys (`group_key`) as below, or nested as GET gives them. All keys with ranges: GET /api/config/schema. "
        "Also taken: wifi_password, mqtt_broker, topic_status ..., and "
        + ", ".join(left_out)
        + " (texts are measured in "
        "UTF-8 bytes; pins must differ from each other and exist on the chip; a `min` must lie below its `max`). Another "
        "`system_board` sets the pins that the same request does not name. The answer has `warnings` when pins were changed."
    )
    field = obj(
        ("key", "type", "default", "secret", "restart"), key=STR, type=STR, default={}, secret=BOOL, restart=BOOL
    )
    return {
        "/api/config": {
            "get": operation("The configuration, secrets masked", ref("Config")),
            "post": operation("Change the configuration", ref("Saved"), body=body, about=about),
        },
        "/api/config/schema": {"get": operation("Every key with its range and default", array(field))},
        "/api/config/backup": {
            "get": operation(
                "A backup",
                {"type": "object"},
                params=[query("secrets", whole(0, 1), "1: with secrets, needs the admin password")],
            )
        },
        "/api/config/restore": {
            "post": operation(
                "Take a backup back", ref("Saved"), body={"type": "object"},
                about="Needs the admin password; 403 PASSWORD_REQUIRED until one is set.",
            )
        },
        "/api/registers": {
            "get": operation(
                "The settings of the TinyBMS",
                obj(connected=BOOL, language=words("fr", "en"), registers=array(ref("Register"))),
                params=[LANG],
            ),
            "post": operation(
                "Write one setting, checked and read back",
                obj(success=BOOL, key=STR, address=INT, value=maybe(INT), restart=BOOL),
                body=closed(key=STR, value=INT),
                about="`address` (integer) may stand for `key`. Needs the admin password; 403 PASSWORD_REQUIRED until set.",
            ),
        },
        "/api/auth/status": {"get": operation("Is a password set", obj(password_set=BOOL, protect_reads=BOOL))},
        "/api/auth/check": {
            "get": operation(
                "Is this the right password", obj(password_set=BOOL, protect_reads=BOOL),
                about="401 when it is not; 403 PASSWORD_REQUIRED until one is set.",
            )
        },
        "/api/auth/password": {
            "post": operation(
                "Set the admin password", obj(success=BOOL, password_set=BOOL),
                body=closed(password={"type": "string", "pattern": "^[ -~]{8,64}$"}),
                about="User name `admin`. Once set, changing it needs the old one (HTTP Basic).",
            ),
            "delete": operation("Remove the admin password", obj(success=BOOL, password_set=BOOL)),
        },
    }  # fmt: skip


def other_paths():
    page = [query("limit", whole(1, 1000)), query("offset", whole(0, 1000000)), LANG]
    alerts_body, left_out = group_body("alerts")
    mqtt_body, mqtt_left = group_body("mqtt")
    can = obj(
        enabled=BOOL, state=words("STOPPED", "RUNNING", "ERROR_PASSIVE", "BUS_OFF", "NO_ACK"), speed=INT, tx_pin=INT,
        rx_pin=INT, protocol=STR, messages_sent=INT, messages_received=INT, errors=INT, last_error=STR,
    )  # fmt: skip
    reasons = obj(cvl=maybe(STR), ccl=maybe(STR), dcl=maybe(STR))
    one_id = {"name": "id", "in": "path", "required": True, "schema": whole(1, 1000000)}
    return {
        "/api/can/status": {"get": operation("The CAN bus", can)},
        "/api/can/limits": {
            "get": operation(
                "What is sent to the GX, and why",
                obj(cvl_mv=maybe(INT), ccl_ma=maybe(INT), dcl_ma=maybe(INT), state=STR, reasons=reasons, age_ms=INT),
            )
        },
        "/api/alerts/active": {
            "get": operation("Active alerts", obj(alerts=array(ref("Alert")), count=INT), params=[LANG])
        },
        "/api/alerts/history": {
            "get": operation(
                "Past alerts", obj(alerts=array(ref("Alert")), total=INT, limit=INT, offset=INT), params=page
            ),
            "delete": operation("Forget them", obj(success=BOOL, deleted_count=INT)),
        },
        "/api/alerts/statistics": {
            "get": operation(
                "Counts",
                obj(
                    total_alerts=INT, active_alert_count=INT, critical_count=INT, warning_count=INT, info_count=INT,
                    avg_acknowledgment_time_ms=maybe(INT),
                ),
            )
        },
        "/api/alerts/config": {
            "get": operation("Rules", group_answer("alerts")),
            "post": operation(
                "Change rules", ref("Success"), body=alerts_body,
                about="Also taken, a `min` below its `max`: " + ", ".join(left_out),
            ),
        },
        "/api/alerts/acknowledge": {
            "post": operation("Acknowledge all", obj(success=BOOL, acknowledged_count=INT))
        },
        "/api/alerts/acknowledge/{id}": {
            "post": operation("Acknowledge one", obj(success=BOOL, alert_id=INT), params=[one_id])
        },
        "/api/mqtt/config": {
            "get": operation("MQTT", group_answer("mqtt")),
            "post": operation(
                "Change MQTT", ref("Saved"), body=mqtt_body,
                about="Also taken: topic_status ..., " + ", ".join(mqtt_left),
            ),
        },
        "/api/mqtt/status": {
            "get": operation(
                "The connection to the broker",
                obj(
                    connected=BOOL, broker=STR, client_id=STR, messages_sent=INT, messages_received=INT, errors=INT,
                    last_error=STR,
                ),
            )
        },
        "/api/mqtt/test": {
            "post": operation(
                "Try MQTT settings without storing them",
                obj(
                    success=BOOL, verified=BOOL, error=STR,
                    stage=words("config", "dns", "tcp", "tls", "mqtt", "credentials", "ok"),
                ),
                body=mqtt_body,
                about="Names as in POST /api/mqtt/config; an empty object tries what is stored. Needs the admin password.",
            )
        },
        "/api/ota": {
            "get": operation(
                "The slots, and how far an update is",
                obj(
                    state=words("IDLE", "RECEIVING", "CHECKING", "WRITING", "VERIFYING", "READY", "FAILED"),
                    update_mode=BOOL, progress_percent=whole(0, 100), error=STR, partition=STR, version=STR, reboot_required=BOOL,
                    running=STR, trial=BOOL, boots=INT, versions=obj(slot_a=STR, slot_b=STR),
                    failed={**obj(slot=STR, version=STR, reason=STR), "type": ["object", "null"]},
                ),
            ),
            "post": operation(
                "Install an update",
                obj(status=STR, bytes=INT, crc32=STR, partition=STR, version=STR, reboot_required=BOOL),
                body=obj(firmware={"type": "string", "contentMediaType": "application/octet-stream"}),
                about="An update bundle, or an ESP32 application image where there is a partition for it. 400 MISSING_FIELD, "
                "INVALID_FIELD, INVALID_MULTIPART, UPLOAD_CUT_OFF, UNKNOWN_FORMAT, INVALID_BUNDLE, WRONG_FAMILY, "
                "MICROPYTHON_TOO_OLD, HASH_MISMATCH, NO_OTA_PARTITION, WRONG_CHIP, INVALID_IMAGE; 413 PAYLOAD_TOO_LARGE; 415 "
                "UNSUPPORTED_MEDIA_TYPE; 500 FLASH_ERROR; 503 OTA_BUSY, OTA_ON_TRIAL, LOW_MEMORY. Nothing is changed then.",
            ),
        },
    }  # fmt: skip


def history_paths():
    limit = query("limit", whole(1, 1000000), "the newest so many")
    stamp = {"type": "integer", "minimum": 0, "maximum": 99_999_999_999_999}
    chosen = [
        limit,
        query("from", stamp, "only samples from then on, ms as in `timestamp`"),
        query("to", stamp, "only samples up to then, ms"),
        query("step", whole(1, 1000), "one of so many: mean, lowest minimum, highest maximum and spread"),
    ]
    samples = obj(
        ("total", "samples"), total=INT, samples=array(ref("Sample")), returned=INT, interval_ms=INT, capacity=INT,
        resolution=STR, file=STR,
    )  # fmt: skip
    which = words("minutes", "quarters")
    resolution = query("resolution", words("live", "1m", "15m"))
    files = obj(files=array({"type": "object"}))
    return {
        "/api/history": {"get": operation("Samples, old to new", samples, params=[*chosen, resolution])},
        "/api/history/files": {"get": operation("What the archive holds", files)},
        "/api/history/archive": {
            "get": operation("Samples of a file of the archive", samples, params=[*chosen, query("file", which)])
        },
        "/api/history/download": {
            "get": operation(
                "The archive as CSV", STR, params=[*chosen, query("file", which), resolution], content="text/csv"
            )
        },
        "/api/energy": {"get": operation("Energy and charge through the gateway, records", ref("Energy"))},
    }


def document():
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "TinyBMS-GW",
            "version": "1",
            "description": "Gateway between a TinyBMS and a Victron GX. Open until an admin password is set; then HTTP Basic "
            "(user admin) on everything that changes something, on secrets, and with auth.protect_reads on everything. "
            "WebSockets: /ws/telemetry, /ws/events, /ws/uart, /ws/can, /ws/alerts; each answers {\"type\": \"ping\"}. "
            "/ws/page carries those that its client asks for, {\"type\": \"subscribe\", \"streams\": [\"telemetry\", \"events\", "
            "\"alerts\", \"state\", \"uart\", \"can\"]}; `state` is what a dashboard shows besides; with "
            "\"lang\": \"fr\" or \"en\" (default: system.language) the alerts come in that language, as in /ws/alerts?lang=en.",
        },
        "paths": {**system_paths(), **config_paths(), **other_paths(), **history_paths(), **wifi_paths(), **ble_paths()},
        "components": {
            "schemas": schemas(),
            "securitySchemes": {"admin": {"type": "http", "scheme": "basic"}},
        },
    }  # fmt: skip


def text():
    return json.dumps(document(), indent=1, ensure_ascii=False) + "\n"


if __name__ == "__main__":
    TARGET.write_text(text(), encoding="utf-8")
