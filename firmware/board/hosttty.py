"""A serial device of a Linux machine as a byte stream, never blocking. Interface: `base.py`."""

import errno
import termios
from micropython import const
from firmware.board.hostport import Port

_EOF_READS = const(3)  # a tty in VMIN = 0 mode reads 0 bytes now and then; readable and empty so often: unplugged


class TtyPort(Port):
    """A serial device, raw, 8N1, VMIN = 0 and VTIME = 0 so that a read gives what is there at once."""

    _eof_reads = _EOF_READS

    def __init__(self, path, baudrate):
        super().__init__()
        self._path = path
        self._baudrate = baudrate

    async def open(self):
        self.close()
        speed = getattr(termios, "B%d" % self._baudrate, None)
        if speed is None:
            raise OSError(errno.EINVAL)
        stream = open(self._path, "r+b", buffering=0)
        try:
            self._make_raw(stream.fileno(), speed)
        except OSError:
            stream.close()
            raise
        self._stream = stream

    @staticmethod
    def _make_raw(fd, speed):
        termios.setraw(fd)
        mode = termios.tcgetattr(fd)
        mode[4] = mode[5] = speed
        mode[6][5] = mode[6][6] = 0  # VTIME, VMIN
        termios.tcsetattr(fd, termios.TCSANOW, mode)
