"""The start: builds every part, hands each what it needs, starts the tasks. Loaded once and forgotten.

Order (DESIGN 5): only what the battery needs is imported and started first; the rest follows the first 0x351, or waits no longer
than _FIRST_FRAME_MS when there is none.
"""

import asyncio
import os
import sys
from micropython import const
from firmware import bus as topics
from firmware import lazy
from firmware.config.config import ConfigError
from firmware.live import CVL
from firmware.system.tasks import NotStartable

_FIRST_FRAME_MS = const(3000)
_STEP_MS = const(10)
# What every request asks for: kept from the start, so that no request has to load the schema for them
_ASKED_BY_REQUESTS = ("auth.password_hash", "auth.protect_reads", "auth.allowed_hosts", "system.hostname")
# What an optional part must leave. On a board 15 KB for the HTTP server, which comes with the first connection, the 14 of
# firmware.http.web, 12 for the page and its socket, 3 for two connections (`python -m tools.wasm --parts`); an update wants 20
# besides: see `_update_mode`. On a 64-bit machine all is half as large again and its table of names grows (a board has them in
# its flash: tools/names.py); 66 KB were tried: at `--heap 200k` no page opened.
_RESERVE_BOARD_KB = const(44)
_RESERVE_KB = const(82)
_ALERTS_KB = const(10)  # on a 64-bit machine: what the alerts load once a page shows them
_UPDATE_MODE_S = const(900)
_TICK_MS = const(10)  # of the CAN schedule, where a hardware timer drives it


async def everything(app):
    """Start the whole gateway: `app` is a firmware.app.App."""
    configuration(app)
    app.log.info("app", "TinyBMS-GW %s on %s" % (app.version, app.board.info()["chip"]))
    app.safe_mode = lazy.once("system.health").Health(app.board).begin(lambda: _other_slot(app))
    if app.safe_mode:
        app.log.error("app", "safe mode: " + app.safe_mode)
        safe(app)
    else:
        battery(app)
    app.tasks.start("supervisor", app.supervise, required=True)
    if not app.safe_mode:
        await _first_frame(app.live)
    app.board.start_watchdog()
    app.forget()
    await rest(app)
    lazy.once("system.keep").report(app)
    app.forget()


def safe(app):
    """Only the radio of `prepare` is wanted; what it has against the pins must not matter."""
    try:
        app.board.prepare(app.config)
    except Exception as error:
        app.log.error("app", "prepare: %s" % error)


def _other_slot(app):
    """True when boot.py has just gone back to this slot: the watchdog resets were the other one's."""
    failed = lazy.once("system.slots").Slots(app.board.root_dir).failed
    return bool(failed) and not failed.get("seen")


def configuration(app):
    config = app.config
    try:
        config.load(app.board.initial_config)
    except ConfigError as error:  # only the initial file of a host can raise it: a person waits for the answer
        raise SystemExit("config: %s" % error)
    if config.problem:
        app.log.error("config", config.problem)
    app.apply_log_level()
    app.bus.subscribe(topics.CONFIG, app.on_config)


def battery(app):
    """The required path: BMS, charge control, CAN."""
    from firmware.bms.bms import Bms
    from firmware.can.can import Can
    from firmware.can.charge import ChargeControl

    board, live, config, log = app.board, app.live, app.config, app.log
    board.prepare(config)
    app.bms = Bms(board.uart(config), live, app.bus, board, config, log)
    app.tasks.start("bms", app.bms.run, required=True)
    charge = ChargeControl(live, config, board)
    try:
        driver = board.can(config, log)
    except ValueError as error:
        driver = None
        log.error("can", "not started: %s" % error)
    app.can = Can(driver, live, app.bus, board, config, charge, log)
    app.tasks.start("can", app.can.run, required=True)
    if board.start_timer(_TICK_MS, app.can.schedule.tick):
        app.can.schedule.timer_driven = True


