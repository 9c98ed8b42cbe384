"""Under MicroPython: feed a recorded day of polls to history and energy, and print what they made of it as JSON.

Arguments: file of polls (six 32-bit words each: mV, mA, SoC 0.01 %, 0.1 C, lowest and highest cell mV), seconds between them.
"""

import gc
import json
import struct
import sys

sys.path.insert(0, ".")

from firmware import live as field
from firmware.history import reader
from tests.unit.help import new_directory
from tests.unit.history_parts import Rig

_POLL = 24


def main(path, seconds):
    rig = Rig(new_directory("day"))
    data = rig.live.data
    buffer = bytearray(_POLL)
    heap = []
    with open(path, "rb") as file:
        count = 0
        while file.readinto(buffer) == _POLL:
            (
                data[field.VOLTAGE],
                data[field.CURRENT],
                data[field.SOC],
                data[field.TEMP_EXT1],
                data[field.CELL_MIN],
                data[field.CELL_MAX],
            ) = struct.unpack("<6i", buffer)
            rig.poll(1000 * seconds)
            count += 1
            if count * seconds % 10 == 0:
                rig.history.tick()
                rig.energy.tick()
            if count * seconds % 3600 == 0:
                gc.collect()
                heap.append(gc.mem_alloc())
    archive = rig.history.archive
    result = {"heap": heap, "energy": rig.energy.report(rig.energy, rig.live), "errors": rig.log.lines}
    result["live"] = list(reader.live_samples(rig.history, 0))
    result["names"] = [name for name, _ in reader.ARCHIVE]
    for resolution in ("1m", "15m"):
        archived = reader.Archived(archive, reader.ring_of(archive, resolution))
        result[resolution] = [sample for sample in reader.archived_samples(archived, 0) if sample]
    state = rig.energy.state
    result["counters"] = [state[at] + state[at + 1] / 7_200_000 for at in (1, 3, 5, 7)]
    print(json.dumps(result))


main(sys.argv[1], int(sys.argv[2]))
