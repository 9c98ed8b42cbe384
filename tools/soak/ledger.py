"""Each reply to "read registers 0-55" and what the gateway made of it, one by one. Under MicroPython.

It stands between the BMS (ends.py), which knows what it has sent, and the live snapshot, where the gateway counts: so a poll
that counted but must not have (damaged, implausible, twice, the settings refused or not read again after a loss) is seen at
once, and so is a good one that did not count, unless it is one of three cases with a name.
"""

_STALE_MS = 5_000
_REPLY_MS = 12
_AFTER_LINE_MS = 3_000  # what a damaged reply has left in the parser lasts no longer


class Ledger:
    """`bad(text)` is told what must not be. All times are simulated ms."""

    def __init__(self, waits, bad):
        self.waits = waits
        self.bad = bad
        self.good = 0  # whole and plausible replies that were sent
        self.lost = {
            "line": 0,
            "late": 0,
            "cut": 0,
        }  # of those, not counted: behind noise; after a loss; the end came first
        self.good_at = 0  # the last good reply counted
        self.settings_at = 0  # the last settings were taken
        self.settings_fit = False  # what the last reply with settings said may be
        self.refused = True  # the gateway must not count polls: it has not read the settings, or they cannot be
        self.spoilt_at = 0  # the line was bad
        self._open = False  # a good reply may still be counted
        self._reason = ""  # why it need not be

    def watch(self, live):
        """A new gateway counts in `live`."""
        good_poll, settings_read = live.good_poll, live.settings_read

        def counts():
            self._counted()
            good_poll()

        def reads():
            self._settings_taken()
            settings_read()

        live.good_poll, live.settings_read = counts, reads
        self.refused = True

    def doubtful(self):
        """Nobody can say what the gateway makes of the line now."""
        return self.waits.now - self.spoilt_at < _AFTER_LINE_MS

    def reply(self, told):
        """A good reply is on its way; `told()` once it has counted."""
        self.settle()
        self.good += 1
        self._told = told
        self._open = True
        age = self.waits.now + _REPLY_MS - self.good_at
        # 5 s without a good poll: a reply that comes then is the first of a battery that has to qualify again
        self._reason = "line" if self.doubtful() else "late" if age >= _STALE_MS - 50 else ""

    def settle(self, reason=""):
        """The reply before is history: another request, or `reason`, "cut"."""
        if self._open:
            self._open = False
            reason = reason or self._reason or ("line" if self.doubtful() else "")
            if reason:
                self.lost[reason] += 1
            else:
                self.bad("a good reply did not count")

    def ended(self):
        """The gateway has ended, or its adapter is gone."""
        self.settle("cut")

    def _counted(self):
        now = self.waits.now
        if not self._open:
            self.bad("a poll counted that had no good reply")
        elif self.refused:
            self.bad("a poll counted while no settings hold")
        elif now - self.good_at > _STALE_MS + 50 and self.settings_at < self.good_at:
            self.bad("a poll counted %d ms after the last, settings not read again" % (now - self.good_at))
        if self._open:
            self._open = False
            self.good_at = now
            self._told()

    def _settings_taken(self):
        if self.settings_fit:
            self.refused = False
            self.settings_at = self.waits.now
        else:
            self.bad("settings taken that cannot be")
