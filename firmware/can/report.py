"""What the API shows of CAN. Loaded for one call and dropped."""

from firmware import lazy
from firmware import live as _live


def status(can):
    """The object of GET /api/can/status of `can` (a Can); what follows `last_error` is ours."""
    driver, presence, get = can.driver, can.presence, can.config.get
    return {
        "enabled": get("can.enabled"),
        "state": driver.state,
        "speed": get("can.speed"),
        "tx_pin": get("can.tx_pin"),
        "rx_pin": get("can.rx_pin"),
        "protocol": get("can.protocol"),
        "messages_sent": driver.sent,
        "messages_received": driver.received,
        "errors": driver.errors,
        "last_error": driver.last_error,
        "gx_present": presence.present,
        "gx_seen": presence.ever,
        "gx_age_ms": presence.age_ms(),
        "speaking": can.schedule.speaking,
        "bus_offs": getattr(driver, "bus_offs", 0),
        "dropped": getattr(driver, "dropped", 0),
    }


def limits(can):
    """The object of GET /api/can/limits: what was last sent (null: nothing is), why, and how old the data behind it is."""
    live, charge, schedule = can.live, can.charge, can.schedule
    sent = live.get(_live.CVL) is not None
    texts = lazy.once("can.reasons")
    reasons = {which: texts.reason(charge, which) if sent else None for which in ("cvl", "ccl", "dcl")}
    state = texts.STATES[charge.state]
    if schedule.speaking and schedule.stale:
        state = "STALE"
    elif not schedule.speaking and state not in ("STARTING", "STOPPED"):
        state = "STARTING" if schedule.sent_at is None else "STOPPED"
    return {
        "cvl_mv": live.get(_live.CVL),
        "ccl_ma": live.get(_live.CCL),
        "dcl_ma": live.get(_live.DCL),
        "state": state,
        "reasons": reasons,
        "age_ms": live.steering_age_ms(),
    }
