"""Publish and subscribe between the rooms.

Topics are small integers. A direct subscriber is a function that runs inside `publish` and must neither wait nor be slow; a
queue holds what a slow part has not fetched yet and drops its oldest. A subscriber that raises is counted and skipped: it
never breaks the publisher or the others.
"""

import asyncio
from micropython import const
from firmware import lazy

# topic: what is published with it
POLL = const(0)  # None: a good poll is in the live snapshot
LINK = const(1)  # bool: the BMS is connected (True) or lost (False)
STATUS = const(2)  # int: new online status code
SETTINGS = const(3)  # None: the BMS settings were read again
BMS_EVENTS = const(4)  # None: the BMS event list has changed
UART_FRAME = const(5)  # (direction "RX"/"TX", bytes); ask `wants` before you build it
CAN_FRAME = const(6)  # (direction "RX"/"TX", can_id, bytes); ask `wants` before you build it
LIMITS = const(7)  # None: CVL, CCL or DCL has changed
GX = const(8)  # bool: the GX is seen or lost
CAN_STATE = const(9)  # str: new state of the CAN controller
CONFIG = const(10)  # tuple of the changed keys ("group.name")
ALERT = const(11)  # an alert has changed: (alert_id,)
EVENT = const(12)  # (name, dict): a system event of the API (WIFI_CONNECTED ...)
LOG = const(13)  # None: a line was logged
TOPICS = const(14)


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


class Bus:
    def __init__(self):
        self._direct = [()] * TOPICS  # functions; tuples, as most topics have few and an empty one costs nothing
        self._queues = [()] * TOPICS
        self._all_queues = []
        self._dropped_closed = 0
        self.publishes = 0
        self.subscriptions = 0
        self.errors = 0
        self.last_error = None

    def subscribe(self, topic, function):
        """Call `function(topic, payload)` at each publish of `topic`, at once."""
        self._direct[topic] += (function,)
        self.subscriptions += 1

    def unsubscribe(self, topic, function):
        self._direct[topic] = _without(self._direct[topic], function)

    def queue(self, topics, size=16):
        """A Queue that gets what is published on any of `topics`; give it back with `close`."""
        queue = Queue(size)
        self._all_queues.append(queue)
        self.subscriptions += 1
        self.watch(queue, topics)
        return queue

    def watch(self, queue, topics):
        """From now on `queue` gets what is published on `topics`, and nothing else."""
        for topic in range(TOPICS):
            others = _without(self._queues[topic], queue)
            self._queues[topic] = others + (queue,) if topic in topics else others

    def close(self, queue):
        if queue not in self._all_queues:
            return
        self.watch(queue, ())
        self._all_queues.remove(queue)
        self._dropped_closed += queue.dropped

    def wants(self, topic):
        """True when anybody listens to `topic`."""
        return bool(self._direct[topic]) or bool(self._queues[topic])

    def publish(self, topic, payload=None):
        self.publishes += 1
        for function in self._direct[topic]:
            try:
                function(topic, payload)
            except Exception as error:  # a broken subscriber must not break the publisher
                self.errors += 1
                self.last_error = error
        for queue in self._queues[topic]:
            queue.put(topic, payload)

    def metrics(self):
        """The object of `/api/event-bus/metrics`."""
        return lazy.once("system.bus_metrics").metrics(self)
