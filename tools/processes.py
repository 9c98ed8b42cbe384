"""Child processes that never outlive their parent, with their output in a log and their lines to wait for."""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
HOST_BUILD = ROOT / "build" / "host"
REBOOT = 42  # exit code of a gateway that asks to be started again

# The kernel kills the child when the parent dies, however that comes about (PR_SET_PDEATHSIG = 1). It runs in the child
# before the program proper: a fork with Python code in it is no good idea beside threads.
_LEASH = """
import ctypes, os, signal, sys
ctypes.CDLL(None).prctl(1, signal.SIGKILL, 0, 0, 0)
if os.getppid() == int(sys.argv[1]):
    os.execvp(sys.argv[2], sys.argv[2:])
"""


class Failed(Exception):
    """A process ended, or did not say in time what was waited for; the text tells which and shows its last lines."""


class Child:
    """A process in a session of its own. Start it from the main thread: the leash ends with the thread that forked it.

    `lines` holds the last lines of its output, stdout and stderr together; `log` is a path they are appended to.
    """

    def __init__(self, name, argv, log=None, cwd=ROOT, env=None, stop_signal=signal.SIGTERM):
        self.name, self.lines = name, []
        self._stop_signal = stop_signal
        self._changed = threading.Condition()
        self._log = open(log, "a", encoding="utf-8") if log else None  # noqa: SIM115
        leash = [sys.executable, "-I", "-S", "-c", _LEASH, str(os.getpid())]
        self.process = subprocess.Popen(
            [*leash, *map(str, argv)], cwd=cwd, env=env, start_new_session=True, bufsize=0,
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        )  # fmt: skip
        self.pid = self.process.pid
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self):
        for raw in iter(self.process.stdout.readline, b""):
            line = raw.decode("utf-8", "replace").rstrip()
            if self._log:
                self._log.write(time.strftime("%H:%M:%S ") + line + "\n")
                self._log.flush()
            with self._changed:
                self.lines.append(line)
                del self.lines[:-2000]
                self._changed.notify_all()
        self.process.stdout.close()
        if self._log:
            self._log.close()

    def exit_code(self):
        """The exit code, negative for a signal, or None while it runs."""
        return self.process.poll()

    def find(self, prefix):
        """The rest of the first line that starts with `prefix`, or None."""
        with self._changed:
            for line in self.lines:
                if line.startswith(prefix):
                    return line[len(prefix) :].strip()
        return None

    def wait_line(self, prefix, seconds=20, goes_on=lambda: True):
        """Wait for a line that starts with `prefix`, give the rest of it; Failed when it does not come.

        Gives None when `goes_on()` turns false.
        """
        deadline = time.monotonic() + seconds
        while (found := self.find(prefix)) is None:
            if not goes_on():
                return None
            if self.exit_code() is not None:
                self._reader.join(1)
                if (found := self.find(prefix)) is not None:
                    return found
                raise Failed(f"{self.name} ended with {self.exit_code()}{self.tail()}")
            if time.monotonic() > deadline:
                raise Failed(f"{self.name} did not say {prefix!r} in {seconds} s{self.tail()}")
            with self._changed:
                self._changed.wait(0.1)
        return found

    def wait(self, seconds=10):
        """Wait for its end, give the exit code; Failed when it goes on."""
        try:
            return self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            raise Failed(f"{self.name} did not end in {seconds} s{self.tail()}") from None

    def tail(self, count=20):
        with self._changed:
            return "".join(f"\n    {line}" for line in self.lines[-count:])

    def signal(self, number):
        """Send a signal to the process and all that it may have started."""
        try:
            os.killpg(self.pid, number)
        except (ProcessLookupError, PermissionError):
            pass

    def stop(self, seconds=3):
        """End it: politely, then by force. Its group is gone afterwards."""
        stop_all([self], seconds)


def stop_all(children, seconds=3):
    """End children together."""
    for child in children:
        if child.exit_code() is None:
            child.signal(child._stop_signal)
    deadline = time.monotonic() + seconds
    for child in children:
        try:
            child.process.wait(max(0, deadline - time.monotonic()))
        except subprocess.TimeoutExpired:
            pass
        child.signal(signal.SIGKILL)
        child.process.wait()
        child._reader.join(1)


