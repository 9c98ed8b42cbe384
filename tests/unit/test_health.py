"""firmware/system/health.py: starts, exceptions kept, safe mode after three watchdog resets or crashes in ten minutes."""

import struct

from firmware.system.health import Health


class Board:
    """RTC memory of a machine that is reset again and again."""

    def __init__(self):
        self.memory = b"\xa5" * 512  # what lies there after power on
        self.cause = "POWER_ON"

    def reset_cause(self):
        return self.cause

    def kept(self):
        return self.memory

    def keep(self, data):
        assert len(data) <= 512
        self.memory = bytes(data)

    def ran(self, seconds):
        """As the supervisor does each 10 s."""
        kept = bytearray(self.kept())
        kept[0:4] = seconds.to_bytes(4, "little")
        self.keep(kept)

    def start(self, cause, after=0, forgive=None):
        """Reset after a run of so long; gives why it is safe mode."""
        self.ran(after)
        self.cause = cause
        return Health(self).begin(forgive)


def _started():
    board = Board()
    assert Health(board).begin() == ""
    return board


def test_first_start():
    board = _started()
    report = Health(board).report()
    assert report == {"boot_count": 1, "reset_cause": "POWER_ON", "last_exception": ""}


def test_nothing_is_kept_where_nothing_can_be():
    class Forgetful(Board):
        def kept(self):
            return None

    assert Health(Forgetful()).begin() == ""
    assert Health(Forgetful()).report()["boot_count"] == 0


def test_boots_are_counted_until_power_is_lost():
    board = _started()
    for cause in ("HARD", "WATCHDOG", "SOFT"):
        board.start(cause, 5000)
    assert Health(board).report()["boot_count"] == 4
    board.start("POWER_ON")
    assert Health(board).report()["boot_count"] == 1


def test_three_watchdog_resets_in_ten_minutes():
    board = _started()
    assert board.start("WATCHDOG", 50_000) == ""  # what was before the first one does not matter
    assert board.start("WATCHDOG", 200) == ""
    assert board.start("WATCHDOG", 390) == "three watchdog resets or crashes in 590 s"


def test_three_watchdog_resets_in_longer():
    board = _started()
    for after in (10, 300, 301, 300, 301):
        assert board.start("WATCHDOG", after) == ""
    assert board.start("WATCHDOG", 299) != ""


def test_a_crash_counts_as_a_watchdog_reset():
    """A configuration with which the start fails must not lock its owner out."""
    board = _started()
    for _ in range(3):
        Health(board).note("app", ValueError("pin"), True)
        safe = board.start("HARD", 5)
    assert safe == "three watchdog resets or crashes in 10 s"
    Health(board).note("bms", ValueError("one task"))
    assert board.start("HARD", 595) == ""


def test_a_reset_between_counts_only_its_time():
    board = _started()
    assert board.start("WATCHDOG", 10) == ""
    assert board.start("HARD", 100) == ""
    assert board.start("WATCHDOG", 100) == ""
    assert board.start("WATCHDOG", 100) == "three watchdog resets or crashes in 300 s"


def _safe():
    board = _started()
    for after in (10, 20, 30):
        safe = board.start("WATCHDOG", after)
    assert safe
    return board


def test_safe_mode_stays_until_somebody_restarts():
    board = _safe()
    assert board.start("HARD", 10)
    assert board.start("WATCHDOG", 10)
    Health(board).ask()
    assert board.start("HARD", 10) == ""  # machine.reset() of an ESP32 reads as HARD
    assert Health(board).report()["reset_cause"] == "SOFT"
    assert board.start("HARD", 10) == ""
    assert Health(board).report()["reset_cause"] == "HARD"


def test_safe_mode_ends_with_a_soft_reset_and_with_power():
    assert _safe().start("SOFT", 10) == ""
    assert _safe().start("POWER_ON", 10) == ""


def test_an_asked_restart_forgives():
    board = _started()
    board.start("WATCHDOG", 10)
    board.start("WATCHDOG", 10)
    Health(board).ask()
    board.start("HARD", 10)
    assert board.start("WATCHDOG", 10) == ""


def test_another_slot_begins_anew():
    board = _started()
    for after in (10, 20):
        board.start("WATCHDOG", after, lambda: 1 / 0)
    assert board.start("WATCHDOG", 30, lambda: True) == ""
    assert board.start("WATCHDOG", 30, lambda: True) == ""


def test_long_runs_do_not_overflow():
    board = _started()
    for _ in range(5):
        assert board.start("WATCHDOG", 4_000_000_000) == ""


def test_exceptions_are_kept_over_resets():
    board = _started()
    Health(board).note("bms", ValueError("x" * 300))
    board.start("WATCHDOG", 10)
    text = Health(board).report()["last_exception"]
    assert text.startswith("bms: ValueError: xxx") and len(text) == 160
    Health(board).note("can", OSError(5))
    assert Health(board).report()["last_exception"] == "can: OSError: [Errno 5] EIO"
    Health(board).note("é" * 100, OSError(5))
    assert Health(board).report()["last_exception"].startswith("é" * 79)
    board.start("POWER_ON")
    assert Health(board).report()["last_exception"] == ""


def test_damaged_memory():
    board = _started()
    Health(board).note("a", OSError(5))
    for memory in (b"", b"\0" * 14, b"\xff" * 512, board.memory[:15] + b"\xff\xfe"):
        board.memory = memory
        health = Health(board)
        assert health.begin() == "" and Health(board).report()["last_exception"] == ""
    assert struct.unpack_from("<H", board.memory, 4)[0] == 0x4254
