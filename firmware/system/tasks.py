"""The supervisor: starts the tasks, restarts one that dies, knows which must live, and measures how busy the loop is."""

import asyncio
import io
import sys
from asyncio import core
from micropython import const
from firmware.lazy import seldom

_BACKOFF_MAX_S = const(60)
_HEALTHY_S = const(60)  # a task that ran so long starts again with the shortest back-off


class NotStartable(Exception):
    """A part cannot start because of its configuration or hardware: it is reported, not tried again."""


class _Task:
    def __init__(self, name, function, required):
        self.name = name
        self.function = function
        self.required = required
        self.task = None
        self.waiting = False  # for its back-off
        self.failed = ""  # why it is not running, for good
        self.crashes = 0


class Tasks:
    """`start` tasks by name. `clock` and `log` as everywhere; `on_crash(name, error)` or None."""

    @seldom
    def __init__(self, clock, log, on_crash=None):
        self._clock = clock
        self._log = log
        self._on_crash = on_crash
        self.entries = []  # what http/status.py shows of them
        self._since = core.ticks()  # start of the books of `cpu_percent`
        self._idle_ms = 0  # since then
        self._busy_percent = 0
        self._watch_idle()

    # -- starting and restarting -------------------------------------------------------------------------------------

    def start(self, name, function, required=False):
        """Run `await function()` for ever. Required: while it is dead the watchdog is not fed."""
        entry = _Task(name, function, required)
        self.entries.append(entry)
        entry.task = asyncio.create_task(self._keep(entry))

    async def _keep(self, entry):
        backoff = 1
        while True:
            started = self._clock.uptime_s()
            entry.waiting = False
            try:
                await entry.function()
                return  # a task may end by itself
            except NotStartable as error:
                entry.failed = str(error)
                self._log.error(entry.name, "not started: %s" % error)
                entry.function = None  # and what it was made in, start.py as a rule
                return
            except Exception as error:
                entry.crashes += 1
                try:
                    self._report(entry, error)
                except Exception:  # no memory for it; the restart must not depend on it
                    self._say_short(entry.name)
            if self._clock.uptime_s() - started >= _HEALTHY_S:
                backoff = 1
            entry.waiting = True
            await asyncio.sleep(backoff)
            backoff = min(2 * backoff, _BACKOFF_MAX_S)

    def _say_short(self, name):
        try:
            self._log.error(name, "task died")
        except MemoryError:
            pass

    @seldom
    def _report(self, entry, error):
        text = io.StringIO()
        sys.print_exception(error, text)
        lines = text.getvalue().strip().split("\n")
        self._log.error(entry.name, "task died: %s" % lines[-1])
        for line in lines[1:-1]:
            self._log.error(entry.name, line.strip())
        if self._on_crash:
            self._on_crash(entry.name, error)

    def healthy(self):
        """True while every required task runs (or cannot start, which a restart would not mend)."""
        for entry in self.entries:  # noqa: SIM110  (a generator costs more)
            if entry.required and not entry.failed and (entry.waiting or entry.task.done()):
                return False
        return True

    def problems(self):
        """[(name, why)] of the tasks that could not start."""
        return [(entry.name, entry.failed) for entry in self.entries if entry.failed]

    # -- what the API shows ------------------------------------------------------------------------------------------

    def cpu_percent(self):
        """Share of the time between the last two calls of `measure` in which the loop did not wait, in percent."""
        return self._busy_percent

    def measure(self):
        """Close the books of `cpu_percent`. The supervisor calls this each 10 s."""
        now = core.ticks()
        length = core.ticks_diff(now, self._since) or 1
        self._busy_percent = max(0, min(100, 100 - 100 * self._idle_ms // length))
        self._idle_ms = 0
        self._since = now

    def _watch_idle(self):
        """Count the milliseconds that the loop spends waiting, by standing before the method it waits in."""
        wait = core._io_queue.wait_io_event

        def timed_wait(dt):
            before = core.ticks()
            wait(dt)
            self._idle_ms += core.ticks_diff(core.ticks(), before)

        core._io_queue.wait_io_event = timed_wait
