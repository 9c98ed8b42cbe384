"""Run the gateway on this machine: with a simulated TinyBMS and a simulated Victron GX, or with real ones.

    make run                                                            everything simulated
    make run ARGS="--uart /dev/ttyUSB0 --can slcan:/dev/ttyACM0"        real parts

The last line on stdout is `TinyBMS-GW ready: URL`. What happens later is in DIR/run.log and the logs beside it; what
needs attention goes to stderr. SIGINT or SIGTERM ends everything that was started.
"""

from __future__ import annotations

import fcntl
import os
import signal
import socket
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path

from tools.control import host_port
from tools.processes import HOST_BUILD, REBOOT, Child, Failed, Watchdog, install, start_gateway, stop_all, tool
from tools.run_options import Problem, check, parser

_BACK_OFF_MAX_S = 30
_CALM_S = 60  # a gateway that ran so long starts the back-off anew
_START_S = 60
_LOGS = ("run", "tinybms_sim", "virtual_can", "gx_sim", "gateway")


class Stop(Exception):
    """A signal asked for the end."""


class Run:
    """Everything that runs, and the loop that looks after it."""

    def __init__(self, options):
        self.options = options
        self.data = options.data
        self.children = []
        self.gateway = self.watchdog = None
        self.port = options.port
        self.ending = False
        self.make = Make()
        self.root = self.data / "app"

    def open_logs(self):
        """Start new logs in the data directory, which this process holds alone."""
        try:
            self.data.mkdir(parents=True, exist_ok=True)
            self.log_file = open(self.data / "run.log", "a", encoding="utf-8")  # noqa: SIM115
            fcntl.flock(self.log_file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            for name in _LOGS:
                (self.data / f"{name}.log").write_text("")
        except BlockingIOError:
            raise Problem(f"--data {self.data}: another gateway uses it") from None
        except OSError as error:
            raise Problem(f"--data {self.data}: {error.strerror}") from None

    def log(self, text):
        self.log_file.write(time.strftime("%Y-%m-%d %H:%M:%S ") + text + "\n")
        self.log_file.flush()

    def complain(self, text):
        self.log(text)
        try:
            print(f"run: {text}", file=sys.stderr, flush=True)
        except OSError:  # nobody reads it
            pass

    def goes_on(self):
        """True, or Stop once a signal came."""
        if self.ending or self.make.is_ending():
            raise Stop
        return True

    def start(self, name, *arguments):
        child = Child(name, tool(name, *arguments), self.data / f"{name}.log")
        self.children.append(child)
        return child

    def build(self):
        """Build the gateway when that has not been done."""
        if (HOST_BUILD / "main.py").exists():
            return
        build = self.start("build", "host")
        while build.exit_code() is None and self.goes_on():
            time.sleep(0.1)
        self.children.remove(build)
        if build.exit_code():
            raise Failed(f"the build failed{build.tail()}")

    def install(self):
        """The gateway runs from a copy of what was built, so that an update that is uploaded to it has a place to go."""
        if install(self.root):
            self.log(f"installed {HOST_BUILD} in {self.root}")

    def start_simulators(self):
        """Start what is not given; gives the URLs (uart, can) for the gateway."""
        options, steer = self.options, []
        uart, can = options.uart, options.can
        hub = None if can else self.start("virtual_can")
        if not uart:
            arguments = ["--listen", "127.0.0.1:0", "--control", "127.0.0.1:0"]
            for name, value in (("dump", options.dump), ("scenario", options.scenario), ("speed", options.speed)):
                if value is not None:
                    arguments += [f"--{name}", value.absolute() if name == "dump" else value]
            sim = self.start("tinybms_sim", *arguments)
            uart = sim.wait_line("uart ", _START_S, self.goes_on)
            control = sim.wait_line("control ", _START_S, self.goes_on)
            steer = ["--steer", control]
            print(f"simulated TinyBMS: {uart}, control {control}")
        if hub:
            can = hub.wait_line("can ", _START_S, self.goes_on)
            print(f"virtual CAN bus: {can}, control {hub.wait_line('control ', _START_S, self.goes_on)}")
            self.start("gx_sim", "--can", can, "--interval", 60, *steer)
        sys.stdout.flush()
        return uart, can

    def start_gateway(self, uart, can):
        options = self.options
        cause = self.watchdog.cause() if self.watchdog else "POWER_ON"
        heartbeat = self.data / "heartbeat"
        self.gateway = start_gateway(
            uart, can, self.data, self.data / "gateway.log", host=options.host, port=self.port, config=options.config,
            heap=options.heap, no_restart=options.no_restart, root=self.root, reset_cause=cause, heartbeat=heartbeat,
        )  # fmt: skip
        self.watchdog = Watchdog(self.gateway, heartbeat)
        self.log(f"gateway started ({cause}), process {self.gateway.pid}")

    def wait_ready(self):
        """Wait until the gateway's HTTP answers; Failed when it does not."""
        self.port = host_port(self.gateway.wait_line("http ", _START_S, self.goes_on))[1]
        host = "127.0.0.1" if self.options.host == "0.0.0.0" else self.options.host
        deadline = time.monotonic() + _START_S
        while not answers(f"http://{host}:{self.port}/api/status"):
            self.goes_on()
            if self.gateway.exit_code() is not None:
                raise Failed(f"gateway ended with {self.gateway.exit_code()}{self.gateway.tail()}")
            if time.monotonic() > deadline:
                raise Failed(f"gateway does not answer on port {self.port}{self.gateway.tail()}")
            time.sleep(0.1)

    def announce(self):
        """Print the ready line; False when the gateway wants to be started again first."""
        try:
            self.wait_ready()
        except Failed:
            if self.gateway.exit_code() == REBOOT:
                return False
            raise
        print(f"TinyBMS-GW ready: http://{usable(self.options.host)}:{self.port}", flush=True)
        self.log("ready")
        return True

    def watch(self, uart, can):
        """Start the gateway whenever it has ended, until a signal comes."""
        pause, ready = 1, False
        while self.goes_on():
            started = time.monotonic()
            self.start_gateway(uart, can)
            ready = ready or self.announce()
            while self.gateway.exit_code() is None and self.goes_on():
                self.watchdog.look()
                self.check_simulators()
                time.sleep(0.1)
            code = self.gateway.exit_code()
            self.gateway.stop()
            if self.watchdog.bitten:
                self.complain(f"the gateway hangs, the watchdog ends it; see {self.data / 'gateway.log'}")
                continue
            if code == REBOOT:
                self.log("the gateway asks for a restart")
                continue
            pause = 1 if time.monotonic() - started > _CALM_S else pause
            self.complain(f"gateway ended with {code}, started again in {pause} s; see {self.data / 'gateway.log'}")
            self.sleep(pause)
            pause = min(2 * pause, _BACK_OFF_MAX_S)

    def check_simulators(self):
        for child in self.children:
            if child.exit_code() is not None:
                raise Failed(f"{child.name} ended with {child.exit_code()}{child.tail()}")

    def sleep(self, seconds):
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline and self.goes_on():
            time.sleep(0.1)

    def end(self):
        stop_all([child for child in (self.gateway, *self.children) if child])
        self.log("ended")


class Make:
    """The make that may have started this process.

    A SIGINT to make alone does not reach its children, make just takes its handler away and waits for them. So it is
    watched: it ends when it is gone or no longer catches SIGINT.
    """

    def __init__(self):
        pid, name, parent, _ = self._look(os.getppid())
        if name in ("sh", "dash", "bash"):
            pid, name, parent, _ = self._look(parent)
        self._pid = pid if name in ("make", "gmake") and self._catches(pid) else None

    @staticmethod
    def _look(pid):
        """(pid, name, parent, mask of caught signals) of a process, (0, "", 0, 0) when it is gone."""
        try:
            status = dict(line.split(":", 1) for line in Path(f"/proc/{pid}/status").read_text().splitlines())
            return pid, status["Name"].strip(), int(status["PPid"]), int(status["SigCgt"], 16)
        except (OSError, KeyError, ValueError):
            return 0, "", 0, 0

    def _catches(self, pid):
        return bool(self._look(pid)[3] & 1 << signal.SIGINT - 1)

    def is_ending(self):
        return self._pid is not None and not self._catches(self._pid)


def answers(url):
    """True when the gateway answers there, be it that it asks for a password."""
    try:
        with urllib.request.urlopen(url, timeout=5) as reply:
            return reply.status == 200
    except urllib.error.HTTPError as error:
        return error.code == 401
    except (OSError, ValueError):
        return False


def usable(host):
    """An address that a browser can open for what listens on `host`."""
    if host != "0.0.0.0":
        return host
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:  # sends nothing, asks for the route only
        try:
            probe.connect(("192.0.2.1", 9))
            return probe.getsockname()[0]
        except OSError:
            return "127.0.0.1"


def main(argv=None):
    options = parser(__doc__.split("\n\n")[0]).parse_args(argv)
    run = Run(options)

    def on_signal(*_):
        run.ending = True

    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        if number != signal.SIGHUP or signal.getsignal(number) != signal.SIG_IGN:  # nohup stays nohup
            signal.signal(number, on_signal)
    try:
        check(options)
        run.open_logs()
    except Problem as problem:
        print(f"run: {problem}", file=sys.stderr)
        return 2
    try:
        run.build()
        run.install()
        run.watch(*run.start_simulators())
    except Stop:
        return 0
    except BrokenPipeError:  # nobody reads stdout any more
        return 1
    except Failed as failure:
        run.complain(str(failure))
        return 1
    finally:
        run.end()


if __name__ == "__main__":
    sys.exit(main())
