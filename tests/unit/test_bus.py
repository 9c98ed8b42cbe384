import asyncio
import gc
from firmware import bus
from firmware.bus import Bus


def test_direct_subscribers_run_inside_publish():
    seen = []
    b = Bus()
    b.subscribe(bus.POLL, lambda topic, payload: seen.append((topic, payload)))
    b.publish(bus.POLL, 7)
    b.publish(bus.STATUS, 8)
    assert seen == [(bus.POLL, 7)]


def test_broken_subscriber_breaks_nobody():
    seen = []

    def broken(topic, payload):
        raise ValueError("broken")

    b = Bus()
    b.subscribe(bus.POLL, broken)
    b.subscribe(bus.POLL, lambda topic, payload: seen.append(topic))
    queue = b.queue((bus.POLL,))
    b.publish(bus.POLL)
    assert seen == [bus.POLL] and len(queue) == 1
    assert b.errors == 1 and isinstance(b.last_error, ValueError)


def test_queue_drops_its_oldest_and_counts():
    b = Bus()
    queue = b.queue((bus.POLL, bus.STATUS), 2)
    for n in range(5):
        b.publish(bus.POLL, n)
    assert len(queue) == 2 and queue.dropped == 3
    assert b.metrics() == {
        "total_publishes": 5,
        "total_subscriptions": 1,
        "active_subscriptions": 1,
        "queue_length": 2,
        "queue_max": 2,
        "dropped_events": 3,
    }
    b.close(queue)
    b.close(queue)
    assert b.metrics()["active_subscriptions"] == 0
    assert b.metrics()["dropped_events"] == 3
    assert not b.wants(bus.POLL)


async def test_get_waits_and_keeps_order():
    b = Bus()
    queue = b.queue((bus.ALERT,), 4)
    got = []

    async def reader():
        for _ in range(3):
            got.append((await queue.get())[1])

    task = asyncio.create_task(reader())
    await asyncio.sleep_ms(0)
    b.publish(bus.ALERT, 1)
    await asyncio.sleep_ms(0)
    b.publish(bus.ALERT, 2)
    b.publish(bus.ALERT, 3)
    await task
    assert got == [1, 2, 3]


def test_publish_allocates_nothing_for_direct_subscribers():
    b = Bus()

    def subscriber(topic, payload):
        pass

    b.subscribe(bus.POLL, subscriber)
    b.publish(bus.POLL)
    gc.collect()
    gc.disable()
    before = gc.mem_alloc()
    for _ in range(100):
        b.publish(bus.POLL)
    used = gc.mem_alloc() - before
    gc.enable()
    assert used == 0, used
