"""The alerts: what is watched. What happens to one lies in `life` and `store`, loaded when something happens.

Types 1-11 are the thresholds of `rules`, 12-14 and 20-25 as in the API. Ours: 15 a temperature sensor is lost, 16 (information,
once) no external sensor, so that cell temperatures are not measured, 17 BMS settings not re-read for 10 min, 18 they disagree
with the chosen chemistry, 19 charge control cannot work (value 0: the settings contradict each other, 1: it failed). 100 and
more are events of the BMS.
"""

import asyncio
import sys
from array import array
from micropython import const

from firmware import bus as topics
from firmware import live as L
from firmware.alerts.rules import COUNT, DUE, ENDED, RAISED, Rules

_PERIOD_MS = const(200)
_IDLE = const(150)  # passes after which what was loaded is dropped: 30 s
_START_S = const(15)  # so long a BMS may take to answer for the first time
_LASTING_MS = const(5_000)  # a CAN fault other than bus-off, and a bus that is well again
_PENDING = const(8)  # status changes kept between two passes

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


class Log:
    """What stays in RAM of the log, for `store` and `life`. `active`: {type: Alert}; `count`: alerts in the file."""

    def __init__(self, directory, uptime_s=0):
        self.path = directory + "/alerts.log"
        self.active = {}
        self.count = 0
        self.last_id = 0
        self.records = 0  # in the file
        self.index = array("i", bytes(12 * 208))  # 3 ints an alert, oldest first; see store
        self.record = bytearray(40)
        # saved beside the alerts: last status code of the BMS (0: none), type 16 was logged, newest events of the BMS
        self.status = self.noted = 0
        self.seen = bytearray(28)
        self.unsaved = []  # alerts
        self.state_unsaved = False
        self.news = []  # (alert, raised) to be published once saved
        self.retry = None  # ticks of the last write when it failed
        self.tokens = 20  # status changes that may be logged
        self.token_at = uptime_s

    def dirty(self):
        return self.unsaved or self.state_unsaved


