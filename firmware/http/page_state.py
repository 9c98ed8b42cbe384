"""The state message of /ws/page: what a dashboard shows besides the battery. Loaded for one message."""

import json
from micropython import const
from firmware import lazy
from firmware import live as field
from firmware.http import ws

_SIZE = const(1400)  # about the bytes of a message


def _tenths(value):
    return None if value is None else value / 10


def _battery(live):
    """What telemetry does not say of the battery; null while it is gone."""
    get = live.get if live.connected() else (lambda index: None)
    setting = live.get
    return {
        "temperature_internal_c": _tenths(get(field.TEMP_INT)),
        "temperature_external1_c": _tenths(get(field.TEMP_EXT1)),
        "temperature_external2_c": _tenths(get(field.TEMP_EXT2)),
        "soc_hundredths": get(field.SOC),
        "balance_need": get(field.BALANCE_NEED),
        "capacity_mah": setting(field.SET_CAPACITY),
        "cell_full_mv": setting(field.SET_FULL),
        "cell_empty_mv": setting(field.SET_EMPTY),
        "cell_ov_mv": setting(field.SET_OV),
        "cell_uv_mv": setting(field.SET_UV),
        "cell_disbalance_mv": setting(field.SET_DISBALANCE),
    }


def pieces(app):
    """The state message as pieces of JSON."""
    parts = app.parts
    board = parts.board
    yield b'{"type":"state","timestamp_ms":%d,"uptime_ms":%d' % (board.epoch_ms(), board.uptime_ms())
    sections = (
        ("version", lambda: parts.version),
        ("password_set", lambda: app.auth.password_set),
        ("chemistry", lambda: parts.config.get("charge.chemistry")),  # "auto": the page proposes to choose
        ("safe_mode", lambda: parts.safe_mode),
        ("update_mode", lambda: parts.ota.update_mode),
        (
            "bms",
            lambda: {"connected": parts.live.connected(), "reason": parts.bms.reason if parts.bms else "safe mode"},
        ),
        ("battery", lambda: _battery(parts.live)),
        ("wifi", board.network),
        ("mqtt", lambda: lazy.once("http.status").mqtt_state(parts)),
        ("can", lambda: parts.can and parts.can.status()),
        ("limits", lambda: parts.can and parts.can.limits()),
        ("history", lambda: parts.history is not None),
    )
    for name, make in sections:
        yield b',"%s":' % name
        yield json.dumps(make()).encode()
    yield b"}"


def frame(app):
    """The message as a frame."""
    return ws.frame_of(pieces(app), _SIZE)
