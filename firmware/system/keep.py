"""What the supervisor and the start do once: listen, keep the slot that runs, tell that another one was given up, restart.
Loaded for the moment.
"""

from firmware import lazy
from firmware.system.tasks import NotStartable


def _slots(app):
    return lazy.once("system.slots").Slots(app.board.root_dir)


def confirm(app):
    """The application was healthy for long enough. Gives the seconds until this is to be tried again, 0 when it is done."""
    try:
        app.http.try_out()  # it is not there while nobody asks, and without it no other application comes here
    except Exception as error:
        app.log.error("app", "not confirmed: no HTTP server: %s: %s" % (type(error).__name__, error))
        return app.board.confirm_s
    try:
        app.board.mark_app_valid()
        slots = _slots(app)
        if slots.trial:
            slots.confirm()
            app.log.info("app", "%s confirmed" % slots.running)
            app.event("OTA_CONFIRMED", {"slot": slots.running, "version": app.version})
    except OSError as error:
        app.log.error("app", "cannot confirm the application: %s" % error)
        return app.board.confirm_s
    return 0


def report(app):
    """Tell, once, that boot.py has left another slot for this one."""
    slots = _slots(app)
    failed = slots.failed
    if slots.trial:
        app.log.info("app", "%s is on trial" % slots.running)
    if not failed or failed.get("seen"):
        return
    app.log.error("app", "%s (%s) was given up: %s" % (failed.get("slot"), failed.get("version"), failed.get("reason")))
    app.event("OTA_ROLLBACK", {key: failed.get(key) for key in ("slot", "version", "reason")})
    try:
        slots.seen()
    except OSError as error:
        app.log.error("app", "slots.json: %s" % error)


async def listen(app):
    """Open the port of the HTTP server. Raises NotStartable."""
    board = app.board
    try:
        await app.http.start(board.http_host, board.http_port)
    except OSError as error:
        raise NotStartable("cannot listen on %s:%d: %s" % (board.http_host, board.http_port, error))
    board.announce("http %s:%d" % (board.http_host, app.http.port))


def restart(app, delay_ms):
    """See App.restart."""
    board = app.board
    if not board.may_restart:
        app.log.warning("app", "restart asked for, not done (--no-restart)")
        return False
    app.log.warning("app", "restarting in %d ms" % delay_ms)
    app.restart_due = board.ticks_add(board.ticks_ms(), delay_ms)
    return True


def before_reset(app):
    """Write what would be lost; what fails keeps nothing else from it."""
    steps = [part.stop for part in (app.history, app.energy) if part]
    steps.append(lambda: lazy.once("system.health").Health(app.board).ask())
    for step in steps:
        try:
            step()
        except Exception as error:
            app.log.error("app", "before the reset: %r" % error)
