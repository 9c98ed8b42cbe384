"""What is read when, and when the link may be trusted (DESIGN 5: start, stale, plausible)."""

import asyncio
from array import array
from micropython import const

from firmware import bus as topics
from firmware import lazy
from firmware import live as fields
from firmware.bms import decode, frames, plausible, registers
from firmware.bms.crc import copy
from firmware.bms.link import CLOSED, NACKED
from firmware.lazy import seldom

_SETTINGS_MS = const(60_000)
_RETRY_MS = const(5_000)  # a slow block that could not be read
_STATISTICS_MS = const(60_000)
_EVENTS_MS = const(10_000)
_EVENTS_FAULT_MS = const(1_000)  # in fault: no event says why yet, or another cause comes
_OPENING_MS = const(20)
_REFRESH_MS = const(100)  # the BMS measures so often (tinybms_uart facts 6): the period until it is qualified
_CLOSED_TEXT = "UART is not open"
_QUALIFY = const(2)  # good polls in a row
_SETTINGS = const(1)  # slow blocks
_EVENTS = const(2)
_VERSION = const(3)
_STATISTICS = const(4)
_UNREAD = const(0)  # what became of reading the settings
_READ = const(1)
_REFUSED = const(2)  # they are implausible
_FAST_BYTES = const(112)


