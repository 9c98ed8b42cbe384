"""All parts of the gateway, and the supervisor of their tasks. `start` builds the parts; it runs once and is forgotten."""

import asyncio
import gc
import sys
from micropython import const
from firmware import bus as topics
from firmware import lazy
from firmware.board import machine_board
from firmware.bus import Bus
from firmware.config.config import Config
from firmware.live import Live
from firmware.system import log as logs
from firmware.system.tasks import NotStartable, Tasks

VERSION = "0.1.0"

_SUPERVISE_MS = const(1000)
_IDLE_TURNS = const(10)  # seconds between looks at what is not used any more, and over which the load is measured


class App:
    """All parts of the gateway by name; parts that are not there are None."""

    version = VERSION

    def __init__(self, board):
        self.board = board
        self.log = logs.Log(board, board.console)
        self.bus = Bus()
        self.log.on_line = lambda: self.bus.publish(topics.LOG)
        self.live = Live(board)
        self.config = Config(board.data_dir, board.unique_id(), self.bus)
        self.tasks = Tasks(board, self.log, self._crashed)
        self.bms = None
        self.can = None
        self.alerts = None
        self.history = None
        self.energy = None
        self.mqtt = None
        self.ota = None
        self.http = None
        self.restart_due = None  # ticks at which the gateway restarts

    def event(self, name, data):
        """Publish a system event of the API."""
        self.bus.publish(topics.EVENT, (name, data))

    def _crashed(self, name, error):
        self.event("TASK_DIED", {"task": name, "error": "%s: %s" % (type(error).__name__, error)})

    def on_config(self, topic, keys):
        if "log.level" in keys:
            self.apply_log_level()
        self.event("CONFIG_SAVED", {"keys": list(keys)})

    def apply_log_level(self):
        self.log.level = logs.LEVELS.index(self.config.get("log.level"))

    async def serve(self):
        """The task of the HTTP server."""
        board = self.board
        try:
            await self.http.start(board.http_host, board.http_port)
        except OSError as error:
            raise NotStartable("cannot listen on %s:%d: %s" % (board.http_host, board.http_port, error))
        board.announce("http %s:%d" % (board.http_host, self.http.port))
        await self.http.run()

    # -- run ---------------------------------------------------------------------------------------------------------

    async def supervise(self):
        """Each second: feed the watchdog while the required tasks live, restart when asked."""
        board = self.board
        turn = 0
        while True:
            turn = (turn + 1) % _IDLE_TURNS
            if not turn:
                self.config.idle()
                lazy.drop("bms.catalogue")
                self.tasks.measure()
            if self.bus.last_error is not None:  # the bus spares the publisher; somebody has to say it
                self.log.error("bus", "a subscriber failed: %r" % self.bus.last_error)
                self.bus.last_error = None
            if self.tasks.healthy():
                board.feed()
            board.uptime_s()
            board.heap_free()
            if self.restart_due is not None and board.ticks_diff(board.ticks_ms(), self.restart_due) >= 0:
                self.restart_now()
            await asyncio.sleep_ms(_SUPERVISE_MS if self.restart_due is None else 50)

    def forget(self):
        """Give back what was only loaded for a moment: the heap is short."""
        self.config.release()
        if self.alerts:
            self.alerts.forget()
        gc.collect()

    def restart(self, delay_ms):
        """Restart the gateway in `delay_ms` (0-60000). False where it may not (--no-restart): then only logged."""
        if not self.board.may_restart:
            self.log.warning("app", "restart asked for, not done (--no-restart)")
            return False
        self.log.warning("app", "restarting in %d ms" % delay_ms)
        self.restart_due = self.board.ticks_add(self.board.ticks_ms(), delay_ms)
        return True

    def restart_now(self):
        self.can.stop()  # off the bus before the clocks change
        for part in (self.history, self.energy):
            if part:
                part.stop()  # writes what would be lost
        self.board.reset()


async def run(board):
    app = App(board)
    await lazy.load("start").everything(app)
    lazy.drop("start")
    while True:
        await asyncio.sleep(3600)


def main(argv):
    """Never returns; on a host, raises SystemExit for options that are no good, or to be started again."""
    try:
        board = machine_board(argv)
    except ValueError as error:
        sys.stderr.write("tinybms-gw: %s\n" % error)
        raise SystemExit(2)
    asyncio.run(run(board))
