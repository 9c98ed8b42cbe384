"""Publish and subscribe between the rooms.

Topics are small integers. A direct subscriber is a function that runs inside `publish` and must neither wait nor be slow; a
queue holds what a slow part has not fetched yet and drops its oldest. A subscriber that raises is counted and skipped: it
never breaks the publisher or the others.
"""

from micropython import const
from firmware import lazy
from firmware.lazy import seldom

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


class Bus:
    """Beside the methods here `unsubscribe`, `queue`, `watch`, `close`, `new_queue`: see system/queues.py."""

    @seldom
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

    def __getattr__(self, name):
        """For those who come and go: `bus.queue(...)` is `queue(bus, ...)` of system/queues.py, loaded while there are queues."""
        function = getattr(lazy.load("system.queues"), name)
        return lambda *args: function(self, *args)

    def metrics(self):
        """The object of `/api/event-bus/metrics`."""
        return lazy.once("system.bus_metrics").metrics(self)
