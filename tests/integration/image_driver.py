"""Runs under MicroPython's unix port: `image_driver.py IMAGE MAC OPTION...` starts the gateway from a file system image.

The image is mounted at / in RAM, as a board mounts its flash; nothing of this machine's files is left to see.
"""

import os
import sys
import vfs
from binascii import unhexlify

_BLOCK = 4096


class Flash:
    """A RAM block device with the content of a file."""

    def __init__(self, path):
        with open(path, "rb") as file:
            self.data = bytearray(file.read())

    def readblocks(self, block, buf, offset=0):
        start = block * _BLOCK + offset
        buf[:] = memoryview(self.data)[start : start + len(buf)]

    def writeblocks(self, block, buf, offset=None):
        start = block * _BLOCK
        if offset is None:
            self.data[start : start + _BLOCK] = b"\xff" * _BLOCK
        start += offset or 0
        self.data[start : start + len(buf)] = buf

    def ioctl(self, operation, argument):
        if operation == 4:
            return len(self.data) // _BLOCK
        if operation == 5:
            return _BLOCK
        if operation == 6:
            start = argument * _BLOCK
            self.data[start : start + _BLOCK] = b"\xff" * _BLOCK
        return 0


image, mac = sys.argv[1:3]
flash = Flash(image)
vfs.umount("/")
vfs.mount(flash, "/")  # as a board does: MicroPython finds out that it is a littlefs
os.chdir("/")
os.mkdir("/data")
with open("/data/mac", "wb") as file:
    file.write(unhexlify(mac))
sys.path[:] = ["", ".frozen"]
sys.argv[:] = ["main.py"] + sys.argv[3:] + ["--data", "/data"]
with open("/main.py") as file:
    source = file.read()
exec(source, {"__name__": "__main__"})
