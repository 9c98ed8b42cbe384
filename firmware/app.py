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
from firmware.system.tasks import Tasks
from firmware.lazy import seldom

VERSION = "0.1.0"

_SUPERVISE_MS = const(1000)
_IDLE_TURNS = const(10)  # seconds between looks at what is not used any more, and over which the load is measured
_HEAP_LOW = const(12 * 1024)  # below it somebody should know; optional work is refused earlier (http/web.py)
_BLOCK_LOW = const(4 * 1024)  # largest free block: the network needs more for a connection
_HEAP_AGAIN = const(4 * 1024)  # so much more, and the next warning may come


class App:
    """All parts of the gateway by name; parts that are not there are None."""

    version = VERSION

    @seldom
    def __init__(self, board):
        self.board = board
        self.log = logs.Log(board, board.console)
        self.bus = Bus()
        self.log.on_line = self._on_line
        self.live = Live(board)
        self.config = Config(board.data_dir, board.unique_id(), self.bus, board.check_pins)
        self.tasks = Tasks(board, self.log, self._crashed)
        self.bms = None
        self.can = None
        self.alerts = None
        self.history = None
        self.energy = None
        self.mqtt = None
        self.ota = None
        self.wifi = None
        self.portal = None  # net/portal.py while the access point is up
        self.ble = None  # net/ble.py where Bluetooth is configured
        self.http = None
        self.restart_due = None  # ticks at which the gateway restarts
        self.safe_mode = ""  # why only configuration, network, HTTP and update run
        self._confirm_in = board.confirm_s  # healthy seconds until this application is kept; 0: it is
        self._heap_warned = False

    def _on_line(self):
        self.bus.publish(topics.LOG)

    def event(self, name, data):
        """Publish a system event of the API."""
        self.bus.publish(topics.EVENT, (name, data))

    def _crashed(self, name, error):
        try:
            self.note(name, error)
        except Exception:  # no memory, as a rule: the task is to be started again all the same
            pass
        self.event("TASK_DIED", {"task": name, "error": "%s: %s" % (type(error).__name__, error)})

    def note(self, name, error, fatal=False):
        """Keep an exception over the next reset."""
        lazy.once("system.health").Health(self.board).note(name, error, fatal)

    def on_config(self, topic, keys):
        if "log.level" in keys:
            self.apply_log_level()
        self.event("CONFIG_SAVED", {"keys": list(keys)})

    def apply_log_level(self):
        self.log.level = logs.LEVELS.index(self.config.get("log.level"))

    async def serve(self):
        """The task of the HTTP server. Raises NotStartable."""
        await lazy.once("system.keep").listen(self)
        await self.http.run()

    # -- run ---------------------------------------------------------------------------------------------------------

    async def supervise(self):
        """Each second: feed the watchdog while the required tasks live, restart when asked."""
        board = self.board
        turn = 0
        while True:
            turn = (turn + 1) % _IDLE_TURNS
            if not turn:
                try:
                    self._look_after()
                except MemoryError:  # feeding must not wait for memory
                    gc.collect()
            if self.bus.last_error is not None:  # the bus spares the publisher; somebody has to say it
                self.log.error("bus", "a subscriber failed: %r" % self.bus.last_error)
                self.bus.last_error = None
            if self.tasks.healthy():
                board.feed()
                if self._confirm_in and self.http and not self.safe_mode:
                    self._confirm_in -= 1
                    if not self._confirm_in:
                        self._confirm_in = lazy.once("system.keep").confirm(self)
            elif self._confirm_in:
                self._confirm_in = board.confirm_s
            board.uptime_s()
            board.heap_free()
            if self.restart_due is not None and board.ticks_diff(board.ticks_ms(), self.restart_due) >= 0:
                self.restart_now()
            await asyncio.sleep_ms(_SUPERVISE_MS if self.restart_due is None else 50)

    def _look_after(self):
        self.config.idle()
        lazy.forget()
        lazy.drop("bms.catalogue")
        self.tasks.measure()
        self._keep_uptime()
        self._watch_heap()

    def _keep_uptime(self):
        """For system/health.py, which asks after the next reset how long this run has lasted."""
        kept = bytearray(self.board.kept())
        kept[0:4] = self.board.uptime_s().to_bytes(4, "little")
        self.board.keep(kept)

    def _watch_heap(self):
        free, block = self.board.heap_free(), self.board.largest_block()
        if free < _HEAP_LOW or block < _BLOCK_LOW:
            if not self._heap_warned:
                self._heap_warned = True
                self.log.warning("app", "heap is low: %d bytes free, largest block %d" % (free, block))
                self.event("HEAP_LOW", {"free_heap": free, "largest_free_block": block})
        elif free > _HEAP_LOW + _HEAP_AGAIN and block > _BLOCK_LOW + _HEAP_AGAIN:
            self._heap_warned = False

    def forget(self):
        """Give back what was only loaded for a moment: the heap is short."""
        self.config.release()
        lazy.forget()
        if self.alerts:
            self.alerts.forget()
        gc.collect()

    def restart(self, delay_ms):
        """Restart the gateway in `delay_ms` (0-60000). False where it may not (--no-restart): then only logged."""
        return lazy.once("system.keep").restart(self, delay_ms)

    def leave_bus(self):
        """Off the CAN bus: the controller survives a reset, and would run on while the clocks change."""
        if self.can:
            self.can.stop()

    def restart_now(self):
        self.leave_bus()
        try:
            lazy.once("system.keep").before_reset(self)
        finally:  # whatever fails
            self.board.reset()


async def run_all(app):
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
    app = App(board)
    try:
        asyncio.run(run_all(app))
    except Exception as error:
        app.note("app", error, True)
        raise
    finally:  # whatever ends us: a restart, an error, Ctrl-C
        app.leave_bus()
