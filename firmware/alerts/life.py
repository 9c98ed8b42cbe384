"""What happens to an alert: raised, acknowledged, cleared, saved, told to the bus; and the events of the BMS.

Loaded when there is something to do: functions over an `Alerts`, whose `log` holds what stays.
"""

from micropython import const

from firmware import bus as topics
from firmware import live as L
from firmware.alerts import store
from firmware.alerts.alert import (
    ACKNOWLEDGED, ACKNOWLEDGED_AT, ACTIVE, CLEARED, CLEARED_AT, RAISED_AT, Alert,
)  # fmt: skip

_RETRY_MS = const(30_000)  # after a failed write
_SLICE = const(8)  # BMS events or corrected times in one write
_SEEN = const(7)  # BMS events remembered in the log
_UNSAVED_MAX = const(32)
_FRESH_MS = const(60_000)  # an older BMS event that is over is not news
_TOKENS = const(20)  # status changes logged in a row, for the flash's sake
_TOKEN_S = const(120)  # then one in so many seconds
_FAULT_EVENT = const(100)  # types of BMS events: + id, + id - 0x30, + id - 0x60
_WARNING_EVENT = const(200)
_INFO_EVENT = const(300)


def start(alerts):
    """Read the log."""
    try:
        store.load(alerts.log)
    except OSError as error:
        alerts.logger.error("alerts", "log not readable: %s" % error)


def _stamp(alerts, alert, which, age=0):
    alert.stamp(which, alerts.clock.epoch_ms() - age, not alerts.clock.time_valid)


def begin(alerts, kind, value=0, limit=0, cell=0, age=0, ended=False):
    """Log a new alert that is `age` ms old; one of severity 0, or `ended`, is over already."""
    log = alerts.log
    log.last_id += 1
    alert = Alert(log.last_id, kind)
    alert.value, alert.limit, alert.cell = value, limit, cell
    _stamp(alerts, alert, RAISED_AT, age)
    if ended or alert.severity == 0:
        alert.status = CLEARED
        _stamp(alerts, alert, CLEARED_AT, age)
    else:
        log.active[kind] = alert
    log.unsaved.append(alert)
    if not ended or age < _FRESH_MS:
        log.news.append((alert, alert.status == ACTIVE))


def clear(alerts, kind):
    alert = alerts.log.active.pop(kind)
    alert.status = CLEARED
    _stamp(alerts, alert, CLEARED_AT)
    _changed(alerts.log, alert)


def _changed(log, alert):
    if alert not in log.unsaved:
        log.unsaved.append(alert)
    log.news.append((alert, False))


def acknowledge(alerts, alert_id):
    """1 when the alert was acknowledged now, 0 when it was before or has ended. KeyError for an id that the log has not.

    None for the id: all of them; gives the number that were not yet.
    """
    log = alerts.log
    done = 0
    known = alert_id is None or store.find(log, alert_id) >= 0
    for alert in log.active.values():
        if alert_id is None or alert.id == alert_id:
            known = True
            if alert.status == ACTIVE:
                alert.status = ACKNOWLEDGED
                _stamp(alerts, alert, ACKNOWLEDGED_AT)
                _changed(log, alert)
                done += 1
    if not known:
        raise KeyError(alert_id)
    flush(alerts)
    return done


def acknowledge_all(alerts):
    """Acknowledge every active alert; gives the number that were not yet."""
    return acknowledge(alerts, None)


def page(alerts, end, length):
    """List of up to `length` (keep it small) alerts below position `end` of the log, newest first."""
    return store.page(alerts.log, end, length)


def find(alerts, alert_id):
    """Position of the alert in the log (0 is the oldest, `log.count` their number), -1 for an id that it has not."""
    return store.find(alerts.log, alert_id)


def get(alerts, alert_id):
    """The `Alert`, None for an id that the log has not."""
    return store.get(alerts.log, alert_id)


def clear_history(alerts):
    """Drop all alerts that have ended; gives their number. OSError when that cannot be stored."""
    return store.forget_ended(alerts.log)