def tool(name, *arguments):
    """The command line of a tool of ours."""
    return [sys.executable, "-u", "-m", f"tools.{name}", *map(str, arguments)]


def micropython():
    """The MicroPython to use: of the environment variable MICROPYTHON, else the one beside this Python."""
    return os.environ.get("MICROPYTHON") or str(Path(sys.executable).parent / "micropython")


def gateway_command(uart, can, data, port=0, host="127.0.0.1", config=None, heap="1M", no_restart=False):
    """The command line of the gateway, to be run in the directory of its boot.py. `data` and `config` are paths, heap as "1M"."""
    command = [
        micropython(), "-X", f"heapsize={heap}", "main.py",
        "--uart", uart, "--can", can, "--host", host, "--port", str(port), "--data", str(Path(data).absolute()),
    ]  # fmt: skip
    if config:
        command += ["--config", str(Path(config).absolute())]
    if no_restart:
        command.append("--no-restart")
    return command


def start_gateway(uart, can, data, log=None, root=HOST_BUILD, reset_cause=None, heartbeat=None, env=None, **options):
    """Start the gateway; options as `gateway_command`.

    `root`: the directory with boot.py and the slots. `reset_cause`: what the gateway is told of why it starts (POWER_ON).
    `heartbeat`: a file that it changes each second while it is well, see `Watchdog`; `env`: more of the environment.
    """
    command = gateway_command(uart, can, data, **options)
    if root == HOST_BUILD:
        with open(HOST_BUILD.parent / ".lock", "w") as lock:  # boot.py starts nothing that is half built
            fcntl.flock(lock, fcntl.LOCK_SH)
    environment = dict(os.environ, **(env or {}))
    if reset_cause:
        environment["TINYBMS_RESET_CAUSE"] = reset_cause
    if heartbeat:
        Path(heartbeat).unlink(missing_ok=True)
        environment["TINYBMS_HEARTBEAT"] = str(Path(heartbeat).absolute())
    return Child("gateway", command, log, cwd=root, env=environment, stop_signal=signal.SIGINT)


class Watchdog:
    """What the hardware watchdog is on a board: bites a gateway whose heartbeat file, once there, stays the same for 8 s."""

    SECONDS = 8

    def __init__(self, child, heartbeat):
        self.child, self._path = child, Path(heartbeat)
        self.bitten = False
        self._last, self._since = None, time.monotonic()

    def look(self):
        """Call several times a second. True when it has bitten."""
        try:
            stamp = self._path.stat().st_mtime_ns
        except OSError:
            return False
        now = time.monotonic()
        if stamp != self._last:
            self._last, self._since = stamp, now
        elif now - self._since > self.SECONDS and not self.bitten and self.child.exit_code() is None:
            self.bitten = True
            self.child.signal(signal.SIGKILL)
        return self.bitten

    def cause(self):
        """The reset cause for the next start, once the child has ended."""
        if self.bitten:
            return "WATCHDOG"
        return "SOFT" if self.child.exit_code() == REBOOT else "HARD"


def install(root, build=HOST_BUILD):
    """Make `root` a private copy of what was built, unless that is what it was made from last. True when it was copied.

    An update that a gateway has put there stays as long as nothing new is built.
    """
    with open(build.parent / ".lock", "w") as lock:  # not while it is being built
        fcntl.flock(lock, fcntl.LOCK_EX)
        return _install(Path(root), build)


def _install(root, build):
    files = sorted(path for path in build.rglob("*") if path.is_file() and path.suffix != ".new")
    digest = hashlib.sha256()
    for path in files:
        digest.update(str(path.relative_to(build)).encode() + b"\0" + hashlib.sha256(path.read_bytes()).digest())
    stamp = root / ".installed"
    if stamp.exists() and stamp.read_text() == digest.hexdigest() and (root / "main.py").exists():
        return False
    shutil.rmtree(root, ignore_errors=True)
    for path in files:
        target = root / path.relative_to(build)
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(path, target)
    stamp.write_text(digest.hexdigest())
    return True
