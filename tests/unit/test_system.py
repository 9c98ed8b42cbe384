import asyncio
from firmware.http.status import task_states
from firmware.http.system_api import log_lines
from firmware.system import keep
from firmware.system import log as logs
from firmware.system.log import Log
from firmware.system.tasks import NotStartable, Tasks
from tests.unit.help import FakeClock, FakeLog, raises


def test_log_keeps_the_newest_lines_in_order():
    log = Log(FakeClock())
    for n in range(100):
        log.info("test", "line %d" % n)
    lines = list(log_lines(log))
    assert len(lines) >= 40
    assert [line[3] for line in lines] == ["line %d" % n for n in range(100 - len(lines), 100)]
    assert lines[0][1:3] == ("info", "test")


def test_log_is_bounded_in_bytes():
    log = Log(FakeClock())
    for n in range(60):
        log.warning("tést", "%02d é " % n + "x" * 100)
    lines = list(log_lines(log))
    assert 10 <= len(lines) < 40 and lines[-1][3][:5] == "59 é " and lines[-1] == (
        1_700_000_000_000, "warning", "tést", "59 é " + "x" * 100,
    )  # fmt: skip
    assert [int(line[3][:2]) for line in lines] == list(range(60 - len(lines), 60))


def test_log_that_finds_no_memory_keeps_whole_lines():
    class Kept:
        """Room for lines, and no memory for the last step."""

        def __init__(self, kept):
            self.kept = kept

        def __getitem__(self, at):
            return self.kept[at]

        def __setitem__(self, at, value):
            if isinstance(value, bytes):
                raise MemoryError
            self.kept[at] = value

    log = Log(FakeClock())
    for n in range(100):
        log.info("test", "line %d" % n)
    kept, log.kept = log.kept, Kept(log.kept)
    raises(MemoryError, log.info, "test", "x" * 100)
    log.kept = kept
    lines = [line[3] for line in log_lines(log)]
    assert lines == ["line %d" % n for n in range(100 - len(lines), 100)] and len(lines) > 20
    log.info("test", "again")
    assert [line[3] for line in log_lines(log)][-2:] == ["line 99", "again"]


def test_log_level_and_length():
    log = Log(FakeClock(), level=logs.WARNING)
    log.info("test", "not kept")
    log.error("test", "x" * 500)
    lines = list(log_lines(log))
    assert len(lines) == 1 and len(lines[0][3]) == 120


def test_log_listener_that_logs_does_not_recurse():
    log = Log(FakeClock())
    log.on_line = lambda: log.info("listener", "again")
    log.info("test", "one")
    assert len(list(log_lines(log))) == 2


async def test_dead_task_is_restarted_and_reported():
    crashes = []
    runs = []

    async def fragile():
        runs.append(1)
        if len(runs) == 1:
            raise ValueError("once")
        await asyncio.sleep(60)

    log = FakeLog()
    tasks = Tasks(FakeClock(), log, lambda name, error: crashes.append((name, str(error))))
    tasks.start("fragile", fragile, required=True)
    await asyncio.sleep_ms(50)
    assert crashes == [("fragile", "once")]
    assert not tasks.healthy()
    assert task_states(tasks) == [("fragile", "Suspended")]
    await asyncio.sleep_ms(1200)
    assert len(runs) == 2 and tasks.healthy()
    assert task_states(tasks) == [("fragile", "Blocked")]


async def test_dead_task_that_cannot_be_reported_is_restarted():
    runs = []

    async def fragile():
        runs.append(1)
        if len(runs) == 1:
            raise ValueError("once")
        await asyncio.sleep(60)

    def no_room(name, error):
        raise MemoryError

    log = FakeLog()
    log.error = no_room
    tasks = Tasks(FakeClock(), log)
    tasks.start("fragile", fragile, required=True)
    await asyncio.sleep_ms(50)
    assert not tasks.healthy() and tasks.entries[0].crashes == 1
    await asyncio.sleep_ms(1200)
    assert len(runs) == 2 and tasks.healthy()


async def test_part_that_cannot_start_is_reported_not_retried():
    runs = []

    async def hopeless():
        runs.append(1)
        raise NotStartable("pin 6 is flash")

    tasks = Tasks(FakeClock(), FakeLog())
    tasks.start("hopeless", hopeless, required=True)
    await asyncio.sleep_ms(1200)
    assert len(runs) == 1
    assert tasks.problems() == [("hopeless", "pin 6 is flash")]
    assert tasks.healthy()  # a restart would not mend it


def test_what_cannot_be_written_before_a_reset_keeps_nothing_else_from_it():
    done = []

    class Part:
        def __init__(self, fails):
            self.fails = fails

        def stop(self):
            done.append(self.fails)
            if self.fails:
                raise OSError(28)

    class Board:
        def kept(self):
            return b""

        def keep(self, data):
            done.append("kept")

    class App:
        history = Part(True)
        energy = Part(False)
        board = Board()
        log = FakeLog()

    keep.before_reset(App)
    assert done[:2] == [True, False]
    assert [text for level, _, text in App.log.lines if level == "error"][0].startswith("before the reset: OSError")
