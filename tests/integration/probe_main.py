"""main.py of a gateway with a probe in its loop. Prints, for the test to read:

held N         a new longest time (ms, above 20) that one step of one task held the loop; the time in which the machine had no
               processor for us is taken off, so that a busy machine fails no test
getaddrinfo X  getaddrinfo was called with something that is no address
"""

import sys
import time

sys.path[0] = ""  # as if it lay in the directory of main.py
import boot  # noqa: E402

boot.Picker().pick()

_FROM_MS = 20


def _starved_us():
    """Time this process stood ready and got no processor (second number of schedstat)."""
    try:
        with open("/proc/self/schedstat") as file:
            return int(file.read().split()[1]) // 1000
    except OSError:
        return 0


def watch_loop():
    from asyncio import core

    queue = core._io_queue
    wait = queue.wait_io_event
    ticks, diff = time.ticks_us, time.ticks_diff
    state = [ticks(), _starved_us(), _FROM_MS, ticks()]  # step began, starved before, longest, last look at starved

    def probed_wait(dt):
        now = ticks()
        held = diff(now, state[0])
        if held > _FROM_MS * 1000:
            starved = _starved_us()
            held = (held - (starved - state[1])) // 1000
            if held > state[2]:
                state[2] = held
                sys.stdout.write("held %d %s\n" % (held, core.cur_task and core.cur_task.coro))
        wait(dt)
        now = ticks()
        if diff(now, state[3]) > 50_000:
            state[1] = _starved_us()
            state[3] = now
        state[0] = ticks()

    queue.wait_io_event = probed_wait


def watch_names():
    import socket

    class Watched:
        def __getattr__(self, name):
            return getattr(socket, name)

        def getaddrinfo(self, host, *more):
            parts = host.split(".")
            if len(parts) != 4 or not all(part.isdigit() for part in parts):
                sys.stdout.write("getaddrinfo %s\n" % host)
            return socket.getaddrinfo(host, *more)

    sys.modules["socket"] = Watched()


watch_names()

from firmware import app  # noqa: E402

watch_loop()
app.main(sys.argv[1:])
