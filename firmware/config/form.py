"""What can be done with a set of values: show it, check it, change it. Loaded when asked, with the schema."""

import json

from firmware.config import schema
from firmware.config.config import ConfigError

_MASK = "********"
_BACKUP_FORMAT = "tinybms-gw-config"


# -- showing ---------------------------------------------------------------------------------------------------------------


def defaults(mac):
    """Every key with its default."""
    return {row.key: row.make_default(mac) for row in schema.rows()}


def _shown(row, value, secrets):
    return _MASK if row.has(schema.SECRET) and value and not secrets else value


def _group(values, name, secrets=False):
    """(group with nested parts, the same without what is hidden unless `secrets`)."""
    result = {}
    for row in schema.rows(name):
        if row.has(schema.HIDDEN) and not secrets:
            continue
        _, part, leaf = _split(row.key)
        place = result.setdefault(part, {}) if part else result
        place[leaf] = _shown(row, values[row.key], secrets)
    return result


def _split(key):
    """("mqtt", "topics", "status") of "mqtt.topics.status"; the middle is "" for a key of two parts."""
    group, _, rest = key.partition(".")
    part, dot, leaf = rest.partition(".")
    return (group, part, leaf) if dot else (group, "", part)


def group(values, name):
    """One group for its own endpoint; mqtt with the derived `scheme` and `host`."""
    if name not in schema.GROUPS:
        raise KeyError(name)
    result = _group(values, name)
    if name == "mqtt":
        result["scheme"], result["host"], _ = split_uri(values["mqtt.broker_uri"])
    return result


def nested(values, secrets=False):
    return {name: _group(values, name, secrets) for name in schema.GROUPS}


def pieces(values):
    """JSON text of `nested`, piece by piece: one value each, so that no piece is long."""
    start = "{"
    for name in schema.GROUPS:
        yield start + '"' + name + '":{'
        opened = comma = ""
        for row in schema.rows(name):
            if row.has(schema.HIDDEN):
                continue
            _, part, leaf = _split(row.key)
            head = comma
            if part != opened:  # parts lie together in the table and never nest
                head = ("}" if opened else "") + comma + ('"' + part + '":{' if part else "")
                opened = part
            yield head + '"' + leaf + '":' + json.dumps(_shown(row, values[row.key], False))
            comma = ","
        yield "}}" if opened else "}"
        start = ","
    yield "}"


def schema_pieces(mac):
    """JSON text [{key, type, min, max, choices, default, secret, restart}...] for a form, a key a piece."""
    start = "["
    for row in schema.rows():
        if row.has(schema.HIDDEN):
            continue
        field = {"key": row.key, "type": row.kind, "default": row.make_default(mac)}
        if row.choices:
            field["choices"] = row.choices
        if row.low is not None:
            field["min"], field["max"] = row.low, row.high
            if row.has(schema.OR_ZERO):
                field["or_zero"] = True
        field["secret"] = row.has(schema.SECRET)
        field["restart"] = row.has(schema.RESTART)
        yield start + json.dumps(field)
        start = ","
    yield "]"


# -- checking --------------------------------------------------------------------------------------------------------------


def split_uri(uri):
    """(scheme, host, port) of a broker URI; port 0 when it has none, all empty for "". Raises ValueError with a text."""
    if not uri:
        return "", "", 0
    scheme, mark, rest = uri.partition("://")
    if not mark or scheme not in ("mqtt", "mqtts"):
        raise ValueError("must start with mqtt:// or mqtts://")
    if "@" in rest:
        raise ValueError("must not hold a user name or password")
    host, colon, port = rest.rstrip("/").partition(":")
    if not host or not _letters(host, ".-_"):
        raise ValueError("must be mqtt://host or mqtt://host:port")
    if not colon:
        return scheme, host, 0
    if not port.isdigit() or len(port) > 5 or not 1 <= int(port) <= 65535:
        raise ValueError("has a port outside 1-65535")
    return scheme, host, int(port)