def texts(alerts, language=None):
    """The `Texts` in that language ("fr" or "en"), None: the configured one. Keep it only as long as you use it."""
    from firmware.alerts.texts import Texts

    return Texts(language or alerts.config.get("system.language"))


def may_log(log, now):
    """True when a status change may be written at `now` s."""
    gained = (now - log.token_at) // _TOKEN_S
    log.token_at += gained * _TOKEN_S
    log.tokens = min(log.tokens + gained, _TOKENS)
    if not log.tokens:
        return False
    log.tokens -= 1
    return True


# -- events of the BMS -----------------------------------------------------------------------------------------------


def first_contact(alerts):
    """Up to which of the events.total the log knows them."""
    from firmware.alerts.seen import unseen

    return alerts.events.total - unseen(alerts.events, alerts.log.seen)


def take_events(alerts):
    """Take in the oldest of the events that are new."""
    events = alerts.events
    first = events.count - min(events.total - alerts.taken, events.count)
    end = min(first + _SLICE, events.count)
    for i in range(first, end):
        code = events.id(i)
        kind = code + (_FAULT_EVENT if code <= 0x30 else _WARNING_EVENT - 0x30 if code <= 0x60 else _INFO_EVENT - 0x60)
        # active while the BMS holds its condition, once however often it came
        active = kind < _INFO_EVENT and kind not in alerts.active and holds(alerts, kind)
        for later in range(i + 1, events.count):
            active = active and events.id(later) != code
        begin(alerts, kind, events.stamp(i), 0, 0, events.age(i) * 1000, not active)
    alerts.taken = events.total - events.count + end
    _remember(alerts.log, events, end)


def holds(alerts, kind):
    """True while the condition of a BMS fault or warning lasts."""
    mask = alerts.live.data[L.FAULTS if kind < 200 else L.WARNINGS]
    return mask == L.ABSENT or (kind % 100 < 30 and mask >> kind % 100 & 1)


def _remember(log, events, end):
    """Keep the newest events up to `end`, the newest last: the next run begins behind them."""
    seen = bytearray(4 * _SEEN)
    at = len(seen)
    for i in range(end - 1, max(end - _SEEN, 0) - 1, -1):
        at -= 4
        stamp = events.stamp(i)
        seen[at], seen[at + 1], seen[at + 2], seen[at + 3] = stamp & 0xFF, stamp >> 8 & 0xFF, stamp >> 16, events.id(i)
    log.seen = seen
    log.state_unsaved = True


# -- the log ---------------------------------------------------------------------------------------------------------


def correct_times(alerts):
    """The clock was set: what this run logged before gets its time. True when nothing is left to do."""
    offset = alerts.clock.epoch_ms() - alerts.clock.uptime_ms()
    found = store.relative(alerts.log, _SLICE)
    for alert in found:
        alert.set_clock(offset)
        if alert.status != CLEARED:
            alerts.log.news.append((alert, False))  # who shows it learns when it began
    alerts.log.unsaved += found
    return not found


def flush(alerts):
    """Save, then publish. What cannot be saved is shown all the same, and saved as soon as it can be."""
    log, clock = alerts.log, alerts.clock
    now = clock.ticks_ms()
    if (log.unsaved or log.state_unsaved) and (
        log.retry is None or not 0 <= clock.ticks_diff(now, log.retry) < _RETRY_MS
    ):
        try:
            store.append(log, log.unsaved, log.state_unsaved)
            log.unsaved = []
            log.state_unsaved = False
            log.retry = None
        except OSError as error:
            log.retry = now
            alerts.logger.error("alerts", "log not written: %s" % error)
    while len(log.unsaved) > _UNSAVED_MAX and _forget_one(log.unsaved):
        pass
    while log.news:
        alert, raised = log.news.pop(0)
        alerts.bus.publish(topics.ALERT, (alert.id,))
        if raised:
            data = {"alert_id": alert.id, "type": alert.kind, "severity": alert.severity}
            alerts.bus.publish(topics.EVENT, ("ALERT_TRIGGERED", data))


def _forget_one(unsaved):
    for alert in unsaved:
        if alert.status == CLEARED:
            unsaved.remove(alert)
            return True
    return False
