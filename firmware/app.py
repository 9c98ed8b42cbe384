"""Builds every part, hands each what it needs, starts and supervises the tasks.

Order (DESIGN 5): only what the battery needs is imported and started first; the rest follows the first 0x351, or waits no longer
than _FIRST_FRAME_MS when there is none.
"""

import gc

gc.threshold(8192)  # before anything is allocated: a small heap must not be cut into pieces

import asyncio  # noqa: E402
import sys  # noqa: E402
from micropython import const  # noqa: E402
from firmware import bus as topics  # noqa: E402
from firmware.board import machine_board  # noqa: E402
from firmware.bus import Bus  # noqa: E402
from firmware.config.config import Config, ConfigError  # noqa: E402
from firmware.live import CVL, Live  # noqa: E402
from firmware.system import log as logs  # noqa: E402
from firmware.system.tasks import NotStartable, Tasks  # noqa: E402

VERSION = "0.1.0"

_FIRST_FRAME_MS = const(3000)
_STEP_MS = const(10)
_SUPERVISE_MS = const(1000)
_TICK_MS = const(10)  # of the CAN schedule, where a hardware timer drives it
_IDLE_TURNS = const(10)  # seconds after which unused parts of the configuration are forgotten


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
        self.resolver = None
        self.ota = None
        self.http = None
        self.restart_due = None  # ticks at which the gateway restarts

    def event(self, name, data):
        """Publish a system event of the API."""
        self.bus.publish(topics.EVENT, (name, data))

    def _crashed(self, name, error):
        self.event("TASK_DIED", {"task": name, "error": "%s: %s" % (type(error).__name__, error)})

    # -- start -------------------------------------------------------------------------------------------------------

    def load_config(self):
        try:
            self.config.load(self.board.initial_config)
        except ConfigError as error:  # only the initial file of a host can raise it: a person waits for the answer
            raise SystemExit("config: %s" % error)
        if self.config.problem:
            self.log.error("config", self.config.problem)
        self._apply_log_level()
        self.bus.subscribe(topics.CONFIG, self._on_config)

    def _on_config(self, topic, keys):
        if "log.level" in keys:
            self._apply_log_level()
        self.event("CONFIG_SAVED", {"keys": list(keys)})

    def _apply_log_level(self):
        self.log.level = logs.LEVELS.index(self.config.get("log.level"))

    def start_battery(self):
        """The required path: BMS, charge control, CAN."""
        from firmware.bms.bms import Bms
        from firmware.can.can import Can
        from firmware.can.charge import ChargeControl

        board, config = self.board, self.config
        board.prepare(config)
        self.bms = Bms(board.uart(config), self.live, self.bus, board, config, self.log)
        self.tasks.start("bms", self.bms.run, required=True)
        charge = ChargeControl(self.live, config, board)
        try:
            driver = board.can(config, self.log)
        except ValueError as error:
            driver = None
            self.log.error("can", "not started: %s" % error)
        self.can = Can(driver, self.live, self.bus, board, config, charge, self.log)
        self.tasks.start("can", self.can.run, required=True)
        if board.start_timer(_TICK_MS, self.can.schedule.tick):
            self.can.schedule.timer_driven = True

    async def first_frame(self):
        """Wait for the first 0x351, no longer than _FIRST_FRAME_MS."""
        for _ in range(_FIRST_FRAME_MS // _STEP_MS):
            if self.live.get(CVL) is not None:
                return
            await asyncio.sleep_ms(_STEP_MS)

    async def start_rest(self):
        """What may wait: HTTP and everything that is only looked at."""
        from firmware.alerts.alerts import Alerts
        from firmware.history.energy import Energy
        from firmware.history.history import History
        from firmware.http.server import Server
        from firmware.mqtt.mqtt import Mqtt
        from firmware.net.resolver import Resolver

        self.alerts = Alerts(
            self.live, self.bus, self.board, self.config, self.bms.events, self.can, self.log, self.board.data_dir
        )
        self.tasks.start("alerts", self.alerts.run)
        common = (self.live, self.bus, self.board, self.config, self.log, self.board.data_dir)
        self.history = History(*common)
        self.tasks.start("history", self.history.run)
        self.energy = Energy(*common)
        self.tasks.start("energy", self.energy.run)
        self.resolver = Resolver(self.board)
        self.mqtt = Mqtt(self, self.resolver)
        self.tasks.start("mqtt", self.mqtt.run)
        self.http = Server(self)
        self.tasks.start("http", self._serve, required=True)

    async def _serve(self):
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
            if self.tasks.healthy():
                board.feed()
            board.uptime_s()
            board.heap_free()
            if self.restart_due is not None and board.ticks_diff(board.ticks_ms(), self.restart_due) >= 0:
                self.restart_now()
            await asyncio.sleep_ms(_SUPERVISE_MS if self.restart_due is None else 50)

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
    app.load_config()
    app.log.info("app", "TinyBMS-GW %s on %s" % (VERSION, board.info()["chip"]))
    app.start_battery()
    app.tasks.start("supervisor", app.supervise, required=True)
    app.tasks.start("load", app.tasks.run)
    await app.first_frame()
    gc.collect()
    await app.start_rest()
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
