"""Runs first on the board: picks the application slot, nothing else."""

import os
import sys

_SLOTS = ("slot_a", "slot_b")


def pick():
    """Put the first slot that is there in front of the import path."""
    here = sys.path[0] + "/" if sys.path and sys.path[0] not in ("", ".frozen") else ""
    for slot in _SLOTS:
        try:
            os.stat(here + slot + "/firmware")
        except OSError:
            continue
        sys.path.insert(0, here + slot)
        sys.path.insert(1, here + slot + "/lib")
        return slot
    raise RuntimeError("no application slot")


pick()
