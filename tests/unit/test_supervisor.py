"""firmware/app.py without its parts: the heap is watched, and whatever ends the gateway takes it off the CAN bus."""

from firmware import app as module
from firmware.app import App
from tests.unit.help import FakeLog, raises


class Board:
    free, block = 100_000, 50_000
    memory = b"\x01\x02\x03\x04 and more"
    up = 0x10203

    def heap_free(self):
        return self.free

    def largest_block(self):
        return self.block

    def uptime_s(self):
        return self.up

    def kept(self):
        return self.memory

    def keep(self, data):
        self.memory = bytes(data)


class Supervised:
    """What the methods of App use."""

    def __init__(self, board=None):
        self.board = board or Board()
        self.log = FakeLog()
        self.events = []
        self._heap_warned = False

    def event(self, name, data):
        self.events.append((name, data))


def test_low_heap_is_told_once():
    app = Supervised()
    for free, block, events in (
        (100_000, 50_000, 0),
        (12_000, 50_000, 1),
        (11_000, 50_000, 1),
        (13_000, 50_000, 1),  # not yet enough to warn again
        (11_000, 50_000, 1),
        (17_000, 50_000, 1),
        (11_000, 50_000, 2),
        (100_000, 50_000, 2),
        (100_000, 4_000, 3),
        (100_000, 3_000, 3),
    ):
        app.board.free, app.board.block = free, block
        App._watch_heap(app)
        assert len(app.events) == len(app.log.lines) == events, (free, block)
    assert app.events[0] == ("HEAP_LOW", {"free_heap": 12_000, "largest_free_block": 50_000})


def test_uptime_is_kept_before_what_else_is_kept():
    app = Supervised()
    App._keep_uptime(app)
    assert app.board.memory == b"\x03\x02\x01\x00 and more"
    app.board.memory = b""
    App._keep_uptime(app)
    assert app.board.memory == b"\x03\x02\x01\x00"


class _Ending:
    """Stands for the App whose run ends."""

    log = []

    def __init__(self, board):
        pass

    def note(self, name, error, fatal):
        self.log.append(("note", name, str(error), fatal))

    def leave_bus(self):
        self.log.append("left")


def test_whatever_ends_it_the_bus_is_left():
    kept = module.machine_board, module.App, module.run_all
    _Ending.log.clear()
    module.machine_board = lambda argv: None
    module.App = _Ending
    try:
        for error in (ValueError("x"), SystemExit(42), KeyboardInterrupt()):

            async def run(app, error=error):
                raise error

            module.run_all = run
            raises(type(error), module.main, [])
    finally:
        module.machine_board, module.App, module.run_all = kept
    assert _Ending.log == [("note", "app", "x", True), "left", "left", "left"]
