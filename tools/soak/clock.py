"""Simulated time for asyncio under MicroPython: the loop never waits, its clock jumps to the task that is due next.

Tasks that are woken (not slept) get a key of the real clock from asyncio's C code; the simulated clock starts far ahead of it, so
that they are due at once.
"""

import time
from asyncio import core

_AHEAD_MS = 10_000_000_000
_SPINS = 5000  # so many turns without time passing count as a millisecond of work


class Waits:
    """Stands for asyncio's queue of streams: a stream here is an object with `readable()`, `writable()`, `reader`, `writer`."""

    def __init__(self):
        self.now = time.ticks_ms() + _AHEAD_MS
        self.map = True  # asyncio asks whether anything can still wake the loop
        self._spins = 0
        core.ticks = self.ticks
        core._io_queue = self

    def ticks(self):
        return self.now

    def wait_io_event(self, dt):
        if dt > 0:
            self.now += dt
            self._spins = 0
        elif dt == 0:
            self._spins += 1
            if self._spins > _SPINS:
                self._spins = 0
                self.now += 1
        else:
            raise RuntimeError("nothing is left that could go on")

    def queue_read(self, stream):
        task = core.cur_task
        if stream.readable():
            core._task_queue.push(task)
        else:
            stream.reader = task
            task.data = stream

    def queue_write(self, stream):
        task = core.cur_task
        if stream.writable():
            core._task_queue.push(task)
        else:
            stream.writer = task
            task.data = stream

    def forget_tasks(self):
        """Everything of the gateway ends without a word, as in a power cut; what `outside` has started goes on."""
        queue = core._task_queue
        keep = _outside + [core.cur_task]
        kept = []
        while queue.peek():
            task = queue.pop()
            if task in keep:
                kept.append((task, task.ph_key))
        for task, key in kept:
            queue.push(task, key)
        if "wait_io_event" in self.__dict__:
            del self.wait_io_event  # what firmware/system/tasks.py has put before it


_outside = []  # tasks that are not the gateway's


def outside(coroutine):
    """A task that is not the gateway's."""
    for task in list(_outside):
        if task.done():
            _outside.remove(task)
    task = core.create_task(coroutine)
    _outside.append(task)
    return task


class Stream:
    """One waiting reader and one waiting writer."""

    reader = writer = None

    def remove(self, task):
        """asyncio cancels `task`."""
        if self.reader is task:
            self.reader = None
        if self.writer is task:
            self.writer = None

    def wake_reader(self, key=None):
        task, self.reader = self.reader, None
        if task:
            if key is None:
                core._task_queue.push(task)
            else:
                core._task_queue.push(task, key)

    def wake_writer(self):
        task, self.writer = self.writer, None
        if task:
            core._task_queue.push(task)
