"""Values shown and changed: the forms of GET and POST, backup and restore. Loaded when asked, with rules and schema.

`values` is the Config, or where something is changed anything that gives values["group.name"].
"""

import json

from firmware.config import rules, schema
from firmware.config.config import ConfigError

_MASK = "********"
_FORMAT = "tinybms-gw-config"


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
        place[leaf] = _shown(row, values.value_of(row), secrets)
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
        result["scheme"], result["host"], _ = rules.split_uri(values["mqtt.broker_uri"])
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
            yield head + '"' + leaf + '":' + json.dumps(_shown(row, values.value_of(row), False))
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
        why = rules.check_value(row, value)
        if why:
            raise ConfigError(given, why)
        if row.key in found and found[row.key][0] != value:
            raise ConfigError(given, "is given twice")
        found[row.key] = (value, given)


def _settle(values, found, check):
    """{key: value} of what `found` changes in `values`. Raises ConfigError when the result does not go together."""
    if "mqtt.broker_uri" in found and "mqtt.port" not in found:  # `port` wins where both are given
        uri, given = found["mqtt.broker_uri"]
        port = rules.split_uri(uri)[2]
        if port and uri != values["mqtt.broker_uri"]:
            found["mqtt.port"] = (port, given)
    changes = {key: item[0] for key, item in found.items() if item[0] != values[key]}
    conflict = rules.conflict(rules.Changed(values, changes), check) if changes else None
    if conflict and conflict != rules.conflict(values, check):  # an old one does not stand in the way of other changes
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
        why = rules.check_value(row, value) if row else "is unknown"
        if why:
            raise ConfigError(key.replace(".", "_"), why)
        found[key] = (value, key.replace(".", "_"))
    return _settle(values, found, check)


def restart_needed(keys):
    return any(schema.find(key).has(schema.RESTART) for key in keys)


# -- files -----------------------------------------------------------------------------------------------------------------


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
    return {"format": _FORMAT, "version": 1, "secrets": bool(secrets), "config": nested(values, secrets)}


def restore(values, obj, mac, check):
    """What `restore` changes. The admin password is only replaced by one that is in the backup."""
    if not isinstance(obj, dict) or obj.get("format") != _FORMAT or not isinstance(obj.get("config"), dict):
        raise ConfigError("backup", "must be an object with format %s and config" % _FORMAT)
    config = obj["config"]
    kept = {}
    wanted = rules.defaults(mac)
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
