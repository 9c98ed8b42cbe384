"""Values shown and changed: the forms of GET and POST, backup and restore. Loaded when asked, with rules and table.

Public functions are the methods of Config: `config.update(obj)` calls `update(config, obj)`. `values` of the private ones is
anything that gives values["group.name"].
"""

import json

from firmware import bus as topics
from firmware import lazy
from firmware.config import rules
from firmware.config import schema as table
from firmware.config.config import ConfigError

_MASK = "********"
_FORMAT = "tinybms-gw-config"


def _shown(row, value, secrets):
    return _MASK if row.has(table.SECRET) and value and not secrets else value


def _shown_group(config, name, secrets=False):
    """(group with nested parts, the same without what is hidden unless `secrets`)."""
    result = {}
    for row in table.rows(name):
        if row.has(table.HIDDEN) and not secrets:
            continue
        _, part, leaf = _split(row.key)
        place = result.setdefault(part, {}) if part else result
        place[leaf] = _shown(row, config.value_of(row), secrets)
    return result


def _split(key):
    """("mqtt", "topics", "status") of "mqtt.topics.status"; the middle is "" for a key of two parts."""
    group, _, rest = key.partition(".")
    part, dot, leaf = rest.partition(".")
    return (group, part, leaf) if dot else (group, "", part)


def group(config, name):
    """One group of `nested`, secrets masked; mqtt with the derived `scheme` and `host`. KeyError for an unknown group."""
    if name not in table.GROUPS:
        raise KeyError(name)
    result = _shown_group(config, name)
    if name == "mqtt":
        result["scheme"], result["host"], _ = rules.split_uri(config["mqtt.broker_uri"])
    return result


def nested(config, secrets=False):
    """The object of GET /api/config: {group: {name: value}}; secrets masked, or shown with `secrets`."""
    return {name: _shown_group(config, name, secrets) for name in table.GROUPS}


def pieces(config):
    """The JSON text of `nested` in pieces of one value each, under 1 KB."""
    start = "{"
    for name in table.GROUPS:
        yield start + '"' + name + '":{'
        opened = comma = ""
        for row in table.rows(name):
            if row.has(table.HIDDEN):
                continue
            _, part, leaf = _split(row.key)
            head = comma
            if part != opened:  # parts lie together in the table and never nest
                head = ("}" if opened else "") + comma + ('"' + part + '":{' if part else "")
                opened = part
            yield head + '"' + leaf + '":' + json.dumps(_shown(row, config.value_of(row), False))
            comma = ","
        yield "}}" if opened else "}"
        start = ","
    yield "}"


def schema(config):
    """The JSON text [{key, type, min, max, choices, default, secret, restart}...] for a form, a key a piece."""
    start = "["
    for row in table.rows():
        if row.has(table.HIDDEN):
            continue
        field = {"key": row.key, "type": row.kind, "default": row.make_default(config.mac)}
        if row.choices:
            field["choices"] = row.choices
        if row.low is not None:
            field["min"], field["max"] = row.low, row.high
            if row.has(table.OR_ZERO):
                field["or_zero"] = True
        field["secret"] = row.has(table.SECRET)
        field["restart"] = row.has(table.RESTART)
        yield start + json.dumps(field)
        start = ","
    yield "]"


# -- changing --------------------------------------------------------------------------------------------------------------


def _collect(obj, prefix, path, found):
    """Put {key: (value, name given)} of the object `obj` that stands for `prefix` into `found`; checks each value."""
    if not isinstance(obj, dict):
        raise ConfigError(path or "body", "must be an object")
    for name, value in obj.items():
        if not isinstance(name, str):  # MicroPython's parser takes {1: 2}
            raise ConfigError(path or "body", "must have strings as names")
        below = prefix + "." + name if prefix else name
        given = path + "_" + name if path else name
        if table.is_group(below):
            _collect(value, below, given, found)
            continue
        if below in table.DERIVED:
            continue
        row = table.resolve(prefix, name)
        if row is None or row.has(table.HIDDEN):
            raise ConfigError(given, "is unknown")
        if row.has(table.SECRET) and value == _MASK:
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
    _choose_board(values, found)
    changes = {key: item[0] for key, item in found.items() if item[0] != values[key]}
    conflict = rules.conflict(rules.Changed(values, changes), check) if changes else None
    if conflict and conflict != rules.conflict(values, check):  # an old one does not stand in the way of other changes
        key, text = conflict
        raise ConfigError(found[key][1] if key in found else key.replace(".", "_"), text)
    return changes


