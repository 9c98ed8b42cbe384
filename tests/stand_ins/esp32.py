"""Stand-in of `esp32`, see README. `fake_layout("factory")` or `fake_layout("ota")` chooses the partition table (facts 5)."""

from errno import EINVAL, ENOENT

HEAP_DATA = 4
HEAP_EXEC = 1

_BLOCK = 4096
_ROLLBACK_UNSUPPORTED = -261
_INVALID_IMAGE = -5379
_INVALID_SIZE = -260
_LAYOUTS = {
    "factory": (
        (1, 2, 0x9000, 0x6000, "nvs"),
        (1, 1, 0xF000, 0x1000, "phy_init"),
        (0, 0, 0x10000, 0x1F0000, "factory"),
    ),
    "ota": (
        (1, 2, 0x9000, 0x4000, "nvs"),
        (1, 0, 0xD000, 0x2000, "otadata"),
        (0, 16, 0x10000, 0x180000, "ota_0"),
        (0, 17, 0x190000, 0x180000, "ota_1"),
    ),
}
_VFS = {"factory": (1, 129, 0x200000, 0x200000, "vfs"), "ota": (1, 129, 0x310000, 0xF0000, "vfs")}

fake_log = []  # ("set_boot", label), ("mark_app_valid",)
fake_regions = [(240, 0, 0, 0), (79912, 35712, 35512, 35108), (113840, 12000, 8000, 4000)]
fake_flash = {}  # {label: {block: bytearray}}
fake_boot = fake_running = "factory"
fake_nvs = {}
_table = ()


def fake_layout(name):
    """Start anew with this partition table."""
    global _table, fake_boot, fake_running
    _table = _LAYOUTS[name] + (_VFS[name],)
    fake_boot = fake_running = "ota_0" if name == "ota" else "factory"
    fake_flash.clear()
    fake_log.clear()
    fake_nvs.clear()


def idf_heap_info(capabilities):
    if capabilities not in (HEAP_DATA, HEAP_EXEC):
        raise ValueError("capabilities")
    return list(fake_regions)


def raw_temperature():
    return 128


class Partition:
    BOOT = 0
    RUNNING = 1
    TYPE_APP = 0
    TYPE_DATA = 1

    def __init__(self, _id, _block_size=_BLOCK):
        label = (fake_boot, fake_running)[_id] if isinstance(_id, int) else _id
        for row in _table:
            if row[4] == label:
                self._row = row
                return
        raise OSError(ENOENT)

    @staticmethod
    def find(_type=TYPE_APP, _subtype=255, label=None):
        return [
            Partition(row[4])
            for row in _table
            if row[0] == _type and _subtype in (255, row[1]) and label in (None, row[4])
        ]

    def info(self):
        return self._row + (False,)

    def _block(self, number):
        if not 0 <= number < self._row[3] // _BLOCK:
            raise OSError(_INVALID_SIZE)
        blocks = fake_flash.setdefault(self._row[4], {})
        if number not in blocks:
            blocks[number] = bytearray(b"\xff" * _BLOCK)
        return blocks[number]

    def readblocks(self, block_num, buf, offset=0):
        at = block_num * _BLOCK + offset
        for i in range(len(buf)):
            buf[i] = self._block((at + i) // _BLOCK)[(at + i) % _BLOCK]

    def writeblocks(self, _block_num, _buf, _offset=None):
        """Without offset whole blocks are erased first; with one bits only fall, as in flash."""
        if _offset is None:
            if len(_buf) % _BLOCK:
                raise OSError(_INVALID_SIZE)
            for i in range(len(_buf) // _BLOCK):
                self._block(_block_num + i)[:] = _buf[i * _BLOCK : (i + 1) * _BLOCK]
            return
        at = _block_num * _BLOCK + _offset
        for i in range(len(_buf)):
            self._block((at + i) // _BLOCK)[(at + i) % _BLOCK] &= _buf[i]

    def ioctl(self, op, arg=0):
        if op == 4:
            return self._row[3] // _BLOCK
        if op == 5:
            return _BLOCK
        if op == 6:
            self._block(arg)[:] = b"\xff" * _BLOCK
        return 0

    def get_next_update(self):
        slots = [row[4] for row in _table if row[0] == 0 and row[1] >= 16]
        if not slots:
            raise OSError(ENOENT)
        at = slots.index(self._row[4]) if self._row[4] in slots else -1
        return Partition(slots[(at + 1) % len(slots)])

    def set_boot(self):
        global fake_boot
        if self._row[0] != 0 or self._block(0)[0] != 0xE9:
            raise OSError(_INVALID_IMAGE)
        fake_boot = self._row[4]
        fake_log.append(("set_boot", fake_boot))

    @classmethod
    def mark_app_valid_cancel_rollback(cls):
        if fake_running == "factory":
            raise OSError(_ROLLBACK_UNSUPPORTED)
        fake_log.append(("mark_app_valid",))


class NVS:
    def __init__(self, _namespace):
        if len(_namespace) > 15:
            raise OSError(EINVAL)
        self._values = fake_nvs.setdefault(_namespace, {})

    def _get(self, key, kind):
        if not isinstance(self._values.get(key), kind):
            raise OSError(-0x1102)  # ESP_ERR_NVS_NOT_FOUND
        return self._values[key]

    def get_i32(self, _key):
        return self._get(_key, int)

    def set_i32(self, _key, _value):
        if not -0x80000000 <= _value < 0x80000000:
            raise OverflowError("overflow converting long int to machine word")
        self._values[_key] = _value

    def get_blob(self, _key, _buffer):
        value = self._get(_key, bytes)
        if len(value) > len(_buffer):
            raise OSError(-0x110C)  # ESP_ERR_NVS_INVALID_LENGTH
        _buffer[: len(value)] = value
        return len(value)

    def set_blob(self, _key, _value):
        self._values[_key] = bytes(_value)

    def erase_key(self, _key):
        self._get(_key, (int, bytes))
        del self._values[_key]

    def commit(self):
        pass


fake_layout("factory")