async def _first_frame(live):
    """Wait for the first 0x351, no longer than _FIRST_FRAME_MS."""
    for _ in range(_FIRST_FRAME_MS // _STEP_MS):
        if live.get(CVL) is not None:
            return
        await asyncio.sleep_ms(_STEP_MS)


async def rest(app):
    """What may wait: HTTP, then everything that is only looked at, as far as the heap has room for it.

    A part that finds no room is reported and left out (DESIGN 5, "heap low"), so that what is required does not fail later.
    Each part is made before the next is imported: while the heap has not been cut up yet.
    """
    from firmware.http.door import Door
    from firmware.system.ota import Ota

    board, tasks = app.board, app.tasks
    common = (app.live, app.bus, board, app.config, app.log, board.data_dir)
    radio = board.radio()
    if radio:
        from firmware.net.clock import task
        from firmware.net.wifi import Wifi

        app.wifi = board.station = Wifi(app, *radio)
        tasks.start("wifi", app.wifi.run)
        tasks.start("ntp", task(app))
    app.ota = Ota()
    lazy.once("http.reset").when_asked(app)
    app.http = Door(app)
    tasks.start("http", app.serve, required=True)
    for key in _ASKED_BY_REQUESTS:
        app.config.get(key)
    light = board.led(app.config["system.led_pin"])
    if light:
        from firmware.system.led import Led

        tasks.start("led", Led(app, light).run)
    if not app.safe_mode and not _update_mode(app):
        await optional(app, common)


def _update_mode(app):
    """True once after a restart that asked for it: all that is only looked at stays away, and an update finds memory."""
    try:
        os.remove(app.board.data_dir + "/update_mode")
    except OSError:
        return False
    app.ota.update_mode = True
    app.log.warning("app", "update mode: no alerts, history, energy and MQTT until the next restart")

    async def leave():
        while True:
            await asyncio.sleep(_UPDATE_MODE_S)
            if not app.ota.busy:
                app.restart(0)

    app.tasks.start("update mode", leave)
    return True


async def optional(app, common):
    """What is only looked at: each part that has room, and can be made."""
    if app.config.get("ble.enabled") or app.config.get("ble.provisioning"):
        _start(app, "ble", _ble, common)
    for name, size_kb, make in (
        ("alerts", 11 + _ALERTS_KB, _alerts),
        ("energy", 5, _energy),
        ("mqtt", 2, _mqtt),
        ("history", 15, _history),
    ):
        if _has_room(app, name, size_kb):
            _start(app, name, make, common)


def _start(app, name, make, common):
    """Start the task that `make` gives. Whatever it raises leaves this part out, and no other."""
    try:
        run = make(app, common)
    except Exception as error:
        _leave_out(app, name, "%s: %s" % (type(error).__name__, error))
    else:
        app.tasks.start(name, run)


def _leave_out(app, name, why):
    async def refuse():
        raise NotStartable(why)

    app.tasks.start(name, refuse)


def _ble(app, common):
    from firmware.net.ble import Ble

    app.ble = Ble(app, NotStartable)
    return app.ble.run


def _alerts(app, common):
    from firmware.alerts.alerts import Alerts

    app.alerts = Alerts(app.live, app.bus, app.board, app.config, app.bms.events, app.can, app.log, app.board.data_dir)
    return app.alerts.run


def _energy(app, common):
    from firmware.history.energy import Energy

    app.energy = Energy(*common)
    return app.energy.run


def _mqtt(app, common):
    from firmware.mqtt.mqtt import Mqtt

    app.mqtt = Mqtt(app)
    return app.mqtt.run


def _history(app, common):
    from firmware.history.history import History

    app.history = History(*common)
    return app.history.run


def _has_room(app, name, size_kb):
    """True when a part of `size_kb` (on a 64-bit machine; two thirds of it on a board) leaves enough of the heap free."""
    app.forget()
    free = app.board.heap_free()
    if app.alerts:
        size_kb += _ALERTS_KB
    needed = (size_kb + _RESERVE_KB) * 1024
    if sys.maxsize < 1 << 32:
        needed = (size_kb * 2 // 3 + _RESERVE_BOARD_KB) * 1024
    if free >= needed:
        return True
    _leave_out(app, name, "not enough memory: %d KB free, %d KB needed" % (free // 1024, needed // 1024))
    return False