def _choose_board(values, found):
    """Another board brings its pins with it; those that `found` names itself stay as named."""
    board, given = found.get("system.board", ("", ""))
    if board and board != values["system.board"]:
        for key, pin in lazy.load("config.presets").pins(board).items():
            found.setdefault(key, (pin, given))


def _changes(values, obj, group, check):
    """What a POST of `obj` (names inside `group`, "" = top) changes: {key: value}. Raises ConfigError."""
    found = {}
    _collect(obj, group, "", found)
    return _settle(values, found, check)


def _full_changes(values, wanted, check):
    """The same for full keys from inside the gateway, hidden ones allowed."""
    found = {}
    for key, value in wanted.items():
        row = table.find(key)
        why = rules.check_value(row, value) if row else "is unknown"
        if why:
            raise ConfigError(key.replace(".", "_"), why)
        found[key] = (value, key.replace(".", "_"))
    return _settle(values, found, check)


def _apply(config, changes):
    """Store the values with `changes` (full keys), then take them and tell the bus."""
    if not changes:
        return (), False
    from firmware.config import store

    stored = dict(config.stored)
    stored.update(changes)
    stored = rules.differing(stored, config.mac)
    store.write(config.directory, stored)
    config.stored = stored
    for key, value in changes.items():
        if key in config.asked:
            config.asked[key] = value
    config.problem = rules.conflict_text(config, config.check)
    keys = tuple(changes)
    restart = any(table.find(key).has(table.RESTART) for key in keys)
    if config.bus:
        config.bus.publish(topics.CONFIG, keys)
    return keys, restart


def update(config, obj):
    """Take the object of POST /api/config, nested, flat or mixed: all of it or, with ConfigError, nothing.

    Gives (changed keys, restart needed). Raises OSError when it cannot be stored; then nothing is changed either.
    """
    return _apply(config, _changes(config, obj, "", config.check))


def update_group(config, group, obj):
    """`update` with the names inside one group (POST /api/mqtt/config, /api/alerts/config)."""
    return _apply(config, _changes(config, obj, group, config.check))


def preview_group(config, group, obj):
    """{key: value} that `update_group` would change; nothing is stored. Raises ConfigError."""
    return _changes(config, obj, group, config.check)


def set(config, values):
    """Set full keys, hidden ones too (the owner of a key calls this): {"auth.password_hash": "..."}. Like `update`."""
    return _apply(config, _full_changes(config, values, config.check))


# -- files -----------------------------------------------------------------------------------------------------------------


def read_initial(config, path):
    """What the initial configuration in the file `path` changes: {key: value}. Raises ConfigError."""
    try:
        with open(path) as file:
            obj = json.load(file)
    except OSError:
        raise ConfigError(path, "cannot be read")
    except ValueError:
        raise ConfigError(path, "is not JSON")
    return _changes(config, obj, "", config.check)


def backup(config, secrets=False):
    """The object of GET /api/config/backup."""
    return {"format": _FORMAT, "version": 1, "secrets": bool(secrets), "config": nested(config, secrets)}


def restore(config, obj):
    """Take what `backup` gave: keys that are missing go to their default; masked or missing secrets stay. Like `update`."""
    return _apply(config, _restored(config, obj, config.mac, config.check))


def _restored(values, obj, mac, check):
    """What `restore` changes. The admin password is only replaced by one that is in the backup."""
    if not isinstance(obj, dict) or obj.get("format") != _FORMAT or not isinstance(obj.get("config"), dict):
        raise ConfigError("backup", "must be an object with format %s and config" % _FORMAT)
    config = obj["config"]
    kept = {}
    wanted = rules.defaults(mac)
    for row in table.rows():
        if row.has(table.SECRET) or row.has(table.HIDDEN):
            wanted[row.key] = values[row.key]
    auth = config.get("auth")
    if isinstance(auth, dict) and "password_hash" in auth:
        auth = dict(auth)
        config = dict(config)
        config["auth"] = auth
        for name in ("password_hash", "password_salt", "rounds"):
            key = "auth." + name
            kept[key] = auth.pop(name, table.find(key).default)
        kept = _full_changes(wanted, kept, None)
    wanted.update(kept)
    wanted.update(_changes(wanted, config, "", check))
    return {key: value for key, value in wanted.items() if value != values[key]}
