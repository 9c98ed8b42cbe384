"""A stand-in for a board at a serial port: the raw REPL of MicroPython over TCP, a real littlefs, boot.py, a watchdog.

`StandIn(image).url` is what tools/board.py connects to. Inside runs MicroPython's unix port (board_child.py). What it does not
have: WiFi, CAN, the heap of a board, main.py (it counts as running, with a watchdog, when boot.py does not keep it from
starting), the paste mode of the raw REPL.
"""

import contextlib
import socket
import subprocess
import threading
from pathlib import Path

from tools.processes import micropython

_CHILD = Path(__file__).with_name("board_child.py")
_RAW = b"raw REPL; CTRL-B to exit\r\n>"


class StandIn:
    """`image`: path of a file with a littlefs. `watchdog_s`: so long after Ctrl-C a running application is reset.

    `cut`: the power fails at that many written blocks, once: the connection ends and the board starts again.
    """

    def __init__(self, image, watchdog_s=1.5, cut=0):
        self.image, self.watchdog_s, self.cut = Path(image), watchdog_s, cut
        self.resets = self.bites = self.cuts = 0
        self.running = False  # the application, as far as it goes here
        self._child = self._timer = self._connection = None
        self._lock = threading.Lock()
        self._server = socket.create_server(("127.0.0.1", 0))
        self.url = "socket://127.0.0.1:{}".format(self._server.getsockname()[1])
        self._start_child()
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def close(self):
        with contextlib.suppress(OSError):
            self._server.shutdown(socket.SHUT_RDWR)
        self._server.close()
        if self._connection:
            with contextlib.suppress(OSError):
                self._connection.shutdown(socket.SHUT_RDWR)
        self._thread.join(10)
        self._end_child()

    def __enter__(self):
        return self

    def __exit__(self, *error):
        self.close()

    # -- the machine ---------------------------------------------------------------------------------------------------

    def _start_child(self):
        command = [micropython(), "-X", "heapsize=16M", str(_CHILD), str(self.image), str(self.cut)]
        self._child = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, bufsize=0)
        self.running = self._child.stdout.read(1) == b"R"

    def _end_child(self):
        if self._timer:
            self._timer.cancel()
            self._timer = None
        child, self._child = self._child, None
        if child:
            child.kill()
            child.wait()
            child.stdin.close()
            child.stdout.close()

    def _restart(self):
        self._end_child()
        self._start_child()

    def _bite(self):
        """The watchdog: as a reset in the middle of whatever happens."""
        with self._lock:
            self.bites += 1
            child = self._child
            if child:
                child.kill()

    def _interrupt(self):
        if self.running and self._timer is None:
            self._timer = threading.Timer(self.watchdog_s, self._bite)
            self._timer.daemon = True
            self._timer.start()

    def _execute(self, code, send):
        """Run `code` on the board, its answer to `send`. Gives "", "reset", or "cut" when the board has lost its power."""
        send(b"OK")
        out = b""
        try:
            self._child.stdin.write(b"%d\n%s" % (len(code), code))
            while out.count(b"\x04") < 2:
                piece = self._child.stdout.read(4096)
                if not piece:
                    break
                out += piece
                send(piece)
        except OSError:
            pass
        if out.count(b"\x04") == 2:
            send(b">")
            return ""
        code = self._child.wait()
        self.cuts += code == 43
        self.resets += code == 42
        if code == 43:
            self.cut = 0
        self._restart()
        return "cut" if code == 43 else "reset"

    # -- the line ------------------------------------------------------------------------------------------------------

    def _serve(self):
        while True:
            try:
                connection, _ = self._server.accept()
            except OSError:
                return
            self._connection = connection
            with connection, contextlib.suppress(OSError):
                self._talk(connection)

    def _talk(self, connection):
        raw, buffer = False, b""
        while data := connection.recv(4096):
            for i in range(len(data)):
                byte = data[i : i + 1]
                if byte == b"\x03":
                    buffer = b""
                    self._interrupt()
                elif byte == b"\x01" and not buffer.startswith(b"\x05"):
                    raw, buffer = True, b""
                    connection.sendall(_RAW)
                elif byte == b"\x02":
                    raw = False
                elif not raw:
                    continue
                elif byte == b"\x04":
                    code, buffer = buffer, b""
                    if code:
                        end = self._execute(code, connection.sendall)
                        if end == "cut":
                            return
                        raw = not end
                    else:
                        connection.sendall(b"OK\r\nMPY: soft reboot\r\n")
                        self._restart()
                        connection.sendall(_RAW)
                else:
                    buffer += byte
                    if buffer.endswith(b"\x05A\x01"):
                        buffer = b""
                        connection.sendall(b"R\x00")
