"""tools/run.py: what it prints, what it starts, and that nothing of it stays."""

import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.integration.parts import Bus, http, wait_for
from tools.control import Control
from tools.processes import ROOT, install

READY = re.compile(r"TinyBMS-GW ready: (http://\S+:\d+)\n")


def family(pid):
    """Process ids of the descendants of `pid`."""
    parents = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                fields = (entry / "stat").read_text().rpartition(")")[2].split()
            except OSError:
                continue
            if fields[0] != "Z":
                parents[int(entry.name)] = int(fields[1])
    found, new = set(), {pid}
    while new:
        new = {child for child, parent in parents.items() if parent in new} - found
        found |= new
    return found


def alive(pids):
    """Those of `pids` that still run."""
    found = set()
    for pid in pids:
        try:
            if Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z":
                found.add(pid)
        except OSError:
            pass
    return found


class Run:
    """A `tools.run` in a directory of its own; `fake`: with a stand-in for the gateway."""

    def __init__(self, directory, fake=True, command=None):
        self.directory = directory
        self.environment = dict(os.environ)
        self.command = command or [sys.executable, "-m", "tools.run"]
        self.process, self.seen = None, set()
        if fake:
            stand_in = directory / "micropython"
            stand_in.write_text(f'#!/bin/sh\nexec "{sys.executable}" "{Path(__file__).parent}/fake_gateway.py" "$@"\n')
            stand_in.chmod(0o755)
            self.environment["MICROPYTHON"] = str(stand_in)

    def start(self, *arguments, port=0):
        arguments = ["--port", port, "--data", self.directory / "data", *arguments]
        with open(self.directory / "out", "wb") as out, open(self.directory / "err", "wb") as err:
            self.process = subprocess.Popen(
                [*self.command, *map(str, arguments)], cwd=ROOT, env=self.environment, stdout=out, stderr=err
            )
        return self

    @property
    def out(self):
        return (self.directory / "out").read_text()

    @property
    def err(self):
        return (self.directory / "err").read_text()

    def log(self, name="run"):
        return (self.directory / "data" / f"{name}.log").read_text()

    def ready(self, seconds=120):
        """Wait for the ready line; its URL."""

        def found():
            self.look()
            assert self.process.poll() is None, self.out + self.err
            return READY.search(self.out)

        self.url = wait_for(found, seconds, "the ready line")[1]
        return self.url

    def look(self):
        """Remember the processes there are, so that none is missed at the end."""
        self.seen |= family(self.process.pid)
        return self.seen

    def finished(self, seconds=20):
        """Wait for its end, give the exit code; no process of it is left."""
        code = self.process.wait(seconds)
        wait_for(lambda: not alive(self.seen), 5, f"the end of {self.seen}")
        return code

    def end(self):
        if self.process and self.process.poll() is None:
            self.look()
            self.process.kill()
            self.process.wait()
        for pid in alive(self.seen):
            os.kill(pid, signal.SIGKILL)


@pytest.fixture
def run(tmp_path, host_build):
    runs = []

    def make(**options):
        directory = tmp_path / f"run{len(runs)}"
        directory.mkdir()
        runs.append(Run(directory, **options))
        return runs[-1]

    yield make
    for one in runs:
        one.end()


def error_of(*arguments):
    """What a run that cannot start says: one line, exit code 2."""
    done = subprocess.run(
        [sys.executable, "-m", "tools.run", *map(str, arguments)], cwd=ROOT, capture_output=True, text=True, timeout=30
    )
    assert done.returncode == 2 and done.stdout == "" and done.stderr.count("\n") == 1, done
    return done.stderr


def test_bad_options(tmp_path):
    no_json, a_list = tmp_path / "no.json", tmp_path / "list.json"
    no_json.write_text("{")
    a_list.write_text("[]")
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        assert f"127.0.0.1:{port}: Address already in use" in error_of("--port", port)
    for arguments, text in (
        (["--uart", "/dev/no-such-tty"], "/dev/no-such-tty is not there"),
        (["--can", "slcan:/dev/no-such-tty"], "is not there"),
        (["--can", "/dev/null"], "slcan+socket://HOST:PORT or slcan:/dev/NAME is meant"),
        (["--uart", "socket://127.0.0.1"], "no port"),
        (["--config", tmp_path / "none.json"], "No such file"),
        (["--config", no_json], "no JSON"),
        (["--dump", a_list], "no JSON object"),
        (["--heap", "much"], "--heap much"),
        (["--heap", "1k"], "--heap 1k"),
        (["--port", "70000"], "0 to 65535"),
        (["--host", "no.such.host.invalid"], "cannot listen"),
        (["--scenario", "nonsense"], "invalid choice"),
        (["--data", "/proc/none"], "--data /proc/none"),
        (["--nonsense"], "unrecognized"),
    ):
        assert text in error_of("--port", 0, *arguments)


