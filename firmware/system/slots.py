"""The slots of the application as boot.py keeps them: which one runs, which is on trial, which was given up. Loaded when asked.

slots.json: {"active": "slot_b", "trial": boots so far, "failed": {"slot", "version", "reason", "seen"}}. A new slot is on trial
until `confirm`; boot.py goes back to the other one after three boots without, or when its hashes are wrong.
"""

import json
import os
import sys

SLOTS = ("slot_a", "slot_b")


def _version(path):
    """The version in a manifest without loading all its hashes, "" when there is none."""
    try:
        with open(path) as file:
            text = file.read(400)
    except (OSError, ValueError):
        return ""
    _, found, rest = text.partition('"version"')
    words = rest.split('"', 2)
    return words[1] if found and len(words) > 2 else ""


class Slots:
    """`root_dir`: see the board.

    `running`, `idle`: "slot_a" or "slot_b"; started without boot.py nothing runs in a slot: "", and slot_a is idle.
    `trial`: True until the running slot is confirmed. `failed`: {"slot", "version", "reason"} of the slot that boot.py has given
    up last, or None.
    """

    def __init__(self, root_dir):
        self._root = root_dir
        self._state = self._read()
        self.running = ""
        for slot in SLOTS:
            if root_dir + "/" + slot in sys.path:
                self.running = slot
        self.idle = SLOTS[self.running == SLOTS[0]]
        self.trial = "trial" in self._state and self._state.get("active") == self.running
        self.failed = self._state.get("failed")

    def _read(self):
        try:
            with open(self._root + "/slots.json") as file:
                state = json.load(file)
            return state if isinstance(state, dict) else {}
        except (OSError, ValueError):
            return {}

    def _write(self, state):
        path = self._root + "/slots.json"
        with open(path + ".new", "w") as file:
            json.dump(state, file)
        os.rename(path + ".new", path)
        self._state = state

    def select(self, slot):
        """Make `slot` the one to start, on trial. What failed before is forgotten. Raises OSError."""
        if slot not in SLOTS:
            raise ValueError(slot)
        self._write({"active": slot, "trial": 0})

    def confirm(self):
        """The running slot is good: it stays. Raises OSError."""
        if self.trial:
            self._write({"active": self.running})
            self.trial = False
            self.failed = None

    def seen(self):
        """The application has told what failed: not again at the next start. Raises OSError."""
        if self.failed and not self.failed.get("seen"):
            self.failed["seen"] = True
            self._write(self._state)

    def manifest(self, slot):
        """manifest.json of a slot as a dict (20 KB of heap), None when there is none that can be read."""
        try:
            with open("%s/%s/manifest.json" % (self._root, slot)) as file:
                manifest = json.load(file)
            return manifest if isinstance(manifest, dict) else None
        except (OSError, ValueError):
            return None

    def version(self, slot):
        return _version("%s/%s/manifest.json" % (self._root, slot))

    def state(self):
        """What the API shows."""
        failed = self.failed
        return {
            "running": self.running,
            "trial": self.trial,
            "boots": self._state.get("trial", 0),
            "versions": {slot: self.version(slot) for slot in SLOTS},
            "failed": {key: failed.get(key, "") for key in ("slot", "version", "reason")} if failed else None,
        }
