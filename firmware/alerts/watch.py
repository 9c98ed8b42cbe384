"""What an `Alerts` does when something has changed: compares all conditions with the active alerts, saves, tells the bus.

Loaded for that, and dropped after a while without changes.
"""

from micropython import const

from firmware import lazy
from firmware import live as L
from firmware.alerts import life
from firmware.alerts.rules import COUNT, DUE, ENDED, RAISED

_START_S = const(15)  # so long a BMS may take to answer for the first time
_LASTING_MS = const(5_000)  # a CAN fault other than bus-off, and a bus that is well again

_LOST = const(12)
_CAN = const(13)
_GX = const(14)
_SENSOR = const(15)
_NO_SENSOR = const(16)
_OLD = const(17)
_CHEMISTRY = const(18)
_CHARGE = const(19)
_STATUS = const(20)
_FAULT = const(25)
_EVENT = const(100)

_CAN_FAULTS = ("", "BUS_OFF", "NO_ACK", "STOPPED")  # states of the driver; the index is the value of type 13
_BUS_OFF = const(1)
_STATUSES = (L.CHARGING, L.FULLY_CHARGED, L.DISCHARGING, L.REGENERATION, L.IDLE)  # types 20-24
# charge.alerts (firmware/can/charge.py)
_MASK_CHEMISTRY = const(1)
_MASK_SENSOR = const(2)
_MASK_NO_SENSOR = const(4)
_MASK_OLD = const(8)
_MASK_SETTINGS = const(16)


def start(alerts):
    """Read the log and the settings."""
    life.start(alerts)
    states = alerts.rules.states
    for kind in alerts.active:
        if kind <= COUNT:
            states[kind - 1] = RAISED
    configure(alerts)


def configure(alerts):
    """Take `alerts.*` anew."""
    config = alerts.config
    alerts.enabled = on = config["alerts.enabled"]
    alerts.watch_events = on and config["alerts.monitor_tinybms_events"]
    alerts.watch_status = on and config["alerts.monitor_status_changes"]
    lazy.once("alerts.limits").configure(alerts.rules, config)


def look(alerts):
    """One pass: look at all conditions, save what has changed, then tell the bus. True while it must be called again soon."""
    log, clock, events = alerts.log, alerts.clock, alerts.events
    more = events.known and _look_at_events(alerts)
    if alerts.rules.changed:
        _thresholds(alerts)
    if alerts.statuses:
        _status_changes(alerts)
    _conditions(alerts)
    if not alerts.timed and clock.time_valid and not log.unsaved:
        alerts.timed = life.correct_times(alerts)
    if log.unsaved or log.state_unsaved or log.news:
        life.flush(alerts)
    return more or alerts.can_since is not None or alerts.timed != clock.time_valid


def _thresholds(alerts):
    rules = alerts.rules
    states = rules.states
    for i in range(COUNT):  # the state last: whatever fails is tried again
        if states[i] == DUE:
            life.begin(alerts, i + 1, *lazy.once("alerts.limits").hit(rules, i))
            states[i] = RAISED
        elif states[i] == ENDED:
            _set(alerts, i + 1, False)
            states[i] = 0
    rules.changed = False


def _conditions(alerts):
    live, on = alerts.live, alerts.enabled
    age = live.age_ms()
    known = live.qualified and age < L.STALE_MS
    if known or not on:
        _set(alerts, _LOST, False)
        _set(alerts, _FAULT, alerts.watch_status and live.data[L.STATUS] == L.FAULT)
        _look_at_charge(alerts, on)
    elif age >= L.STALE_MS and (live.polls or alerts.clock.uptime_s() >= _START_S):
        _set(alerts, _LOST, True)
    _look_at_can(alerts, on and alerts.config.get("can.enabled"))
    presence = alerts.can.presence
    if presence.present or not on:
        _set(alerts, _GX, False)
    elif presence.ever:
        _set(alerts, _GX, True)


def _look_at_charge(alerts, on):
    mask = alerts.can.charge.alerts if on else 0
    failed = on and alerts.can.schedule.fault == "CHARGE"
    _set(alerts, _CHARGE, failed or mask & _MASK_SETTINGS, 1 if failed else 0)
    if failed or mask & _MASK_SETTINGS:
        return  # it has not come to look at the rest
    _set(alerts, _SENSOR, mask & _MASK_SENSOR)
    _set(alerts, _OLD, mask & _MASK_OLD)
    _set(alerts, _CHEMISTRY, mask & _MASK_CHEMISTRY)
    if mask & _MASK_NO_SENSOR and not alerts.log.noted:
        alerts.log.noted = 1
        alerts.log.state_unsaved = True
        life.begin(alerts, _NO_SENSOR)


def _look_at_can(alerts, on):
    """Bus-off at once, no acknowledge or a driver that stands still once it lasts; over once the bus is well for a while."""
    state = alerts.can.driver.state
    bad = _CAN_FAULTS.index(state) if on and state in _CAN_FAULTS else 0
    now = alerts.clock.ticks_ms()
    if bad != alerts.can_bad or alerts.bus_off:
        alerts.can_bad = bad
        alerts.can_since = now
    if not on:
        _set(alerts, _CAN, False)
    elif bad == _BUS_OFF or alerts.bus_off:
        _set(alerts, _CAN, True, _BUS_OFF)
    elif alerts.can_since is not None and alerts.clock.ticks_diff(now, alerts.can_since) >= _LASTING_MS:
        alerts.can_since = None
        _set(alerts, _CAN, bad, bad)
    alerts.bus_off = False


def _status_changes(alerts):
    """Log them, unless they come too often to write them all."""
    statuses, alerts.statuses = alerts.statuses, []
    log = alerts.log
    for status in statuses:
        if status == log.status:
            continue
        log.status = status
        if not alerts.watch_status:
            continue
        if status == L.FAULT:
            _set(alerts, _FAULT, True)  # it may be over already
        elif status in _STATUSES and life.may_log(log, alerts.clock.uptime_s()):
            log.state_unsaved = True
            life.begin(alerts, _STATUS + _STATUSES.index(status))


def _look_at_events(alerts):
    """True while there may be more of them."""
    events = alerts.events
    if alerts.taken is None:
        alerts.taken = life.first_contact(alerts)
    if alerts.watch_events and events.total != alerts.taken:
        life.take_events(alerts)
    for kind in alerts.active:
        if kind > _EVENT and not life.holds(alerts, kind):
            _set(alerts, kind, False)
            return True  # the next one in the next pass
    return alerts.watch_events and events.total != alerts.taken


def _set(alerts, kind, on, value=0):
    """Raise or clear the alert of this type, unless it is so already."""
    if on:
        if kind not in alerts.active:
            life.begin(alerts, kind, value)
    elif kind in alerts.active:
        life.clear(alerts, kind)
