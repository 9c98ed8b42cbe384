"""Rows of a gateway between a simulated BMS and a virtual bus: start, period of 0x351, age of telemetry, loss of the BMS."""

import json
import statistics
import threading
import time
from contextlib import contextmanager

from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect

from tests.integration.parts import Parts
from tests.integration.watch import Watch
from tools.bench.table import Row, percentile
from tools.victron import decode

LIMITS = 0x351
GAP_S = 1.2  # longest gap on a host (DESIGN 6)
PERIOD_MS = 50  # the period is 1 s, more or less by this (DESIGN 6)
START_S = 3.0  # on a board (DESIGN 5)
# A limit goes out with the next 0x351, at most a period after its time
LOSS = (("CCL = 0", 5), ("DCL = 0", 10), ("silence", 15))
PERIOD_S = 1.05
LATE_S = 0.2  # what our reading of the last poll's age, and the frame's way to us, may add
BUSY_S = 0.05


@contextmanager
def everything(**options):
    """`Parts` with a gateway that has its battery, and a python-can client in `parts.watched`."""
    parts = Parts()
    try:
        parts.start_sim(scenario="normal", soc=60)
        parts.start_can()
        parts.watched = parts.bus()
        parts.start_gateway(**options)
        parts.wait_connected()
        yield parts
    finally:
        parts.stop()


def periods(times):
    """Row figures of the times of 0x351: (text, p99 of the distance from 1 s in ms, longest gap in s)."""
    gaps = [b - a for a, b in zip(times, times[1:], strict=False)]
    off = percentile([abs(gap - 1) * 1000 for gap in gaps], 0.99)
    text = f"p50 {statistics.median(gaps) * 1000:.0f} ms, p99 1 s +- {off:.0f} ms, max {max(gaps) * 1000:.0f} ms"
    return f"{text} ({len(gaps)})", off, max(gaps)


def period_row(name, times, stalled):
    """`stalled`: seconds for which the machine gave nobody a processor, at the longest; a frame may be late by that."""
    text, off, longest = periods(times)
    if stalled > 0.02:
        text += f", machine {stalled * 1000:.0f} ms"
    kept = off <= PERIOD_MS + stalled * 1000 and longest <= GAP_S + stalled
    reason = "this machine was too busy to tell, measure again when it is idle" if stalled > BUSY_S else ""
    return Row(name, text, f"+-{PERIOD_MS} ms, <= {GAP_S} s", kept, "" if kept else reason)


def watch_period(parts, seconds):
    """(times of 0x351, seconds that the machine was stalled) of the next `seconds`."""
    watch = Watch(parts)
    time.sleep(seconds)
    watch.stop()
    return [t for t, can_id, _ in watch.bus.frames if can_id == LIMITS], watch.stalled()


def period_rows(quick):
    with everything() as parts:
        time.sleep(2)
        yield period_row("period of 0x351, idle", *watch_period(parts, 5 if quick else 40))


def start_rows(quick):
    """From the start of the process to the first 0x351; BMS and bus are there."""
    seconds = []
    parts = Parts()
    try:
        parts.start_sim(scenario="normal", soc=60)
        parts.start_can()
        bus = parts.bus()
        for _ in range(1 if quick else 5):
            bus.drain()
            begun = time.monotonic()
            gateway = parts.start_gateway()
            bus.wait(LIMITS, 20)
            seconds.append(bus.frames[-1][0] - begun)
            gateway.child.stop()
    finally:
        parts.stop()
    text = f"p50 {statistics.median(seconds):.2f} s, max {max(seconds):.2f} s ({len(seconds)})"
    yield Row("start of the process to the first 0x351 (host)", text, f"< {START_S:.0f} s", max(seconds) < START_S)


class Ages(threading.Thread):
    """Reads /ws/telemetry; `ms`: how old each message's values were when it was here."""

    def __init__(self, url):
        super().__init__(daemon=True)
        self.ms, self.going = [], True
        self._socket = connect(url + "/ws/telemetry")
        self.start()

    def run(self):
        while self.going:
            try:
                message = json.loads(self._socket.recv(5))
            except (ConnectionClosed, TimeoutError, OSError):
                return
            self.ms.append(time.time() * 1000 - message["timestamp_ms"] + message["age_ms"])

    def stop(self):
        self.going = False
        self.join(6)
        self._socket.close()


def age_row(name, ms):
    text = f"p50 {statistics.median(ms):.0f} ms, p99 {percentile(ms, 0.99):.0f} ms ({len(ms)})"
    return Row(name, text)


def latency_rows(quick):
    """The values of a message are those of the last poll; polls come each 250 ms, messages each second."""
    with everything() as parts:
        readers = [Ages(parts.gateway.ws_url) for _ in range(3)]
        time.sleep(4 if quick else 30)
        for reader in readers:
            reader.stop()
        yield age_row("UART reply -> telemetry received (poll each 250 ms)", [ms for r in readers for ms in r.ms])


def loss_rows(quick):
    with everything() as parts:
        time.sleep(1)
        parts.control.call("fault", name="silence")
        parts.watched.listen(2)
        parts.watched.drain()
        last_poll = time.monotonic() - parts.gateway.status()["age_ms"] / 1000
        frames = [frame for frame in parts.watched.listen(17) if frame[1] == LIMITS]
        limits = [(t - last_poll, decode(LIMITS, data)) for t, _, data in frames]
        times = [
            next((t for t, now in limits if now["ccl_A"] == 0), 99),
            next((t for t, now in limits if now["dcl_A"] == 0), 99),
            limits[-1][0],
        ]
    for (name, asked), taken in zip(LOSS, times, strict=True):
        last = name == "silence"
        kept = taken <= asked + (LATE_S if last else PERIOD_S) and (taken >= asked - PERIOD_S)
        text = f"{'last 0x351 ' if last else ''}{taken:.2f} s after the last good poll"
        yield Row(f"BMS lost: {name}", text, f"{asked} s" if last else f"{asked} s, next 0x351", kept)
