"""The alerts: what stays of them in memory, and the look for something new. What is done then lies in `watch` and `life`.

Types 1-11 are the thresholds of `rules`, 12-14 and 20-25 as in the API. Ours: 15 a temperature sensor is lost, 16 (information,
once) no external sensor, so that cell temperatures are not measured, 17 BMS settings not re-read for 10 min, 18 they disagree
with the chosen chemistry, 19 charge control cannot work (value 0: the settings contradict each other, 1: it failed). 100 and
more are events of the BMS.
"""

import asyncio
from array import array
from micropython import const

from firmware import bus as topics
from firmware import lazy
from firmware import live as L
from firmware.alerts.rules import Rules
from firmware.lazy import seldom

_PERIOD_MS = const(200)
_IDLE = const(50)  # passes after which what was loaded is dropped: 10 s
_START_S = const(15)  # so long a BMS may take to answer for the first time
_PENDING = const(8)  # status changes kept between two passes
_LOADED = ("watch", "life", "store", "texts")


class Log:
    """What stays in RAM of the log; for its attributes see `begin` of `store`."""


class Alerts:
    """`events`: the event list of the BMS (firmware/bms/events.py); `can`: has `driver.state`, `presence`, `charge.alerts` and
    `schedule.fault`; `directory`: where the log lies. Publishes bus.ALERT (alert_id,) once a change is saved.

    What others ask for are functions of `life`: `alerts.page(end, length)` is `page(alerts, end, length)` there.
    """

    @seldom
    def __init__(self, live, bus, clock, config, events, can, logger, directory):
        self.live = live
        self.bus = bus
        self.clock = clock
        self.config = config
        self.events = events
        self.can = can
        self.logger = logger
        self.log = Log()
        self.rules = Rules(live, clock)
        self.taken = None  # events.total up to which BMS events were taken in; None: not compared with the log yet
        self.statuses = []  # what bus.STATUS brought
        self.can_bad = 0  # the fault of the CAN driver, a value of type 13
        self.can_since = clock.ticks_ms()  # of its last change; None: it has lasted
        self.bus_off = False  # seen since the last pass: it may be over before anybody looks
        self.timed = clock.time_valid
        self._seen = array("i", (-1, 0, 0))  # what `watch` has seen
        self._state = None  # of the CAN driver
        self._busy = True  # `watch` is to look whatever is seen
        self._idle = 0  # passes since something was loaded
        lazy.load("alerts.store").begin(self.log, directory, clock.uptime_s())
        self.active = self.log.active  # {type: Alert}
        lazy.load("alerts.watch").start(self)
        bus.subscribe(topics.POLL, self._on_poll)
        bus.subscribe(topics.LINK, self._on_link)
        bus.subscribe(topics.STATUS, self._on_status)
        bus.subscribe(topics.CAN_STATE, self._on_can_state)
        bus.subscribe(topics.CONFIG, self._on_config)

    def __getattr__(self, name):
        self._idle = 0
        function = getattr(lazy.load("alerts.life"), name)
        return lambda *args: function(self, *args)

    # -- what the bus brings -----------------------------------------------------------------------------------------

    def _on_poll(self, topic, payload):
        self.rules.evaluate()

    def _on_link(self, topic, connected):
        if not connected:
            self.rules.forget()

    def _on_status(self, topic, status):
        if len(self.statuses) < _PENDING:
            self.statuses.append(status)

    def _on_can_state(self, topic, state):
        if state == "BUS_OFF":
            self.bus_off = True

    def _on_config(self, topic, keys):
        self._busy = True
        for key in keys:
            if key.startswith("alerts."):
                self._idle = 0
                lazy.load("alerts.watch").configure(self)
                return

    # -- watching ----------------------------------------------------------------------------------------------------

    async def run(self):
        while True:
            self.work()
            await asyncio.sleep_ms(_PERIOD_MS)

    def work(self):
        """One pass."""
        log = self.log
        due = self._busy or self.rules.changed or self.statuses or self.bus_off
        if self._news() or due or log.unsaved or log.state_unsaved or log.news:
            self._busy = True  # if it fails
            self._idle = 0
            self._busy = lazy.load("alerts.watch").look(self)
        self._idle += 1
        if self._idle == _IDLE:
            self.forget()

    def forget(self):
        """Drop what is only loaded while something changes or somebody asks."""
        for name in _LOADED:
            lazy.drop("alerts." + name)

    def _news(self):
        """True when a condition is not as it was at the last pass. Allocates nothing."""
        live, can, clock = self.live, self.can, self.clock
        data, presence = live.data, can.presence
        failed = can.schedule.fault == "CHARGE"
        now = self.events.total << 13 | can.charge.alerts << 8 | failed << 7 | clock.time_valid << 6
        if live.age_ms() < L.STALE_MS:
            now |= 1 | live.qualified << 1 | (data[L.STATUS] == L.FAULT) << 2
        elif live.polls or clock.uptime_s() >= _START_S:
            now |= 8
        now = (now | presence.present << 4 | presence.ever << 5) & 0x3FFFFFFF
        seen, state = self._seen, can.driver.state
        if now == seen[0] and data[L.FAULTS] == seen[1] and data[L.WARNINGS] == seen[2] and state == self._state:
            return False
        seen[0], seen[1], seen[2], self._state = now, data[L.FAULTS], data[L.WARNINGS], state
        return True