class Poller:
    """Polls for ever; `reason` says why the last poll did not count, "" when it did."""

    @seldom
    def __init__(self, link, live, bus, clock, log, events):
        self.reason = _CLOSED_TEXT
        self.interval_ms = 250
        self._link = link
        self._live = live
        self._bus = bus
        self._clock = clock
        self._log = log
        self._events = events
        self._counters = link.counters
        self._poll = array("i", bytes(4 * decode.SIZE))
        requests = lazy.load("bms.requests")
        self._tx_fast = requests.read_words(0, registers.FAST_COUNT)
        self._tx_settings = requests.read_words(registers.SETTINGS_AT, registers.SETTINGS_COUNT)
        self._tx_statistics = requests.read_words(registers.STATISTICS_AT, registers.STATISTICS_COUNT)
        self._tx_version = requests.read_words(registers.VERSION_AT, registers.VERSION_COUNT)
        self._tx_events = requests.request(frames.EVENTS)
        lazy.drop("bms.requests")
        self._ready = False  # settings (and what else identifies this battery) were read since it is back
        self._row = 0  # good polls in a row
        self._rule = 0  # of plausibility that the last poll broke
        self._since = 0  # ticks of the last good poll, or of getting ready
        self._status = 0
        self._settings_due = self._statistics_due = self._events_due = self._version_due = 0  # ticks
        self._version_known = False

    async def run(self):
        """Never returns. Polls keep their period; one that took longer delays the next by little."""
        clock = self._clock
        link = self._link
        start = clock.ticks_ms()
        while True:
            self._check_lost()
            if not link.is_open:
                self._failed(_CLOSED_TEXT)
                await asyncio.sleep_ms(_OPENING_MS)
                start = clock.ticks_ms()
                continue
            if self._ready or await self._get_ready():
                self._counters.polls += 1
                if self._fast(await link.request(self._tx_fast, frames.READ, _FAST_BYTES)):
                    new = self._poll[fields.STATUS] == fields.FAULT and self._status != fields.FAULT
                    # why, before anybody forbids more than the cause asks for; not to know forbids all
                    if new and not await self._read_events(False, fields.FAULT):
                        self._live.data[fields.FAULTS] |= fields.UNKNOWN_FAULT
                    self._take()
            block = self._due() if self._ready else 0
            if block:
                await self._slow(block)
            interval = self.interval_ms if self._live.qualified else min(_REFRESH_MS, self.interval_ms)
            start = clock.ticks_add(start, interval)
            now = clock.ticks_ms()
            left = clock.ticks_diff(start, now)
            if not 5 <= left <= interval:
                left = min(max(left, 5), interval)
                start = clock.ticks_add(now, left)
            await asyncio.sleep_ms(left)

    def settings_changed(self):
        """Something was written: read the settings again at once."""
        self._settings_due = self._clock.ticks_ms()

    @seldom
    def restarted(self):
        """The BMS was told to restart or to forget: read everything slow again."""
        now = self._clock.ticks_ms()
        self._settings_due = self._version_due = self._statistics_due = self._events_due = now

    # --- the fast block ---

    def _fast(self, result):
        """Decode what the request for registers 0-55 gave into `_poll`; True when it is complete and plausible."""
        self._check_lost()  # even if this very reply is the first one back: it may be another battery by now
        if result <= 0:
            self._failed(self._text(result))
            return False
        if not self._ready:
            return False
        data = self._live.data
        decode.fast(self._link.frame, self._poll, data[fields.SET_CELLS], registers.has_soh(data))
        rule = plausible.check(self._poll)
        if rule:
            self._implausible(rule, self._poll)
            return False
        return True

    def _implausible(self, rule, what):
        """`what`, the poll or the frame of the settings, breaks `rule`. To say so may fail, not to refuse it."""
        self._counters.implausible += 1
        reason = self.reason
        if rule != self._rule or not reason:
            try:
                why = lazy.once("bms.why")
                reason = (why.settings if rule >= registers.ORDER else why.poll)(rule, what)
            except Exception:  # no memory, as a rule
                reason = "not plausible"
        self._failed(reason)
        self._rule = rule

    def _take(self):
        """Put the decoded poll into the snapshot and say so."""
        data = self._live.data
        poll = self._poll
        copy(poll, 0, data, 0, decode.BYTES)
        self._counters.good += 1
        self._since = self._clock.ticks_ms()
        self._row += 1
        self.reason = ""
        back = self._row == _QUALIFY and not self._live.qualified
        if back:
            self._live.qualified = True
        self._live.good_poll()
        if back:
            self._log.info("bms", "TinyBMS connected")
            self._bus.publish(topics.LINK, True)
        self._bus.publish(topics.POLL)
        status = poll[fields.STATUS]
        if status != self._status:
            self._status = status
            self._events_due = self._since
            self._bus.publish(topics.STATUS, status)

    def _failed(self, reason):
        self._row = self._rule = 0
        if reason != self.reason:
            self.reason = reason
            self._log.warning("bms", reason)

    def _check_lost(self):
        """No good poll for 5 s: whatever answers next has to qualify again."""
        if self._clock.ticks_diff(self._clock.ticks_ms(), self._since) < fields.STALE_MS:
            return
        self._ready = False
        self._row = 0
        self._version_known = False
        self._status = 0
        if self._live.qualified:
            self._live.qualified = False
            self._log.warning("bms", "TinyBMS lost")
            self._bus.publish(topics.LINK, False)

    def _text(self, result):
        return "refused by the BMS" if result == NACKED else _CLOSED_TEXT if result == CLOSED else "no answer"

    # --- the slow blocks ---

    async def _get_ready(self):
        """Version, settings and events of a battery that is new or back; False when it does not answer plausibly.

        The version comes first, as the firmware says what the settings mean; a BMS that refuses it is not refused.
        """
        self._row = 0
        result = await self._version()
        if result <= 0 and result != NACKED:
            self._failed(self._text(result))
            return False
        if await self._settings() != _READ:
            return False
        await self._read_events(True)
        self._ready = True
        self._since = self._statistics_due = self._clock.ticks_ms()
        return True

    def _due(self):
        """Which slow block is due, 0 for none."""
        now = self._clock.ticks_ms()
        diff = self._clock.ticks_diff
        if diff(now, self._settings_due) >= 0:
            return _SETTINGS
        if diff(now, self._events_due) >= 0:
            return _EVENTS
        if not self._version_known and diff(now, self._version_due) >= 0:
            return _VERSION
        return _STATISTICS if diff(now, self._statistics_due) >= 0 else 0

    async def _slow(self, block):
        """Read one slow block between two polls."""
        if block == _EVENTS:
            await self._read_events()
        elif block == _VERSION:
            await self._version()
        elif block == _SETTINGS:
            if await self._settings() == _REFUSED:
                self._ready = False  # settings that cannot be: no poll counts until they can
        else:
            result = await self._link.request(self._tx_statistics, frames.READ, 2 * registers.STATISTICS_COUNT)
            if result > 0:
                registers.statistics(self._link.frame, self._live.data)
            self._statistics_due = self._in(_STATISTICS_MS if result > 0 else _RETRY_MS)

    def _in(self, ms):
        return self._clock.ticks_add(self._clock.ticks_ms(), ms)

    async def _settings(self):
        count = 2 * registers.SETTINGS_COUNT
        result = await self._link.request(self._tx_settings, frames.READ, count)
        self._settings_due = self._in(_SETTINGS_MS if result > 0 else _RETRY_MS)
        if result <= 0:
            self._failed("settings: " + self._text(result))
            return _UNREAD
        rule = registers.settings(self._link.frame, self._live.data)
        if rule:
            self._implausible(rule, self._link.frame)
            return _REFUSED
        self._live.settings_read()
        self._bus.publish(topics.SETTINGS)
        return _READ

    async def _version(self):
        result = await self._link.request(self._tx_version, frames.READ, 2 * registers.VERSION_COUNT)
        data = self._live.data
        if result > 0:
            registers.version(self._link.frame, data)
            self._version_known = True
        else:
            for field in range(fields.HARDWARE, fields.SERIAL + 6):
                data[field] = fields.ABSENT
            self._version_due = self._in(_SETTINGS_MS)
        return result

    async def _read_events(self, anew=False, status=0):
        """True when the list was read. `anew`: it belongs to a battery that is new or back; `status`: of a poll that is not in
        the snapshot yet."""
        status = status or self._status
        result = await self._link.request(self._tx_events, frames.EVENTS, -1)
        events = self._events
        data = self._live.data
        fresh = -1
        if result > 0:
            try:
                fresh = events.update(self._link.frame, result, anew)
            except (MemoryError, OSError, ImportError):  # no room for what puts them in order: as if not read
                result = 0
        if fresh >= 0:
            if status and status != fields.FAULT:
                events.not_fault()
            data[fields.FAULTS] = events.faults
            data[fields.WARNINGS] = events.warnings
            if fresh:
                self._bus.publish(topics.BMS_EVENTS)
        in_fault = status == fields.FAULT
        self._events_due = self._in(_EVENTS_FAULT_MS if in_fault else _EVENTS_MS if result > 0 else _RETRY_MS)
        return fresh >= 0
