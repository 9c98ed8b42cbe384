"""A simulated Victron GX on a CAN bus: speaks and listens as the real one does, and says what it would show.

    python -m tools.gx_sim --can slcan+socket://127.0.0.1:PORT --steer socket://127.0.0.1:PORT

It sends 0x305 and 0x307 each second and 0x306 while a battery is present, decodes what comes (tools/victron.py), says
LOST when 0x351 has been missing for 3 s and BACK when it is there again, and names alarms and warnings when they
change. With `--steer` it moves the charger and the load of a simulated TinyBMS within the limits it was given last;
zeros while there are none. Sources: victron_can facts, sections 2, 3 and 5.
"""

from __future__ import annotations

import argparse
import contextlib
import signal
import sys
import threading
import time
from collections import deque

import can

from tools import victron
from tools.control import Control, ControlError, host_port

LOST_S = 3.0  # without 0x351 (victron_can section 5)
PERIOD_S = 1.0
INVERTER_ID = bytes.fromhex("1234567856494300")  # 0x307
_RETRY_S = 1.0
_STEER_S = 5.0  # the limits are told again at least so often: the simulator may have been restarted


def open_bus(url):
    """The python-can bus of "slcan+socket://HOST:PORT" or "slcan:/dev/NAME"."""
    if url.startswith("slcan+socket://"):
        channel, wait = "socket://" + url.split("://", 1)[1], 0
    elif url.startswith("slcan:"):
        channel, wait = url.split(":", 1)[1], 1
    else:
        raise ValueError(f"no CAN url: {url}")
    return can.Bus(interface="slcan", channel=channel, bitrate=victron.BITRATE, sleep_after_open=wait, timeout=0.05)


class GxSim:
    """A GX. `say(line)` gets each line of `log` as it comes.

    state     all values received last, by their names in tools/victron.py
    alarms    names of the active alarms, warnings of the active warnings, in the order of 0x35A
    log       lines of text: (seconds since start, text)
    seen      {can_id: deque of monotonic times at which it came, the last 200}
    status    "WAITING" (no 0x351 yet), "OK" or "LOST"
    """

    def __init__(self, url, say=None, steer=None):
        self.url = url
        self.state, self.alarms, self.warnings = {}, [], []
        self.log, self.seen, self.status = [], {}, "WAITING"
        self.sent = 0
        self._say = say or (lambda line: None)
        self._steer = Steering(steer, self.note) if steer else None
        self._start = time.monotonic()
        self._end = threading.Event()
        self._bus = None
        self._threads = [threading.Thread(target=run, daemon=True) for run in (self._listen, self._tick)]

    # -- life

    def start(self):
        for thread in self._threads:
            thread.start()
        return self

    def stop(self):
        self._end.set()
        for thread in self._threads:
            thread.join(5)
        if self._bus:
            with contextlib.suppress(can.CanError, OSError):
                self._bus.shutdown()
            self._bus = None

    def __enter__(self):
        return self.start()

    def __exit__(self, *_error):
        self.stop()

    def note(self, text):
        self.log.append((time.monotonic() - self._start, text))
        self._say(text)

    # -- what it hears

    def _listen(self):
        """Receive for ever, connecting again when the bus goes."""
        while not self._end.is_set():
            try:
                if self._bus is None:
                    self._bus = open_bus(self.url)
                    self.note(f"on the bus {self.url}")
                message = self._bus.recv(0.2)
            except (can.CanError, OSError) as error:
                self._close(error)
            except (ValueError, IndexError, UnicodeDecodeError):  # a damaged line on the SLCAN side
                continue
            else:
                if message is not None and not message.is_error_frame and not message.is_extended_id:
                    self.hear(message.arbitration_id, bytes(message.data))

    def _close(self, error):
        bus, self._bus = self._bus, None
        if bus is not None:
            self.note(f"bus gone: {error}")
            with contextlib.suppress(can.CanError, OSError):
                bus.shutdown()
        self._end.wait(_RETRY_S)

    def hear(self, can_id, data):
        """Take in a frame of the battery."""
        self.seen.setdefault(can_id, deque(maxlen=200)).append(time.monotonic())
        self.state.update(victron.decode(can_id, data))
        if can_id == 0x35A and len(data) >= 8:
            self._alarms("alarm", self.alarms, victron.active(self.state["alarms"]))
            self._alarms("warning", self.warnings, victron.active(self.state["warnings"]))
        if can_id == 0x351 and self.status != "OK":
            self.note("BACK" if self.status == "LOST" else "battery present")
            self.status = "OK"

    def _alarms(self, kind, shown, now):
        for name in now:
            if name not in shown:
                self.note(f"{kind} {name}")
        for name in shown:
            if name not in now:
                self.note(f"{kind} {name} cleared")
        shown[:] = now

    # -- what it does

    def _tick(self):
        next_send = time.monotonic()
        while not self._end.is_set():
            now = time.monotonic()
            if self.status == "OK" and now - self.seen[0x351][-1] > LOST_S:
                self.status = "LOST"
                self.note("LOST")
            if now >= next_send:
                next_send = max(next_send, now - PERIOD_S) + PERIOD_S  # late is late, but not twice
                self._speak()
            if self._steer:
                self._steer.move(self.limits())
            self._end.wait(max(0.0, min(0.1, next_send - time.monotonic())))

    def _speak(self):
        frames = [(0x305, bytes(8)), (0x307, INVERTER_ID)]
        if self.status == "OK":
            frames.append((0x306, bytes(8)))
        for can_id, data in frames:
            bus = self._bus
            if bus is None:
                return
            try:
                bus.send(can.Message(arbitration_id=can_id, data=data, is_extended_id=False), timeout=1)
                self.sent += 1
            except (can.CanError, OSError):
                return  # the listener sees it too

    def limits(self):
        """What the system may do now: {cvl_mv, ccl_ma, dcl_ma}; zeros without a battery."""
        names = {"cvl_mv": "cvl_V", "ccl_ma": "ccl_A", "dcl_ma": "dcl_A"}
        if self.status != "OK":
            return dict.fromkeys(names, 0)
        return {name: round(self.state.get(value, 0) * 1000) for name, value in names.items()}

    def summary(self):
        """One line with what a GX would show."""
        state = self.state

        def show(name, unit):
            return f"{state[name]:g} {unit}" if name in state else f"- {unit}"

        parts = [
            self.status, show("soc_pct", "%"), show("voltage_V", "V"), show("current_A", "A"),
            show("temperature_C", "C"),
            "CVL " + show("cvl_V", "V"), "CCL " + show("ccl_A", "A"), "DCL " + show("dcl_A", "A"),
            "alarms " + (",".join(self.alarms) or "none"), "warnings " + (",".join(self.warnings) or "none"),
        ]  # fmt: skip
        return "  ".join(parts)


