"""Runs first on the board: picks the application slot, nothing else. Never updated over the air.

The board runs this file and then main.py, both with the names of one module; a computer runs main.py, which imports it.
Only main.py calls `Picker().pick()`: a tool that stops main.py and has the board read this file again (mpremote does)
counts no boot of a slot on trial.

A file `maintenance` beside this one is removed and nothing is started: the prompt stays, without a watchdog, so that files can be
copied. State lies in slots.json, {"active": "slot_b", "trial": 1, "failed": {"slot", "version", "reason"}}: `trial` is there
until the slot has confirmed itself (firmware/system/slots.py) and counts its boots. It is written beside and renamed, so that a
power cut leaves the old state or the new one.
"""

import binascii
import gc
import hashlib
import json
import os
import sys
import time

# Of a slot that is not on trial only so much time is spent on hashes: all of it on a computer, on a board what the CAN side
# needs at the start, because the first 0x351 is due 3 s after a reset. Files looked at first:
_QUICK_MS = 250
_FIRST = (
    "firmware/_",
    "firmware/app.",
    "firmware/start.",
    "firmware/board",
    "firmware/bms",
    "firmware/can",
    "firmware/config",
)
_HANG_MS = 30_000  # a slot on trial that hangs before it has started its own watchdog


def _taken(path):
    """True when the file was there; it is gone then."""
    try:
        os.remove(path)
    except OSError:
        return False
    return True


# Without a slash at the end: "" on a board
root = "" if sys.platform == "esp32" else (sys.path[0] or os.getcwd()).rstrip("/")
maintenance = _taken(root + "/maintenance")


class Picker:
    """The choice of the slot below the directory `root`."""

    SLOTS = ("slot_a", "slot_b")
    TRIALS = 3

    def __init__(self, root=root):
        self.root = root

    def pick(self):
        """Put a sound slot in front of the import path and give its name; with both bad, run the rescue page for ever."""
        state = self.state()
        slot = state["active"]
        other = self.SLOTS[slot == self.SLOTS[0]]
        fault = self.trial(state) if "trial" in state else self.fault(slot, _QUICK_MS)
        if fault:
            others = self.fault(other)
            if others:
                return self.rescue({slot: fault, other: others}, other)
            failed = {"slot": slot, "version": self.version(slot), "reason": fault}
            slot = other
            try:
                self.save({"active": slot, "failed": failed})
            except OSError:  # no room: the choice is made again at the next start
                pass
        path = self.root + "/" + slot
        sys.path.insert(0, path)
        sys.path.insert(1, path + "/lib")
        return slot

    # -- state ---------------------------------------------------------------------------------------------------------

    def state(self):
        """What slots.json says; the first slot when it says nothing that makes sense."""
        try:
            with open(self.root + "/slots.json") as file:
                state = json.load(file)
            if state["active"] in self.SLOTS and type(state.get("trial", 0)) is int:
                return state
        except (OSError, ValueError, KeyError, TypeError, AttributeError):
            pass
        return {"active": self.SLOTS[0]}

    def save(self, state):
        path = self.root + "/slots.json"
        with open(path + ".new", "w") as file:
            json.dump(state, file)
        os.rename(path + ".new", path)

    def trial(self, state):
        """Count this boot of a slot on trial; why it is given up, else ""."""
        if state["trial"] >= self.TRIALS:
            return "not confirmed in %d boots" % self.TRIALS
        state["trial"] += 1
        try:
            self.save(state)
        except OSError as error:
            return "its boots cannot be counted: %s" % error
        fault = self.fault(state["active"])
        if not fault and sys.platform == "esp32":  # not before: the rescue page does not feed it
            import machine

            machine.WDT(timeout=_HANG_MS)
        return fault

    # -- hashes --------------------------------------------------------------------------------------------------------

    def fault(self, slot, limit_ms=0):
        """What is wrong with a slot, "" when its files are those of its manifest. `limit_ms`: look no longer, 0: at all."""
        start = time.ticks_ms()
        try:
            with open(self.root + "/" + slot + "/manifest.json") as file:
                files = json.load(file)["files"]
            names = sorted(files, key=self.rank)
            if not names:
                return "manifest.json is empty"
            buf = bytearray(2048)
            for name in names:
                fault = self.look(slot + "/" + name, files[name], buf)
                if fault:
                    return name + fault
                if limit_ms and time.ticks_diff(time.ticks_ms(), start) > limit_ms:
                    break
        except OSError:
            return "no manifest.json"
        except (ValueError, KeyError, TypeError, IndexError, AttributeError):
            return "manifest.json is damaged"
        finally:
            gc.collect()
        return ""

    @staticmethod
    def rank(name):
        for i, first in enumerate(_FIRST):
            if name.startswith(first) and name.endswith(".mpy"):
                return "%d%s" % (i, name)
        return "9" + name

    def look(self, path, wanted, buf):
        """What is wrong with a file, "" when it has the hash [hex digits, size] that is wanted."""
        digest = hashlib.sha256()
        view = memoryview(buf)
        size = 0
        try:
            with open(self.root + "/" + path, "rb") as file:
                while count := file.readinto(buf):
                    digest.update(view[:count])
                    size += count
        except OSError:
            return " is missing"
        if size != wanted[1]:
            return " has %d bytes instead of %d" % (size, wanted[1])
        return "" if binascii.hexlify(digest.digest()).decode() == wanted[0] else " has the wrong hash"

    def version(self, slot):
        """The version of a slot, "" where it is not known."""
        try:
            with open(self.root + "/" + slot + "/manifest.json") as file:
                return str(json.load(file)["version"])
        except (OSError, ValueError, KeyError, TypeError):
            return ""

    # -- both bad ------------------------------------------------------------------------------------------------------

    def rescue(self, faults, target):
        """Serve the page that takes an update into the slot `target`. `faults`: {slot: what is wrong with it}."""
        sys.path.insert(0, self.root or "/")
        import rescue

        rescue.run(self.root, faults, target)
