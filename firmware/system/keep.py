"""The slot that runs is kept, or another one was given up: what the supervisor and the start do once. Loaded for the moment."""

from firmware import lazy


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
