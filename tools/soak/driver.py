"""Runs under MicroPython (started by tools.soak): the whole gateway for so many simulated days. Prints JSON lines.

Arguments: days, seed, a directory for its files, and words: `nofaults`, `noclients` leave that out, `nokills`
the ends of the gateway; `mqtt`: the broker is there all the time, else one hour of eight; `verbose`: a line each hour;
`minutes=N`: it ends after so long, complete or not.
"""

import asyncio
import gc
import json
import random
import sys
import time

from tools.soak.clock import Waits, outside
from tools.soak.net import Net, Select

waits = Waits()
net = Net()
sys.modules["socket"] = net  # before anything of the gateway is loaded
sys.modules["select"] = Select

from firmware import lazy  # noqa: E402
from firmware.app import App, run_all  # noqa: E402
from tools.soak import clients as people, faults  # noqa: E402
from tools.soak.board import SoakBoard, empty  # noqa: E402
from tools.soak.checks import Checks  # noqa: E402
from tools.soak.ends import BmsPort  # noqa: E402
from tools.soak.files import Disk  # noqa: E402
from tools.soak.ledger import Ledger  # noqa: E402
from tools.soak.plant import Pack  # noqa: E402

_EPOCH_MS = 1_767_225_600_000  # 2026-01-01
_DAY_MS = 86_400_000
_CONFIG = {
    "mqtt": {"broker_uri": "mqtt://10.0.0.2", "commands": {"limits": True, "acknowledge": True}},
    "uart": {"poll_interval_ms": 1000},
    "alerts": {"soc_low_enabled": True, "soc_min_percent": 30, "debounce_sec": 60},
    "system": {"language": "en"},
}


