"""Runs under the webassembly port (tools/wasm.py): the whole gateway on the ESP32's board, with a battery and a CAN of the tests.

`order()` gives the modules in the order in which they were there, those first that others need.
"""

import asyncio
import builtins
import sys
from array import array

_import = builtins.__import__
_order = []
_OURS = ("firmware", "microdot", "aioble")
_QUIET_MS = 5500
_BLOCK = 16  # bytes of heap


def _watch(name, *rest):
    if name in sys.modules or name.split(".")[0] not in _OURS:
        return _import(name, *rest)
    try:
        return _import(name, *rest)
    finally:
        parts = name.split(".")
        for i in range(1, len(parts) + 1):
            known = ".".join(parts[:i])
            if known in sys.modules and known not in _order:
                _order.append(known)


def order():
    return [name for name in _order if name in sys.modules]


class _Frames:
    """In the place of firmware.bms.requests, which is no module of its own in a build, for the battery of the tests."""

    @staticmethod
    def request(*parts):
        frame = bytes((0xAA,) + parts)
        crc = 0xFFFF
        for byte in frame:
            crc ^= byte
            for _ in range(8):
                crc = crc >> 1 ^ 0xA001 if crc & 1 else crc >> 1
        return frame + bytes((crc & 0xFF, crc >> 8))


def fill_table():
    """Let the table of names hold what a board has in its flash, and room: it is weighed by itself (tools/wasm.py)."""
    holder = _Frames()
    with open("/host/rom_names.txt") as file:
        for line in file:
            if line[0] != "#":
                for name in line.split():
                    setattr(holder, name, None)
    for i in range(1500):
        setattr(holder, "filler%d" % i, None)


class Machine:
    """The gateway in the steps that tools/wasm.py measures one by one."""

    def __init__(self, config=""):
        """`config`: more groups of the configuration, as JSON: `, "ble": {...}`."""
        # no time server: nobody answers here, and the question (net/ntp.py), once an hour on a board, would be there all the time
        base = '{"wifi": {"ssid": "home", "password": "of a house"}, "time": {"ntp_enabled": false}%s}'
        self.config = base % config
        for name in ("machine", "network", "esp32", "bluetooth"):  # of tests/stand_ins: not the gateway's heap
            __import__(name)
        names = ("firmware", "firmware.bms", "firmware.bms.requests")
        sys.modules.update((name, _Frames) for name in names)
        from tests.hardware_model.twai_model import TwaiModel
        from tests.unit.bms_fakes import FakeBms, RealClock

        for name in names:
            del sys.modules[name]

        fill_table()
        self.port = FakeBms()
        self.frames = []  # ids that were sent on CAN
        self.regs = TwaiModel(RealClock())

    def prepare(self):
        from firmware.app import App
        from firmware.board_esp32 import Esp32
        from firmware import board_esp32 as esp32, can_twai_chips as twai_chips

        import network

        twai_chips.find = lambda machine: "ESP32"
        esp32.MemRegs = lambda *args: self.regs
        self.board = Esp32()
        self.board.uart = lambda config: self.port
        self.board.start_timer = lambda *args: None  # no interrupts here: the loop drives the schedule
        self.board.initial_config = "/host/config.json"
        with open(self.board.initial_config, "w") as file:
            file.write(self.config)
        network.fake_networks["home"] = network.FakeNetwork("of a house")
        self.app = App(self.board)

    def only(self, number):
        """Let the optional part `number` (0 = the first that asks) start, and no other."""
        forget, free = self.app.forget, self.board.heap_free
        asked = [-1]

        def count():
            asked[0] += 1
            forget()

        self.app.forget = count
        self.board.heap_free = lambda: free() if asked[0] in (-1, number) else 0

    def configuration(self):
        from firmware import start

        start.configuration(self.app)

    async def battery(self):
        from firmware import start

        start.battery(self.app)
        await asyncio.sleep_ms(1500)
        type(self.app).forget(self.app)  # as `everything` does, whatever `only` has put in its place
        self.clean()

    async def rest(self):
        from firmware import start

        await start.rest(self.app)
        await asyncio.sleep_ms(1500)
        self.clean()

    def state(self):
        """What a test wants to know of the running gateway."""
        app = self.app
        print({
            "problems": app.tasks.problems(),
            "healthy": app.tasks.healthy(),
            "connected": app.live.connected(),
            "frames": self.frames,
        })  # fmt: skip

    def arrays(self):
        """Bytes of the rings, the buffers and the snapshot: every array of the gateway, not of its ends here."""
        seen, left, total = {id(self.port), id(self.regs)}, [self.app], 0
        while left:
            part = left.pop()
            if id(part) in seen:
                continue
            seen.add(id(part))
            if isinstance(part, (bytes, bytearray, memoryview, array)):
                total += -(-len(bytes(part)) // _BLOCK) * _BLOCK
            elif isinstance(part, (list, tuple)):
                left.extend(part)
            elif isinstance(part, dict):
                left.extend(part.values())
            elif hasattr(part, "__dict__") and type(part) is not type:
                left.extend(part.__dict__.values())
        print(total)

    def clean(self):
        """Forget what only the battery and the bus of the tests keep."""
        self.frames = sorted({frame[0] for frame in self.regs.sent}.union(self.frames))
        del self.regs.sent[:]
        del self.port.sent[:]

    async def end(self):
        """Forget what the gateway has forgotten by then: the alerts look at CAN for the first five seconds."""
        await asyncio.sleep_ms(_QUIET_MS)
        self.clean()
        if sys.modules.pop("firmware.start", None):
            del sys.modules["firmware"].start
        self.app.forget()


def watch():
    builtins.__import__ = _watch
