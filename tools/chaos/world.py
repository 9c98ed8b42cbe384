"""The running system of a chaos run, and what must be true of it: simulated BMS, bus, gateway, and a watcher on the bus."""

from __future__ import annotations

import os
import signal
import struct
import threading
import time

from tests.integration.parts import Parts, wait_for

GAP_S = 2.0  # DESIGN 5: longest gap of 0x351 while nothing takes it away


class World:
    """`frames`: [(time, can_id, data)] as a GX has them."""

    def __init__(self):
        self.parts = Parts()
        self._ends = False
        self.frames = []

    def start(self):
        parts = self.parts
        self.start_battery()
        parts.start_can()
        self.bus = parts.bus()
        threading.Thread(target=self._watch, daemon=True).start()
        self.start_gateway()
        self.whole(40)
        return self

    def start_battery(self, **where):
        parts = self.parts
        parts.start_sim(scenario="normal", speed=0, soc=60, **where)
        parts.control.call("model", charger_on=False, load_a=5)
        parts.control.call("model", step_s=1)

    def start_gateway(self, **options):
        self.gateway = self.parts.start_gateway(own_root=True, env={"TINYBMS_CONFIRM_S": "1"}, **options)
        return self.gateway

    def kill(self):
        os.kill(self.gateway.child.pid, signal.SIGKILL)
        self.gateway.child.wait(10)

    def _watch(self):
        while not self._ends:
            try:
                if frame := self.bus.recv(0.2):
                    self.frames.append(frame)
                    del self.bus.frames[:]
            except Exception:  # the bus is closed at the end
                return

    def limits(self, since):
        """[(seconds after `since`, CVL V, CCL A, DCL A)] of the 0x351 that came after it."""
        found = []
        for at, can_id, data in list(self.frames):
            if can_id == 0x351 and at >= since:
                cvl, ccl, dcl = struct.unpack("<Hhh", data[:6])
                found.append((at - since, cvl / 10, ccl / 10, dcl / 10))
        return found

    def gap(self, since):
        """The longest gap of 0x351 from `since` to now."""
        times = [since] + [since + row[0] for row in self.limits(since)] + [time.monotonic()]
        return max(b - a for a, b in zip(times, times[1:]))

    def steady(self, since):
        """What is promised where a fault is none of CAN's and UART's business."""
        gap = self.gap(since)
        assert gap < GAP_S, f"0x351 was away for {gap:.2f} s"
        dark = [row for row in self.limits(since) if row[3] == 0]
        assert not dark, f"no discharge after {dark[0][0]:.1f} s"

    def whole(self, seconds=30):
        """Everything is as it should be, or becomes so in time: limits on the bus, battery, HTTP. Gives the time it took."""
        began = time.monotonic()

        def good():
            now = self.limits(time.monotonic() - 2.5)
            if not now or min(now[-1][1:]) <= 0:
                return False
            try:
                return self.gateway.status()["battery"]["status"] not in ("DISCONNECTED", "FAULT")
            except OSError:
                return False

        wait_for(good, seconds, "0x351 with limits, the battery and HTTP again", 0.2)
        assert self.gateway.child.exit_code() is None, "the gateway has ended"
        for line in self.gateway.child.lines:
            assert "Traceback" not in line and "MemoryError" not in line, line
        del self.frames[:-500]
        return time.monotonic() - began

    def stop(self):
        self._ends = True
        time.sleep(0.3)
        self.parts.stop()