class Sim:
    def __init__(self, days, seed, directory, words):
        random.seed(seed)
        self.days, self.words = days, words
        self.minutes = max([float(word[8:]) for word in words if word.startswith("minutes=")] or [1e6])
        self.data = directory + "/data"
        self.initial = directory + "/config.json"
        with open(self.initial, "w") as file:
            json.dump(_CONFIG, file)
        self.waits, self.net = waits, net
        self.began = waits.now
        self.cause, self.kept, self.fed = "POWER_ON", b"", waits.now
        self.asked = self.gx = True
        self.pack = Pack(waits.now)
        self.checks = Checks(self)
        self.ledger = Ledger(waits, self.checks.bad)
        self.port = BmsPort(waits, self.pack, self.ledger, lambda: self.app.bms._poller._tx_settings)
        self.driver = self.app = None
        self.disk = Disk()
        self.disk_at = waits.now
        self.broker = people.Broker(net)
        self.clients = people.Clients(net, lambda: self.app.http.port if self.app and self.app.http else 0, self.disk)
        self.sockets = people.SOCKETS
        self.faults, self.running = {}, []
        self.disturbed = 0  # faults that 0x351 may notice and that last now
        self.calm_since = waits.now + 60_000
        self.fault_at = 0
        self.kills = self.restarts = self.written = 0

    def hours(self):
        return (waits.now - self.began) / 3_600_000

    def epoch_ms(self):
        return _EPOCH_MS + waits.now - self.began

    def say(self, text):
        print(json.dumps({"text": text}))

    def calm_after(self, ms):
        self.calm_since = max(self.calm_since, waits.now + ms)

    def allows(self, line):
        """May the log say this, although it is on the list of what must never be?"""
        return False

    # -- the gateway ---------------------------------------------------------------------------------------------------

    def start(self):
        self.asked = False
        SoakBoard.sim = self
        board = SoakBoard(["--data", self.data, "--config", self.initial, "--host", "10.0.0.1", "--port", "80"])
        self.app = App(board)
        self.ledger.watch(self.app.live)
        asyncio.create_task(run_all(self.app))
        asyncio.create_task(self._ntp(board))
        self.calm_after(30_000)

    async def _ntp(self, board):
        await asyncio.sleep(random.randrange(2, 40))
        while net.down:
            await asyncio.sleep(10)
        if not board.time_valid:
            board.set_epoch_ms(self.epoch_ms(), "ntp")

    async def kill(self, cause):
        """End it without a word, start it again."""
        if not self.app or self.asked:
            return
        self.kills += 1
        await self._again(cause, random.choice((1, 3, 20)))

    async def _again(self, cause, seconds):
        """End, wait, start; and see what that took of the energy counters."""
        checks = self.checks
        before = checks.counted() if self.app.energy else None
        self._end(cause)
        await asyncio.sleep(seconds)
        self.start()
        for _ in range(3000):
            if self.app.energy:
                break
            await asyncio.sleep_ms(20)
        else:
            checks.bad("no energy counter after a start")
            return
        if before is None:  # ended before it was there: nothing was counted
            return
        after = checks.counted()
        lost = [before[n] - after[n] for n in range(2)]
        for n in range(2):
            checks.loss[n] += lost[n]
        if not self.disk.fault and waits.now - self.disk_at > 1_300_000:
            checks.worst_loss = max(checks.worst_loss, sum(lost))
            if sum(lost) > 40:
                checks.bad("a kill lost %.1f Wh" % sum(lost))

    def _end(self, cause):
        self.checks.add_counters()
        self.cause, self.asked = cause, False
        waits.forget_tasks()
        empty(self.app)
        self.app = None
        net.cut()
        self.port.reader = None
        self.port.cut()
        self.pack.gap()
        for name in [name for name in sys.modules if name.startswith("firmware.")]:
            leaf = name[9:]
            if leaf == "start" or leaf.startswith(("http.", "mqtt.")) and leaf != "mqtt.mqtt":
                lazy.drop(leaf)
        gc.collect()

    # -- the others ----------------------------------------------------------------------------------------------------

    async def look(self):
        """Each second: has it asked for its restart? Each minute and hour: the checks. Each day: a line."""
        minute = hour = day = waits.now
        wall = time.ticks_ms()
        end = time.time() + self.minutes * 60
        while waits.now - self.began < self.days * _DAY_MS and time.time() < end:
            await asyncio.sleep(1)
            now = waits.now
            if self.disturbed:
                self.calm_after(1)
            if self.asked and self.app:
                self.restarts += 1
                await self._again("SOFT", 1)
            if not self.app:
                continue
            if now - minute >= 60_000:
                minute = now
                if not self.disturbed and now > self.calm_since:
                    self.checks.minute()
            if now - hour >= 3_600_000:
                hour = now
                self.checks.hour()
            if now - day >= _DAY_MS:
                day = now
                seconds, wall = time.ticks_diff(time.ticks_ms(), wall) / 1000, time.ticks_ms()
                self.say(
                    "day %d: %.0f s, heap %d KB, %d polls, %d frames, %d MQTT, %d faults, %d kills, SoC %.0f %%, wrong %d"
                    % (round(self.hours() / 24), seconds, self.checks.allocated // 1024, self.port.fast_asked,
                       self.checks.frames, self.broker.messages, sum(self.faults.values()), self.kills + self.restarts,
                       self.pack.mas / 10080 / 1000, self.checks.count)
                )  # fmt: skip

    async def ask(self):
        """Somebody looks at the gateway now and then."""
        await self.clients.set_password()
        while True:
            await asyncio.sleep(random.randrange(20, 180))
            await self.clients.ask(random.choice(people.PATHS))

    async def main(self):
        self.start()
        outside(self.broker.run())
        if "mqtt" not in self.words:
            outside(self.broker.keep_hours(1, 7))
        if "noclients" not in self.words:
            outside(self.ask())
        if "nofaults" not in self.words:
            outside(faults.run(self))
        await outside(self.look())
        self.checks.add_counters()
        return self.report()

    def report(self):
        checks = self.checks
        return {
            "days": self.hours() / 24, "heap": checks.heap(), "errors": checks.errors,
            "wrong": checks.count + len(self.clients.wrong), "answers_wrong": self.clients.wrong[:20],
            "wraps": (waits.now - self.began - 20_000 + (1 << 30)) >> 30, "polls": self.port.fast_asked,
            "requests": self.port.requests, "good_sent": self.ledger.good, "good_lost": self.ledger.lost, "counts": checks.counts,
            "frames": checks.frames, "gaps": [checks.gaps, checks.gap_min, checks.gap_max, checks.off_grid],
            "stale_frames": checks.stale_frames, "files": checks.sizes, "disk": [self.disk.writes, self.disk.failed],
            "energy": [self.pack.wh_in, self.pack.wh_out], "loss": checks.loss, "worst_loss": checks.worst_loss,
            "counted": checks.counted(), "faults": self.faults, "kills": self.kills, "restarts": self.restarts,
            "written": self.written, "mqtt": [self.broker.messages, self.broker.connections, self.broker.broken],
            "answers": self.clients.answers, "unanswered": self.clients.lost, "unstored": self.clients.unstored,
            "ws": self.clients.messages,
            "log_errors": checks.expected_lines,
        }  # fmt: skip


def main(days, seed, directory, *words):
    gc.threshold(256 * 1024)
    sim = Sim(float(days), int(seed), directory, words)
    result = asyncio.run(sim.main())
    print(json.dumps(result))


main(*sys.argv[1:])
