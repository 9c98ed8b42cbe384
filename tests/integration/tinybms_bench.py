"""A simulated TinyBMS on a line with a clock of its own, for tests; the recorded frames."""

import json
import struct
from pathlib import Path

from tools.tinybms_sim.battery import Battery
from tools.tinybms_sim.bms import TinyBms
from tools.tinybms_sim.control import Commands
from tools.tinybms_sim.line import Line
from tools.tinybms_sim.protocol import nack, seal, valid

ROOT = Path(__file__).parents[2]
DATA = json.loads((ROOT / "tests/data/tinybms_frames.json").read_text())
FRAMES = {frame["id"]: bytes.fromhex(frame["hex"]) for frame in DATA["frames"]}
DUMP = {int(r): w for r, w in DATA["register_dumps"][0]["words"].items()}


class Bench:
    """A BMS on a line with a clock of its own."""

    def __init__(self, words=None, firmware=254, lifetime=12_000_000, **battery):
        self.now = 1000.0
        self.sent = []
        self.battery = Battery(**battery)
        self.bms = TinyBms(self.battery, words, firmware, lifetime)
        self.line = Line(self.bms, lambda: self.now, lambda delay, data: self.sent.append((delay, data)))
        self.commands = Commands(self.line)

    def ask(self, *request):
        """What comes back for a request (without its CRC)."""
        return self.raw(seal(request))

    def raw(self, data):
        self.sent.clear()
        self.line.receive(bytes(data))
        return b"".join(data for _, data in self.sent)

    def read(self, address, count=1):
        reply = self.ask(0xAA, 0x03, address >> 8, address & 0xFF, 0, count)
        assert valid(reply) and reply[:3] == bytes((0xAA, 3, 2 * count)), reply.hex()
        return list(struct.unpack(f">{count}H", reply[3:-2]))

    def write(self, address, *words):
        """Through 0x10; True when taken."""
        data = struct.pack(f">BBHHB{len(words)}H", 0xAA, 0x10, address, len(words), 2 * len(words), *words)
        reply = self.raw(seal(data))
        assert reply in (seal(data[:6]), nack(0x10))
        return reply[1] == 0x10

    def run(self, seconds, tick=0.1):
        end = self.now + seconds - 1e-6
        while self.now < end:
            self.now += tick
            self.line.tick()

    def call(self, cmd, **options):
        reply = json.loads(self.commands.answer(json.dumps({"cmd": cmd, **options})))
        assert reply.pop("ok"), reply
        return reply