def test_help_names_the_scenarios():
    done = subprocess.run([sys.executable, "-m", "tools.run", "--help"], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0 and "weak-cell" in done.stdout and "--no-restart" in done.stdout


def test_prints_and_starts_what_it_should(run, tmp_path):
    one = run().start("--heap", "200k", "--no-restart")
    url = one.ready()
    lines = one.out.splitlines()
    assert lines[-1] == f"TinyBMS-GW ready: {url}" and len(lines) == 3
    uart, control = re.search(r"TinyBMS: (socket://\S+), control (socket://\S+)", lines[0]).groups()
    bus, bus_control = re.search(r"CAN bus: (slcan\+socket://\S+), control (socket://\S+)", lines[1]).groups()
    assert http(url + "/api/status").json == {"stand_in": True}
    start = http(url + "/start").json
    assert start["cwd"] == str(one.directory / "data" / "app") and "--no-restart" in start["argv"]
    assert start["argv"][1:4] == ["-X", "heapsize=200k", "main.py"]
    options = dict(zip(start["argv"][4:-1:2], start["argv"][5:-1:2]))
    assert options["--uart"] == uart and options["--can"] == bus and options["--data"] == str(one.directory / "data")
    model, hub = Control.from_url(control), Control.from_url(bus_control)
    assert "battery" in model.call("state")
    wait_for(lambda: [client["open"] for client in hub.call("state")["clients"]] == [True])
    watcher = Bus(bus)
    assert watcher.wait(0x307) == bytes.fromhex("1234567856494300")
    watcher.shutdown()
    assert len(one.look()) == 4
    one.process.send_signal(signal.SIGTERM)
    assert one.finished() == 0 and one.out.splitlines() == lines and one.err == ""


def test_given_ends_are_not_simulated(run):
    one = run().start("--uart", "socket://127.0.0.1:9", "--can", "slcan+socket://127.0.0.1:9")
    url = one.ready()
    assert one.out == f"TinyBMS-GW ready: {url}\n" and len(one.look()) == 1
    one.process.send_signal(signal.SIGINT)
    assert one.finished() == 0


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_nothing_stays(run, how):
    one = run().start()
    one.ready()
    assert len(one.look()) == 4
    one.process.send_signal(how)
    assert one.finished() == (-9 if how == signal.SIGKILL else 0)


def test_ends_while_it_starts(run):
    one = run().start()
    wait_for(lambda: "TinyBMS" in one.out, 30)
    one.look()
    one.process.send_signal(signal.SIGTERM)
    assert one.finished() == 0


def gateway_pid(url):
    try:
        return http(url + "/start", timeout=2).json["pid"]
    except OSError:
        return None


def test_restarts_when_asked_and_after_a_crash(run):
    one = run().start("--uart", "socket://127.0.0.1:9", "--can", "slcan+socket://127.0.0.1:9")
    url = one.ready()
    first = gateway_pid(url)
    http(url + "/exit/42")
    second = wait_for(lambda: gateway_pid(url), 20)  # at the same port
    assert second != first and one.err == "" and "asks for a restart" in one.log()
    os.kill(second, signal.SIGSEGV)
    third = wait_for(lambda: gateway_pid(url), 20)
    assert third != second and "gateway ended with -11, started again in 1 s" in one.err
    http(url + "/exit/3")
    killed = time.monotonic()
    wait_for(lambda: gateway_pid(url), 20)
    assert time.monotonic() - killed > 1.9 and "ended with 3, started again in 2 s" in one.err
    assert one.out == f"TinyBMS-GW ready: {url}\n"
    one.look()
    one.process.send_signal(signal.SIGTERM)
    assert one.finished() == 0


def test_a_gateway_that_does_not_start(run):
    one = run()
    one.environment["START_CODE"] = "1"
    one.start()
    assert one.process.wait(60) == 1
    assert "gateway ended with 1" in one.err and "gateway starts" in one.err


def test_a_simulator_that_dies_ends_it(run):
    one = run().start()
    one.ready()
    victim = next(p for p in one.look() if "tinybms_sim" in Path(f"/proc/{p}/cmdline").read_text())
    os.kill(victim, signal.SIGKILL)
    assert one.finished() == 1 and "tinybms_sim ended with -9" in one.err


def test_one_gateway_a_data_directory(run):
    one = run().start("--uart", "socket://127.0.0.1:9", "--can", "slcan+socket://127.0.0.1:9")
    one.ready()
    assert "another gateway uses it" in error_of("--port", 0, "--data", one.directory / "data")
    assert "ready" in one.log()


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_a_signal_to_make_alone(run, how, tmp_path):
    makefile = tmp_path / "Makefile"
    makefile.write_text(f"run:\n\t@exec {sys.executable} -m tools.run $(ARGS)\n")
    one = run(command=["make", "-s", "-f", str(makefile), "run"])
    data = one.directory / "data"
    ends = "--uart socket://127.0.0.1:9 --can slcan+socket://127.0.0.1:9"
    with open(one.directory / "out", "wb") as out:
        one.process = subprocess.Popen(
            [*one.command, f"ARGS=--port 0 --data {data} {ends}"], cwd=ROOT, env=one.environment, stdout=out
        )
    one.ready()
    assert len(one.look()) == 2
    one.process.send_signal(how)
    one.finished()
    assert "ended" in one.log()


def test_config_and_dump_reach_their_parts(run, tmp_path):
    dump, config = tmp_path / "dump.json", tmp_path / "config.json"
    dump.write_text(json.dumps({"36": 0, "50": 0x97}))
    config.write_text("{}")
    one = run().start("--dump", dump, "--config", config, "--speed", 5)
    url = one.ready()
    control = re.search(r"control (\S+)", one.out)[1]
    state = Control.from_url(control).call("state")
    assert state["dump"] is True and state["speed"] == 5
    argv = http(url + "/start").json["argv"]
    assert argv[argv.index("--config") + 1] == str(config)


def test_the_gateway_itself(run):
    one = run(fake=False).start()
    url = one.ready()
    status = wait_for(lambda: connected(url), 30, "the battery in /api/status")
    assert 0 < status["battery"]["soc_percent"] <= 100
    assert http(url + "/").status == 200
    watcher = Bus(re.search(r"CAN bus: (\S+),", one.out)[1])
    seen = {can_id for _, can_id, _ in watcher.listen(4)}
    assert {0x305, 0x306, 0x307, 0x351, 0x355, 0x356, 0x35A} <= seen
    model = Control.from_url(re.search(r"TinyBMS: \S+, control (\S+)", one.out)[1])
    assert model.call("state")["battery"] and "battery present" in one.log("gx_sim")
    pid = gateway_of(one)
    os.kill(pid, signal.SIGKILL)
    wait_for(lambda: connected(url), 30, "the battery after a crash")
    assert gateway_of(one) != pid and "gateway ended with -9" in one.err
    watcher.wait(0x351)
    watcher.shutdown()
    assert len(one.look()) >= 4 and len(one.out.splitlines()) == 3
    one.process.send_signal(signal.SIGINT)
    assert one.finished() == 0


def test_a_gateway_that_hangs(run):
    """The watchdog of a computer: the gateway is ended after 8 s without a heartbeat, and told so at its next start."""
    one = run(fake=False).start("--uart", "socket://127.0.0.1:9", "--can", "slcan+socket://127.0.0.1:9")
    url = one.ready()
    assert http(url + "/api/system/info").json["reset_cause"] == "POWER_ON"
    heartbeat = one.directory / "data" / "heartbeat"
    wait_for(heartbeat.exists, 15, "the watchdog")
    pid = gateway_of(one)
    os.kill(pid, signal.SIGSTOP)
    stopped = time.monotonic()
    wait_for(lambda: not alive({pid}), 30, "the watchdog to bite")
    assert time.monotonic() - stopped > 7
    info = wait_for(lambda: info_of(url), 30, "the next start")
    assert info["reset_cause"] == "WATCHDOG" and info["boot_count"] == 2 and info["safe_mode"] == ""
    assert "the gateway hangs" in one.err and "gateway started (WATCHDOG)" in one.log()
    http(url + "/api/system/restart", "POST", {"target": "gateway", "delay_ms": 200})
    wait_for(lambda: (found := info_of(url)) and found["reset_cause"] == "SOFT", 30, "the restart")


def info_of(url):
    try:
        return http(url + "/api/system/info", timeout=2).json
    except (OSError, ValueError):
        return None


def test_what_was_installed_stays_until_something_new_is_built(tmp_path):
    build, root = tmp_path / "build", tmp_path / "app"
    (build / "slot_a").mkdir(parents=True)
    (build / "main.py").write_text("1")
    (build / "slot_a" / "x").write_text("1")
    assert install(root, build) and (root / "slot_a" / "x").read_text() == "1"
    (root / "slots.json").write_text("an update")
    assert not install(root, build) and (root / "slots.json").exists()
    (build / "slot_a" / "x").write_text("2")
    assert install(root, build) and not (root / "slots.json").exists()
    assert (root / "slot_a" / "x").read_text() == "2"


def connected(url):
    """/api/status once it has the battery."""
    try:
        status = http(url + "/api/status", timeout=2).json
    except (OSError, ValueError):
        return None
    return status["battery"]["status"] != "DISCONNECTED" and status


def gateway_of(one):
    """Process id of the gateway."""
    return next(p for p in alive(one.look()) if "main.py" in Path(f"/proc/{p}/cmdline").read_text())