def _letters(text, others):
    """True when `text` holds only ASCII letters, digits and what is in `others`."""
    return all("a" <= char <= "z" or "A" <= char <= "Z" or "0" <= char <= "9" or char in others for char in text)


def _check_text(row, value):
    """Why the text `value` is bad for `row`, or None."""
    size = len(value.encode())
    if row.has(schema.SECRET) and not size:
        return None
    if row.high is not None and size > row.high:
        return "too long (max %d chars)" % row.high
    if row.low and size < row.low:
        return "must be %d-%d characters" % (row.low, row.high)
    for char in value:
        if ord(char) < 32 or ord(char) == 127 or (row.kind == "ascii" and ord(char) > 126):
            return "must be %s characters" % ("printable ASCII" if row.kind == "ascii" else "printable")
    if row.kind == "topic" and ("+" in value or "#" in value):
        return "must not hold + or #"
    if row.kind == "name" and (not _letters(value, "-") or value[0] == "-" or value[-1] == "-"):
        return "must be letters, digits and hyphens"
    if row.kind == "ip" and value and not _is_ip(value):
        return "must be an IPv4 address or empty"
    if row.kind == "uri":
        try:
            split_uri(value)
        except ValueError as error:
            return error.args[0]
    return None


def _is_ip(text):
    parts = text.split(".")
    for part in parts:
        if not part.isdigit() or len(part) > 3 or int(part) > 255:
            return False
    return len(parts) == 4


def _check_value(row, value):
    """Why `value` is bad for `row`, or None. Nothing is converted or clamped."""
    if row.kind == "bool":
        return None if value is True or value is False else "must be true or false"
    if row.kind == "choice":
        for choice in row.choices:
            if type(value) is type(choice) and value == choice:
                return None
        return "must be one of " + ", ".join(str(choice) for choice in row.choices)
    if row.kind == "int":
        zero = row.has(schema.OR_ZERO)
        if type(value) is int and (row.low <= value <= row.high or (zero and value == 0)):
            return None
        return "must be an integer, %s%d to %d" % ("0 or " if zero else "", row.low, row.high)
    return _check_text(row, value) if isinstance(value, str) else "must be a text"


# The first must be below the second; zero in a charge voltage means "from the BMS"
_ORDERED = (
    ("charge.float_mv", "charge.absorption_mv"),
    ("alerts.temperature_min_c", "alerts.temperature_max_c"),
    ("alerts.cell_voltage_min_mv", "alerts.cell_voltage_max_mv"),
    ("alerts.pack_voltage_min_mv", "alerts.pack_voltage_max_mv"),
    ("alerts.soc_min_percent", "alerts.soc_max_percent"),
)
_PINS = ("uart.tx_pin", "uart.rx_pin", "can.tx_pin", "can.rx_pin")


def _conflict(values, check):
    """(key, text) of two values that do not go together, or None."""
    for low, high in _ORDERED:
        if values[low] >= values[high] and (values[high] or not low.startswith("charge")):
            return low, "must be below " + high.replace(".", "_") + " (%d)" % values[high]
    for i, pin in enumerate(_PINS):
        for other in _PINS[:i]:
            if values[pin] == values[other]:
                return pin, "must differ from " + other.replace(".", "_") + " (%d)" % values[other]
    return check(values) if check else None


# -- changing --------------------------------------------------------------------------------------------------------------


def _collect(obj, prefix, path, found):
    """Put {key: (value, name given)} of the object `obj` that stands for `prefix` into `found`; checks each value."""
    if not isinstance(obj, dict):
        raise ConfigError(path or "body", "must be an object")
    for name, value in obj.items():
        below = prefix + "." + name if prefix else name
        given = path + "_" + name if path else name
        if schema.is_group(below):
            _collect(value, below, given, found)
            continue
        if below in schema.DERIVED:
            continue
        row = schema.resolve(prefix, name)
        if row is None or row.has(schema.HIDDEN):
            raise ConfigError(given, "is unknown")
        if row.has(schema.SECRET) and value == _MASK:
            continue
        why = _check_value(row, value)
        if why:
            raise ConfigError(given, why)
        if row.key in found and found[row.key][0] != value:
            raise ConfigError(given, "is given twice")
        found[row.key] = (value, given)


