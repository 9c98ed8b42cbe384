"""Runs under MicroPython for tests/integration/board_stand_in.py: `board_child.py IMAGE CUT`. The inside of a board.

A littlefs in the file IMAGE is mounted at / instead of the machine's files, `machine.reset` ends the process, and boot.py runs
as on an ESP32. Then each message on standard input (its length on a line, then Python) is executed; the answer is its output,
\\x04, the traceback if any, \\x04. CUT: the power fails at that many written blocks (0: never). Exit codes: 42 reset, 43 cut.
"""

import io
import os
import sys

_BLOCK = 4096
_RESET = 42
_CUT = 43


class FileDevice:
    """The flash: blocks in a file."""

    def __init__(self, path, cut):
        self.file = open(path, "r+b")
        self.left = cut
        self.count = self.file.seek(0, 2) // _BLOCK

    def readblocks(self, block, buf, offset=0):
        self.file.seek(block * _BLOCK + offset)
        self.file.readinto(buf)

    def writeblocks(self, block, buf, offset=None):
        if self.left == 1:  # from here on nothing is written any more
            self.file.flush()
            raise SystemExit(_CUT)
        if self.left:
            self.left -= 1
        self.file.seek(block * _BLOCK + (offset or 0))
        self.file.write(buf)

    def ioctl(self, operation, argument):
        if operation == 3:
            self.file.flush()
        return self.count if operation == 4 else _BLOCK if operation == 5 else 0


class Implementation:
    name = "micropython"
    version = (1, 27, 0, "")
    _machine = "Generic ESP32 module with ESP32"


class Sys:
    """The module `sys` of the board: of this machine but for what names it."""

    platform = "esp32"
    implementation = Implementation
    version = "3.4.0; MicroPython v1.27.0 stand-in"

    def __getattr__(self, name):
        return getattr(sys, name)


class Machine:
    def reset(self):
        raise SystemExit(_RESET)

    def freq(self):
        return 160000000


def execute(code, space):
    """Run `code`; gives its traceback as text, "" without one."""
    try:
        exec(code, space)
    except SystemExit as error:
        if error.args and error.args[0] in (_RESET, _CUT):
            raise
        return "SystemExit"
    except BaseException as error:
        text = io.StringIO()
        sys.print_exception(error, text)
        return text.getvalue()
    return ""


def main(image, cut):
    device = FileDevice(image, int(cut))
    import vfs

    vfs.umount("/")
    vfs.mount(vfs.VfsLfs2(device), "/")
    os.chdir("/")
    sys.path[:] = ["", ".frozen", "/lib"]
    sys.modules["sys"] = Sys()
    sys.modules["machine"] = Machine()
    space = {"__name__": "__main__"}
    try:
        with open("/boot.py") as file:
            failed = execute(file.read(), space)
        if failed:
            sys.stderr.write(failed)
    except OSError:
        pass
    running = not space.get("maintenance", False)
    try:
        os.stat("/main.py")
    except OSError:
        running = False
    sys.stdout.write("R" if running else "M")
    stream = sys.stdin.buffer
    while True:
        line = stream.readline()
        if not line:
            return
        code = stream.read(int(line))
        failed = execute(code, space)
        sys.stdout.write("\x04" + failed + "\x04")


main(*sys.argv[1:])
