"""The saved energy counters: read and written. Loaded for the moment."""

import binascii
import struct
from array import array
from firmware import live as field
from firmware.history.energy import IN_WH, OUT_WH, RECORDS, SEQUENCE, WORDS, YESTERDAY


def load(energy):
    """Fill `energy.state` from the newer file that is whole; zero, and nothing known, where there is none."""
    state, data = energy.state, energy.live.data
    best = None
    damaged = 0
    for name in "01":
        try:
            with open(energy.path + name, "rb") as file:
                text = file.read(4 * WORDS + 5)
        except OSError:
            continue
        found = _check(text)
        if found is None:
            damaged += 2 if text else 1
        elif best is None or found[SEQUENCE] > best[SEQUENCE]:
            best = found
    if best:
        state[:] = best
        data[field.ENERGY_IN] = state[IN_WH]
        data[field.ENERGY_OUT] = state[OUT_WH]
        energy.saved_wh = state[IN_WH] + state[OUT_WH]
        return
    if damaged > 1:  # one empty file alone: the first save found the disk full
        energy.log.error("energy", "the counters are damaged and start at zero")
    for i in range(RECORDS, WORDS):
        state[i] = field.ABSENT
    for i in range(4):
        state[YESTERDAY + i] = -1


def _check(text):
    """The words of a file, None when it is damaged."""
    if len(text) != 4 * WORDS + 4 or struct.unpack_from("<I", text, 4 * WORDS)[0] != binascii.crc32(text[:-4]):
        return None
    return array("i", text[:-4])


def save(energy):
    """Write the state; what fails is tried again later."""
    state = energy.state
    state[SEQUENCE] += 1
    text = bytes(state)
    try:
        with open(energy.path + "01"[state[SEQUENCE] & 1], "wb") as file:
            file.write(text + struct.pack("<I", binascii.crc32(text)))
    except OSError as error:
        state[SEQUENCE] -= 1  # the next try must not touch the good file
        if not energy.failing:
            energy.log.error("energy", "not saved: %s" % error)
        energy.failing = True
        return
    energy.failing = energy.changed = False
    energy.ticks = 0
    energy.saved_wh = state[IN_WH] + state[OUT_WH]