def _settle(values, found, check):
    """{key: value} of what `found` changes in `values`. Raises ConfigError when the result does not go together."""
    if "mqtt.broker_uri" in found and "mqtt.port" not in found:  # `port` wins where both are given
        uri, given = found["mqtt.broker_uri"]
        port = split_uri(uri)[2]
        if port and uri != values["mqtt.broker_uri"]:
            found["mqtt.port"] = (port, given)
    changes = {key: item[0] for key, item in found.items() if item[0] != values[key]}
    merged = dict(values)
    merged.update(changes)
    conflict = _conflict(merged, check) if changes else None
    if conflict:
        key, text = conflict
        raise ConfigError(found[key][1] if key in found else key.replace(".", "_"), text)
    return changes


def changes(values, obj, group, check):
    """What a POST of `obj` (names inside `group`, "" = top) changes: {key: value}. Raises ConfigError."""
    found = {}
    _collect(obj, group, "", found)
    return _settle(values, found, check)


def full_changes(values, wanted, check):
    """The same for full keys from inside the gateway, hidden ones allowed."""
    found = {}
    for key, value in wanted.items():
        row = schema.find(key)
        why = _check_value(row, value) if row else "is unknown"
        if why:
            raise ConfigError(key.replace(".", "_"), why)
        found[key] = (value, key.replace(".", "_"))
    return _settle(values, found, check)


def restart_needed(keys):
    return any(schema.find(key).has(schema.RESTART) for key in keys)


# -- files -----------------------------------------------------------------------------------------------------------------


def differing(values, mac):
    """What of `values` is not the default: the object that is stored."""
    return {row.key: values[row.key] for row in schema.rows() if values[row.key] != row.make_default(mac)}


def apply_stored(values, stored):
    """Put the stored {key: value} into `values` (defaults). Gives a text about what could not be used, or "".

    A key that this version does not know (after a step back to an older one) is left out silently; a value that is out of range
    now falls back to its default.
    """
    bad = []
    for key, value in stored.items():
        row = schema.find(key)
        if row is None:
            continue
        if _check_value(row, value):
            bad.append(key)
        else:
            values[key] = value
    return "default used for stored " + ", ".join(bad) if bad else ""


def read_initial(path, values, check):
    """What the initial configuration in the file `path` changes."""
    try:
        with open(path) as file:
            obj = json.load(file)
    except OSError:
        raise ConfigError(path, "cannot be read")
    except ValueError:
        raise ConfigError(path, "is not JSON")
    return changes(values, obj, "", check)


def backup(values, secrets):
    return {"format": _BACKUP_FORMAT, "version": 1, "secrets": bool(secrets), "config": nested(values, secrets)}


def restore(values, obj, mac, check):
    """What `restore` changes. The admin password is only replaced by one that is in the backup."""
    if not isinstance(obj, dict) or obj.get("format") != _BACKUP_FORMAT or not isinstance(obj.get("config"), dict):
        raise ConfigError("backup", "must be an object with format %s and config" % _BACKUP_FORMAT)
    config = obj["config"]
    kept = {}
    wanted = defaults(mac)
    for row in schema.rows():
        if row.has(schema.SECRET) or row.has(schema.HIDDEN):
            wanted[row.key] = values[row.key]
    auth = config.get("auth")
    if isinstance(auth, dict) and "password_hash" in auth:
        auth = dict(auth)
        config = dict(config)
        config["auth"] = auth
        for name in ("password_hash", "password_salt", "rounds"):
            key = "auth." + name
            kept[key] = auth.pop(name, schema.find(key).default)
        kept = full_changes(wanted, kept, None)
    wanted.update(kept)
    wanted.update(changes(wanted, config, "", check))
    return {key: value for key, value in wanted.items() if value != values[key]}
