"""The queues of the bus, and what ends a subscription: for parts that come and go (sockets, MQTT). Loaded while there are any."""

import asyncio
from firmware import bus as _bus
from firmware import lazy


class Queue:
    """A bounded queue of (topic, payload), drop-oldest; one task may wait on it."""

    def __init__(self, size):
        self._items = [None] * size
        self._head = 0
        self._count = 0
        self._ready = asyncio.Event()
        self.dropped = 0

    def __len__(self):
        return self._count

    def put(self, topic, payload):
        size = len(self._items)
        if self._count == size:
            self._head = (self._head + 1) % size
            self._count -= 1
            self.dropped += 1
        self._items[(self._head + self._count) % size] = (topic, payload)
        self._count += 1
        self._ready.set()

    async def get(self):
        """The oldest (topic, payload); waits while there is none."""
        while not self._count:
            self._ready.clear()
            await self._ready.wait()
        item = self._items[self._head]
        self._items[self._head] = None
        self._head = (self._head + 1) % len(self._items)
        self._count -= 1
        return item


def _without(items, item):
    left = list(items)
    if item in left:
        left.remove(item)
    return tuple(left)


def unsubscribe(bus, topic, function):
    bus._direct[topic] = _without(bus._direct[topic], function)


def new_queue(bus, size):
    """A Queue that gets what its owner puts."""
    return Queue(size)


def queue(bus, topics, size=16):
    """A Queue that gets what is published on any of `topics`; give it back with `close`."""
    new = Queue(size)
    bus._all_queues.append(new)
    bus.subscriptions += 1
    watch(bus, new, topics)
    return new


def watch(bus, queue, topics):
    """From now on `queue` gets what is published on `topics`, and nothing else."""
    for topic in range(_bus.TOPICS):
        others = _without(bus._queues[topic], queue)
        bus._queues[topic] = others + (queue,) if topic in topics else others


def close(bus, queue):
    if queue in bus._all_queues:
        watch(bus, queue, ())
        bus._all_queues.remove(queue)
        bus._dropped_closed += queue.dropped
    if not bus._all_queues:
        lazy.drop("system.queues")
