"""What the API shows of the bus; loaded when it is asked for."""


def metrics(bus):
    """The object of `/api/event-bus/metrics`."""
    queues = bus._all_queues
    return {
        "total_publishes": bus.publishes,
        "total_subscriptions": bus.subscriptions,
        "active_subscriptions": sum(len(functions) for functions in bus._direct) + len(queues),
        "queue_length": sum(len(one) for one in queues),
        "queue_max": max((len(one._items) for one in queues), default=0),
        "dropped_events": sum(one.dropped for one in queues) + bus._dropped_closed,
    }