class Alerts:
    """`events`: the event list of the BMS (firmware/bms/events.py); `can`: has `driver.state`, `presence`, `charge.alerts` and
    `schedule.fault`; `directory`: where the log lies. Publishes bus.ALERT (alert_id,) once a change is saved."""

    def __init__(self, live, bus, clock, config, events, can, logger, directory):
        self.bus = bus
        self.clock = clock
        self.logger = logger
        self.events = events
        self.log = Log(directory, clock.uptime_s())
        self.active = self.log.active  # {type: Alert}
        self.rules = Rules(live, clock)
        self.taken = (
            None  # events.total up to which events of the BMS were taken in; None: not compared with the log yet
        )
        self._live = live
        self._config = config
        self._can = can
        self._idle = 0  # passes since `life` was used
        self._statuses = []  # what bus.STATUS brought
        self._can_bad = 0  # index into _CAN_FAULTS
        self._can_since = clock.ticks_ms()  # of the last change; None: it has lasted
        self._bus_off = False  # seen since the last pass: it may be over before anybody looks
        self._timed = clock.time_valid
        self.life().start(self)
        for kind in self.active:
            if kind <= COUNT:
                self.rules.states[kind - 1] = RAISED
        self._on_config(None, ("alerts.",))
        bus.subscribe(topics.POLL, self._on_poll)
        bus.subscribe(topics.LINK, self._on_link)
        bus.subscribe(topics.STATUS, self._on_status)
        bus.subscribe(topics.CAN_STATE, self._on_can_state)
        bus.subscribe(topics.CONFIG, self._on_config)

    # -- what the bus brings -----------------------------------------------------------------------------------------

    def _on_poll(self, topic, payload):
        self.rules.evaluate()

    def _on_link(self, topic, connected):
        if not connected:
            self.rules.forget()

    def _on_status(self, topic, status):
        if len(self._statuses) < _PENDING:
            self._statuses.append(status)

    def _on_can_state(self, topic, state):
        if state == _CAN_FAULTS[_BUS_OFF]:
            self._bus_off = True

    def _on_config(self, topic, keys):
        for key in keys:
            if key.startswith("alerts."):
                get = self._config.get
                self._enabled = get("alerts.enabled")
                self._watch_events = self._enabled and get("alerts.monitor_tinybms_events")
                self._watch_status = self._enabled and get("alerts.monitor_status_changes")
                self.rules.configure(self._config)
                return

    # -- watching ----------------------------------------------------------------------------------------------------

    async def run(self):
        while True:
            self.work()
            await asyncio.sleep_ms(_PERIOD_MS)

    def work(self):
        """One pass: look at all conditions, save what has changed, then tell the bus."""
        if self.events.known:
            self._look_at_events()
        if self.rules.changed:
            self._thresholds()
        if self._statuses:
            self._status_changes()
        self._conditions()
        if not self._timed and self.clock.time_valid and not self.log.unsaved:
            self._timed = self.life().correct_times(self)
        if self.log.dirty() or self.log.news:
            self.life().flush(self)
        self._idle += 1
        if self._idle == _IDLE:
            for name in ("life", "store", "alert", "seen", "texts"):
                _drop(name)

    def _thresholds(self):
        rules = self.rules
        for i in range(COUNT):  # the state last: whatever fails is tried again
            if rules.states[i] == DUE:
                value, limit = rules.hit(i)
                self.life().begin(self, i + 1, value, limit, rules.cells[i])
                rules.states[i] = RAISED
            elif rules.states[i] == ENDED:
                self._set(i + 1, False)
                rules.states[i] = 0
        rules.changed = False

    def _conditions(self):
        live, on = self._live, self._enabled
        age = live.age_ms()
        known = live.qualified and age < L.STALE_MS
        if known or not on:
            self._set(_LOST, False)
            self._set(_FAULT, self._watch_status and live.data[L.STATUS] == L.FAULT)
            self._look_at_charge(on)
        elif age >= L.STALE_MS and (live.polls or self.clock.uptime_s() >= _START_S):
            self._set(_LOST, True)
        self._look_at_can(on and self._config.get("can.enabled"))
        presence = self._can.presence
        if presence.present or not on:
            self._set(_GX, False)
        elif presence.ever:
            self._set(_GX, True)

    def _look_at_charge(self, on):
        mask = self._can.charge.alerts if on else 0
        failed = on and self._can.schedule.fault == "CHARGE"
        self._set(_CHARGE, failed or mask & _MASK_SETTINGS, 1 if failed else 0)
        if failed or mask & _MASK_SETTINGS:
            return  # it has not come to look at the rest
        self._set(_SENSOR, mask & _MASK_SENSOR)
        self._set(_OLD, mask & _MASK_OLD)
        self._set(_CHEMISTRY, mask & _MASK_CHEMISTRY)
        if mask & _MASK_NO_SENSOR and not self.log.noted:
            self.log.noted = 1
            self.log.state_unsaved = True
            self.life().begin(self, _NO_SENSOR)

    def _look_at_can(self, on):
        """Bus-off at once, no acknowledge or a driver that stands still once it lasts; over once the bus is well for a while."""
        state = self._can.driver.state
        bad = _CAN_FAULTS.index(state) if on and state in _CAN_FAULTS else 0
        now = self.clock.ticks_ms()
        if bad != self._can_bad or self._bus_off:
            self._can_bad = bad
            self._can_since = now
        if not on:
            self._set(_CAN, False)
        elif bad == _BUS_OFF or self._bus_off:
            self._set(_CAN, True, _BUS_OFF)
        elif self._can_since is not None and self.clock.ticks_diff(now, self._can_since) >= _LASTING_MS:
            self._can_since = None
            self._set(_CAN, bad, bad)
        self._bus_off = False

    def _status_changes(self):
        """Log them, unless they come too often to write them all."""
        statuses, self._statuses = self._statuses, []
        log = self.log
        for status in statuses:
            if status == log.status:
                continue
            log.status = status
            if not self._watch_status:
                continue
            if status == L.FAULT:
                self._set(_FAULT, True)  # it may be over already
            elif status in _STATUSES and self.life().may_log(log, self.clock.uptime_s()):
                log.state_unsaved = True
                self.life().begin(self, _STATUS + _STATUSES.index(status))

    def _look_at_events(self):
        events = self.events
        if self.taken is None:
            self.taken = self.life().first_contact(self)
        if self._watch_events and events.total != self.taken:
            self.life().take_events(self)
        for kind in self.active:
            if kind > _EVENT and not self.holds(kind):
                self._set(kind, False)
                break  # the next one in the next pass

    def holds(self, kind):
        """True while the condition of a BMS fault or warning lasts."""
        mask = self._live.data[L.FAULTS if kind < 200 else L.WARNINGS]
        return mask == L.ABSENT or (kind % 100 < 30 and mask >> kind % 100 & 1)

    def _set(self, kind, on, value=0):
        """Raise or clear the alert of this type, unless it is so already."""
        if on:
            if kind not in self.active:
                self.life().begin(self, kind, value)
        elif kind in self.active:
            self.life().clear(self, kind)

    # -- what others ask for -----------------------------------------------------------------------------------------

    def acknowledge(self, alert_id):
        """1 when the alert was acknowledged now, 0 when it was before or has ended. KeyError for an id that the log has not."""
        return self.life().acknowledge(self, alert_id)

    def acknowledge_all(self):
        """Acknowledge every active alert; gives the number that were not yet."""
        return self.life().acknowledge(self, None)

    def page(self, end, length):
        """List of up to `length` (keep it small) alerts below position `end` of the log, newest first."""
        return self.life().store.page(self.log, end, length)

    def find(self, alert_id):
        """Position of the alert in the log (0 is the oldest, `log.count` their number), -1 for an id that it has not."""
        return self.life().store.find(self.log, alert_id)

    def get(self, alert_id):
        """The `Alert`, None for an id that the log has not."""
        return self.life().store.get(self.log, alert_id)

    def clear_history(self):
        """Drop all alerts that have ended; gives their number. OSError when that cannot be stored."""
        return self.life().store.forget_ended(self.log)

    def texts(self):
        """The `Texts` in the configured language. Keep it only as long as you use it."""
        self._idle = 0
        from firmware.alerts.texts import Texts

        return Texts(self._config.get("system.language"))

    def life(self):
        """The module of that name, loaded when needed."""
        self._idle = 0
        from firmware.alerts import life

        return life


def _drop(name):
    """Forget a module until it is needed again."""
    sys.modules.pop("firmware.alerts." + name, None)
    package = sys.modules["firmware.alerts"]
    if hasattr(package, name):
        delattr(package, name)
