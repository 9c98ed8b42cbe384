"""The simulator's ends: TCP or pty for the UART, TCP for control, one task that lets time pass."""

import asyncio
import os
import time
import tty

from tools.tinybms_sim.control import Commands
from tools.tinybms_sim.line import Line

_TICK_S = 0.1


class Server:
    def __init__(self, bms, seed=1, speed=1.0):
        self._out = asyncio.Queue()
        self.line = Line(bms, time.monotonic, lambda delay, data: self._out.put_nowait((delay, data)), seed, speed)
        self._commands = Commands(self.line)
        self._writers, self._servers = set(), []
        self._pty = None

    async def listen(self, host, port):
        """Open the UART on TCP; its URL."""
        return await self._open(self._uart, host, port)

    async def control(self, host, port):
        """Open the control channel; its URL."""
        return await self._open(self._control, host, port)

    async def _open(self, handler, host, port):
        server = await asyncio.start_server(handler, host, port)
        self._servers.append(server)
        return "socket://{}:{}".format(host, server.sockets[0].getsockname()[1])

    def open_pty(self):
        """Open the UART on a pseudo-terminal; its path."""
        self._pty, self._pty_far = os.openpty()  # the far end stays open: without it a read fails while nobody listens
        tty.setraw(self._pty_far)
        os.set_blocking(self._pty, False)
        asyncio.get_running_loop().add_reader(self._pty, self._from_pty)
        return os.ttyname(self._pty_far)

    def _from_pty(self):
        self.line.receive(os.read(self._pty, 4096))

    async def _uart(self, reader, writer):
        self._writers.add(writer)
        try:
            while data := await reader.read(4096):
                self.line.receive(data)
        except OSError:
            pass
        finally:
            self._writers.discard(writer)
            writer.close()

    async def _control(self, reader, writer):
        try:
            while text := await reader.readline():
                writer.write(self._commands.answer(text).encode())
                await writer.drain()
        except OSError:
            pass
        finally:
            writer.close()

    async def run(self):
        """Let time pass and send what is due, for ever."""
        await asyncio.gather(self._tick(), self._send())

    async def _tick(self):
        while True:
            await asyncio.sleep(_TICK_S)
            self.line.tick()

    async def _send(self):
        while True:
            delay, data = await self._out.get()
            if delay:
                await asyncio.sleep(delay)
            for writer in list(self._writers):
                writer.write(data)
            if self._pty is not None:
                try:
                    os.write(self._pty, data)
                except BlockingIOError:
                    pass  # nobody reads: lost, as on a wire
