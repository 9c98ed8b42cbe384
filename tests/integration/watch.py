"""The gaps of 0x351, and what of a delay is the machine's: nothing that waits for a processor can be sooner than it has one."""

import subprocess
import sys
import threading

from tests.integration.parts import wait_for

# Sleeps 10 ms at a time and notes the longest overshoot; prints it when asked
_STALLS = """
import select, sys, time
worst, last = 0.0, time.monotonic()
while True:
    asked = select.select([sys.stdin], [], [], 0.01)[0]
    now = time.monotonic()
    worst, last = max(worst, now - last - 0.01), now
    if asked:
        sys.exit(print(worst))
"""


class Stalls:
    """With this around what is timed, `seconds` is then the longest time for which a process of its own got no processor."""

    def __init__(self):
        self.seconds = None
        self._process = subprocess.Popen([sys.executable, "-c", _STALLS], stdin=subprocess.PIPE, stdout=subprocess.PIPE)

    def stop(self):
        if self.seconds is None:
            self.seconds = float(self._process.communicate(b"\n", timeout=60)[0].splitlines()[0])

    def __enter__(self):
        return self

    def __exit__(self, *error):
        self.stop()


class Watch:
    """Notes the times of 0x351 in a thread of its own; `longest()` gives the longest gap in seconds so far.

    `stalled()` tells how long this machine gave nobody a processor meanwhile: a gap may be longer by that.
    """

    def __init__(self, parts):
        self.bus, self.going = parts.bus(), True
        self.thread = threading.Thread(target=self._run, daemon=True)
        self.thread.start()
        self._stalls = Stalls()

    def _run(self):
        while self.going:
            self.bus.recv(0.2)

    def stop(self):
        """Gives nothing; from now on `stalled` is known."""
        if not self.going:
            return
        self.going = False
        self.thread.join(5)
        self._stalls.stop()

    def stalled(self):
        """Seconds that the machine was stalled at the longest."""
        self.stop()
        return self._stalls.seconds

    def wait_first(self):
        wait_for(lambda: any(can_id == 0x351 for _, can_id, _ in list(self.bus.frames)), 20, "0x351")

    def longest(self):
        times = [t for t, can_id, _ in list(self.bus.frames) if can_id == 0x351]
        assert times  # a test that kills its gateway may leave but one
        return max((b - a for a, b in zip(times, times[1:], strict=False)), default=0)
