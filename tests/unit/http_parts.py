"""A set of parts for the HTTP server, and a small client, for tests that run in one MicroPython process."""

import asyncio
import sys
import time

if "lib" not in sys.path:
    sys.path.append("lib")

from firmware import live as field
from firmware.board import pins
from firmware.bus import Bus
from firmware.config.config import Config
from firmware.http.door import Door
from firmware.live import Live
from tests.unit.help import FakeClock, FakeLog, new_directory


class FakeBoard(FakeClock):
    idf = None
    free = 100_000

    def __init__(self):
        super().__init__()
        self._started = time.ticks_ms()
        self.data_dir = new_directory("http")
        self.www_dir = self.root_dir = self.data_dir
        self.http_host = "127.0.0.1"

    def ticks_ms(self):
        """Runs with real time, `advance` adds to it."""
        return (super().ticks_ms() + time.ticks_diff(time.ticks_ms(), self._started)) % (1 << 30)

    def check_pins(self, values):
        return pins.check(values, "esp32")

    def pin_warnings(self, values):
        return pins.warnings(values, "esp32")

    def heap_free(self):
        return self.free

    def heap_min(self):
        return 9_000

    def largest_block(self):
        return 8_000

    def idf_free(self):
        return self.idf

    def network(self):
        return {"connected": True, "ssid": "host", "rssi": 0, "ip": "127.0.0.1", "gateway": "", "netmask": ""}

    def kept(self):
        return b""

    def reset_cause(self):
        return "POWER_ON"

    def info(self):
        return {"chip": "host", "firmware": "x", "reset_cause": "POWER_ON", "partitions": [], "mac": "020000000001"}


class FakeTask:
    """An entry of `Tasks.entries`, and its task: one that waits."""

    waiting = False
    failed = ""
    data = True

    def __init__(self, name):
        self.name = name
        self.task = self

    def done(self):
        return False


class FakeTasks:
    def __init__(self):
        self.entries = [FakeTask("bms"), FakeTask("http")]

    def cpu_percent(self):
        return 7


class FakeBms:
    reason = ""

    def __init__(self):
        self.commands = []
        self.error = None

    async def command(self, option):
        self.commands.append(option)
        if self.error:
            raise self.error
        return True


class Parts:
    """Everything real that has no hardware below it."""

    version = "0.0.0"
    safe_mode = ""

    def __init__(self):
        self.board = FakeBoard()
        self.log = FakeLog()
        self.bus = Bus()
        self.live = Live(self.board)
        self.config = Config(self.board.data_dir, b"\x02\0\0\xab\xcd\xef", self.bus, self.board.check_pins)
        self.config.load()
        self.tasks = FakeTasks()
        self.bms = FakeBms()
        self.can = self.alerts = self.history = self.mqtt = self.ota = None
        self.restarts = []
        self.may_restart = True

    def forget(self):
        pass

    def restart(self, delay_ms):
        self.restarts.append(delay_ms)
        return self.may_restart

    def poll(self, cells=(3300, 3310, 3290, 3305)):
        """A good poll of a small battery."""
        data = self.live.data
        data[field.VOLTAGE] = sum(cells)
        data[field.CURRENT] = -1500
        data[field.SOC] = 8399
        data[field.STATUS] = field.DISCHARGING
        data[field.TEMP_INT] = 97
        data[field.CELL_COUNT] = len(cells)
        for i, voltage in enumerate(cells):
            data[field.CELL + i] = voltage
        data[field.BALANCING] = 2
        self.live.good_poll()


class Gateway:
    """`async with Gateway() as gateway:` a server on a free port, over `gateway.parts`."""

    def __init__(self, parts=None):
        self.parts = parts or Parts()

    async def __aenter__(self):
        self.door = Door(self.parts)
        await self.door.start("127.0.0.1", 0)
        self.port = self.door.port
        self.server = self.door.server()
        self._task = asyncio.create_task(self.door.run())
        return self

    async def __aexit__(self, *_):
        self._task.cancel()
        for connection in list(self.server._connections):
            connection.task.cancel()
        await asyncio.sleep_ms(20)

    async def raw(self, data):
        """Send `data`; everything that comes back until the end."""
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        writer.write(data)
        await writer.drain()
        answer = await asyncio.wait_for(reader.read(-1), 5)
        writer.close()
        await writer.wait_closed()
        return answer

    async def ask(self, method, path, body=None, headers=()):
        """(status, {header: value}, body bytes) of one request."""
        lines = ["%s %s HTTP/1.1" % (method, path), "Host: 127.0.0.1:%d" % self.port]
        lines.extend(headers)
        if body is not None:
            lines.append("Content-Type: application/json")
            lines.append("Content-Length: %d" % len(body))
        answer = await self.raw(("\r\n".join(lines) + "\r\n\r\n" + (body or "")).encode())
        head, _, rest = answer.partition(b"\r\n\r\n")
        lines = head.decode().split("\r\n")
        found = {}
        for line in lines[1:]:
            name, _, value = line.partition(": ")
            found[name.lower()] = value
        return int(lines[0].split(" ")[1]), found, rest