class Steering:
    """Moves the charger and the load of a simulated TinyBMS (its control channel) to the limits of the GX."""

    def __init__(self, url, note):
        self._address = host_port(url)
        self._note = note
        self._control = None
        self._told = self._complaint = None
        self._again = 0.0

    def move(self, limits):
        now = time.monotonic()
        if now < self._again and (limits == self._told or self._control is None):
            return
        try:
            if self._control is None:
                self._control = Control(*self._address, timeout=2)
            self._control.call(
                "model",
                charger_cvl_mv=limits["cvl_mv"],
                charger_ccl_ma=limits["ccl_ma"],
                load_dcl_ma=limits["dcl_ma"],
            )
            self._told, self._again, self._complaint = limits, now + _STEER_S, None
        except (OSError, ControlError, ValueError) as error:
            if self._control is not None and not isinstance(error, ControlError):
                self._control.close()
                self._control = None
            if str(error) != self._complaint:  # once is enough
                self._complaint = str(error)
                self._note(f"cannot steer: {error}")
            self._again, self._told = now + _RETRY_S, limits


def main(argv=None):
    parser = argparse.ArgumentParser(prog="gx_sim", description=__doc__.split("\n\n")[0])
    parser.add_argument("--can", required=True, metavar="URL", help="slcan+socket://HOST:PORT or slcan:/dev/NAME")
    parser.add_argument("--steer", metavar="URL", help="control channel of the simulated BMS, socket://HOST:PORT")
    parser.add_argument(
        "--interval", type=float, default=10, metavar="SECONDS", help="a summary line each so often (10)"
    )
    parser.add_argument("--quiet", action="store_true", help="no summary lines")
    options = parser.parse_args(argv)
    ends = {signal.SIGINT, signal.SIGTERM}
    signal.pthread_sigmask(signal.SIG_BLOCK, ends)

    def say(line):
        with contextlib.suppress(BrokenPipeError):
            print(time.strftime("%H:%M:%S"), line, flush=True)

    try:
        if not options.can.startswith(("slcan+socket://", "slcan:")):
            raise ValueError(f"no CAN url: {options.can}")
        gx = GxSim(options.can, say, options.steer)
    except ValueError as error:
        parser.error(str(error))
    with gx:
        print("ready", flush=True)
        while signal.sigtimedwait(ends, max(options.interval, 0.1)) is None:
            if not options.quiet:
                say(gx.summary())
    return 0


if __name__ == "__main__":
    sys.exit(main())
