"""When the clock is set by NTP: as soon as there is a network, then each hour. The question itself is ntp.py, loaded for it."""

import asyncio
from micropython import const
from firmware import lazy
from firmware.net.wifi import CONNECTED

_LOOK_S = const(5)  # for the network, for the setting
_HOUR_S = const(3600)
_RETRY_S = const(15)  # doubled up to an hour


def task(app):
    """What `Tasks.start` asks for. Made here: a function keeps the module it was made in, and start.py is to be forgotten."""
    return lambda: run(app)


async def run(app):
    """The task. `app`: board, config, log, wifi, event(name, data)."""
    due = 0
    failures = 0
    server = ""
    while True:
        await asyncio.sleep(_LOOK_S if due else 1)
        config = app.config
        wanted = config.get("time.ntp_server") if config.get("time.ntp_enabled") else ""
        if wanted != server:
            server, due, failures = wanted, 0, 0
        now = app.board.uptime_s()
        if not server or now < due or app.wifi.state != CONNECTED:
            continue
        try:
            await lazy.once("net.ntp").sync(app)
            failures = 0
            due = now + _HOUR_S
        except (OSError, MemoryError) as error:
            due = now + min(_RETRY_S << min(failures, 8), _HOUR_S)
            if not failures:
                app.log.warning("ntp", "clock not set: %s" % error)
            failures += 1
