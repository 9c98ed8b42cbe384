"""Home Assistant discovery: a retained message for each entity, all of one device. Loaded when something is to be announced.

Source: Home Assistant, "MQTT" integration, section "MQTT Discovery" and the pages of sensor, binary_sensor, button and number.
One JSON line an entity in discovery.jsonl, read line by line. A line holds keys of Home Assistant as they are, and these of ours:
component, object (id), en and fr (name), value (inside of the template), cells (one for each cell), needs (the command that must
be allowed). What is announced is noted in a file, so that it can be removed when the prefix or the id has changed, or when
discovery was switched off meanwhile.
"""

import asyncio
import json
import os
from micropython import const
from firmware import lazy
from firmware import live as field

_CELLS_MAX = const(16)


def _lines():
    """Each entity as a dict; the line of the cells once for each of 16, with `number`."""
    with open(__file__.rsplit(".", 1)[0] + ".jsonl") as file:
        for line in file:
            if '"cells"' not in line:
                yield json.loads(line)
                continue
            for number in range(1, _CELLS_MAX + 1):
                entry = json.loads(line)
                del entry["cells"]
                entry["number"] = number
                yield entry


def _note(session):
    return session.parts.board.data_dir + "/mqtt_discovery"


def _noted(session):
    """(prefix, id) under which entities were announced, or None."""
    try:
        with open(_note(session)) as file:
            prefix, _, name = file.read().partition("\n")
            return prefix, name
    except OSError:
        return None


def _object(entry):
    return entry["object"] % entry["number"] if "number" in entry else entry["object"]


async def _send(session, prefix, name, entry, payload):
    topic = "%s/%s/%s/%s/config" % (prefix, entry["component"], name, _object(entry))
    await session.connection.publish(topic.encode(), payload, True)
    session.part.sent += 1
    await asyncio.sleep_ms(0)


async def _remove(session, prefix, name):
    for entry in _lines():
        await _send(session, prefix, name, entry, b"")
    try:
        os.remove(_note(session))
    except OSError:
        pass


async def tidy(session):
    """After connecting: remove what stands under another prefix or id, or should not be there any more."""
    noted, settings = _noted(session), session.settings
    if noted and noted != (settings.discovery, settings.id):
        await _remove(session, *noted)


async def leave(session):
    """Before leaving: remove everything when the next broker is another one, or there is none. `tidy` does the rest."""
    noted, settings = _noted(session), session.settings
    if noted and lazy.once("mqtt.endpoint").endpoint(session.parts.config.get)[1:] != (settings.host, settings.port):
        await _remove(session, *noted)


async def announce(session):
    """Send every entity; those whose command is not allowed are removed. Cells follow once their number is known."""
    settings, parts = session.settings, session.parts
    noted = (settings.discovery, settings.id)
    if _noted(session) != noted:
        with open(_note(session), "w") as file:
            file.write("\n".join(noted))
    cells = parts.live.get(field.CELL_COUNT) or 0
    device = _device(session)
    for entry in _lines():
        if "number" in entry and entry["number"] > cells:
            continue
        needs = entry.pop("needs", None)
        allowed = needs is None or needs in settings.commands
        payload = json.dumps(_config(session, entry, needs, device)).encode() if allowed else b""
        await _send(session, settings.discovery, settings.id, entry, payload)


def _device(session):
    parts = session.parts
    config = parts.config
    return {
        "identifiers": [session.settings.id],
        "name": config["can.battery_name"] or config["system.hostname"],
        "manufacturer": "Enepaq",
        "model": "TinyBMS",
        "sw_version": parts.version,
        "configuration_url": "http://%s:%d/" % (parts.board.network()["ip"], parts.http.port if parts.http else 80),
    }


def _config(session, entry, needs, device):
    settings = session.settings
    config = {
        "name": entry[session.parts.config.get("system.language")],
        "unique_id": "%s_%s" % (settings.id, _object(entry)),
        "availability_topic": settings.will_topic.decode(),
        "device": device,
        "origin": {"name": "TinyBMS-GW", "sw_version": session.parts.version},
    }
    if "number" in entry:
        config["name"] = config["name"] % entry["number"]
    if "value" in entry:
        value = entry["value"] % (entry["number"] - 1) if "number" in entry else entry["value"]
        config["state_topic"] = settings.topics["metrics"].decode()
        config["value_template"] = "{{ %s }}" % value
    if needs:
        config["command_topic"] = "%s/cmd/%s" % (settings.base, needs)
    for key, value in entry.items():
        if key not in ("component", "object", "en", "fr", "value", "number"):
            config[key] = value
    return config
