"""One MicroPython process with one target: length-prefixed cases go in, length-prefixed JSON comes out."""

from __future__ import annotations

import json
import os
import select
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from tools.processes import ROOT

HANG_S = 10  # a busy machine is no hang


class Finding(AssertionError):
    """The firmware did what it must not do; the text shows the input."""


def micropython():
    beside = Path(sys.executable).parent / "micropython"
    return os.environ.get("MICROPYTHON") or (str(beside) if beside.exists() else "micropython")


class Process:
    """`ask(case)` gives what the target says; Finding when it crashes or hangs, and the next `ask` starts a new process."""

    def __init__(self, target, seconds=HANG_S):
        self.target, self.seconds = target, seconds
        self._process = None

    def _start(self):
        self._directory = tempfile.mkdtemp(prefix="tinybms-fuzz-")
        command = [micropython(), "-X", "heapsize=8m", "tools/fuzz/driver.py", self.target, self._directory]
        self._process = subprocess.Popen(
            command, cwd=ROOT, env=dict(os.environ, TMPDIR=self._directory), start_new_session=True, bufsize=0,
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        )  # fmt: skip

    def _read(self, count, deadline):
        data = b""
        while len(data) < count:
            left = deadline - time.monotonic()
            if left <= 0 or not select.select([self._process.stdout], [], [], left)[0]:
                raise TimeoutError
            piece = self._process.stdout.read(count - len(data))
            if not piece:
                raise EOFError(data)
            data += piece
        return data

    def _talk(self, case):
        if self._process is None:
            self._start()
        self._process.stdin.write(len(case).to_bytes(4, "big") + case)
        deadline = time.monotonic() + self.seconds
        head = self._read(5, deadline)
        if head[:1] != b"=":  # not our frame: the interpreter says why it dies
            raise EOFError(head + (self._process.stdout.read(2000) or b""))
        return json.loads(self._read(int.from_bytes(head[1:], "big"), deadline))

    def ask(self, case):
        """The answer to one case."""
        try:
            answer = self._talk(case)
        except TimeoutError:
            self.stop()
            raise Finding(f"{self.target}: hangs for {self.seconds} s on {case.hex()}") from None
        except (EOFError, OSError, ValueError) as error:
            self.stop()
            raise Finding(f"{self.target}: process died ({error!r}) on {case.hex()}") from None
        if isinstance(answer, dict) and "crash" in answer:
            raise Finding(f"{self.target}: {answer['crash']}\non {case!r}\nhex {case.hex()}")
        return answer

    def memory(self):
        """Bytes of heap in use after a collection."""
        return self.ask(b"")

    def stop(self):
        if self._process is not None:
            try:
                os.killpg(
                    self._process.pid, signal.SIGKILL
                )  # the launcher of the wheel has the interpreter as its child
            except ProcessLookupError:
                pass
            self._process.wait()
            for pipe in (self._process.stdin, self._process.stdout):
                pipe.close()
            shutil.rmtree(self._directory, ignore_errors=True)
            self._process = None
