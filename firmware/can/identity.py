"""Who the battery says it is: 0x35E, 0x370/0x371, 0x380/0x381, 0x382 (victron_can facts 3 and 6).

From the configuration, else from the BMS. Never a brand that the GX treats in its own way: with such a name it would change
CVL or CCL behind our back, so it is replaced by ours and logged. Loaded for one call of `fill` and dropped.
"""

from micropython import const

from firmware import live as _live
from firmware.can import frames as _frames

_DEFAULT = "TinyBMS"
_ABSENT = const(0x3FFFFFFF)
_QUIRKY = ("PYLON", "PN", "BYD", "LG", "PELIO")  # systemcalc's quirks, by beginning of the name


def own(text):
    """True unless `text` starts like a brand that the GX has quirks for."""
    text = text.strip().upper()
    return not any(text.startswith(brand) for brand in _QUIRKY)


def serial_text(data):
    """The BMS serial number (registers 504-509) as 24 hex digits, low byte of each word first; "" while it is not known."""
    words = tuple(data[_live.SERIAL : _live.SERIAL + 6])
    if _ABSENT in words:
        return ""
    return "".join("%02X%02X" % (word & 255, word >> 8 & 255) for word in words)


def hardware_text(data):
    """Register 500 as "HW 2.1"; "" while it is not known."""
    word = data[_live.HARDWARE]
    return "" if word == _ABSENT else "HW %d.%d" % (word & 255, word >> 8 & 255)


def write(buffer, first, size, text):
    """Write ASCII `text` into the frames from index `first`, cut to `size` bytes and padded with zeros."""
    at = 8 * first
    for i in range(size):
        code = ord(text[i]) if i < len(text) else 0
        buffer[at + i] = code if code < 128 else 63  # "?"


def fill(buffer, data, config, log):
    """Write the texts into `buffer` (of a Frames); gives the mask of the frames that have one.

    Called at start and when configuration or BMS version change. 0x35E must match 0x370: with one of the two names configured,
    both say that one. The serial number has 16 places on CAN: the last 16 of the 24 hex digits, because the manufacturer names
    a unit by its last three bytes.
    """

    def setting(key):
        text = config[key].strip()  # not `get`: asked for once
        if not own(text):
            log.warning("can", "%s: a foreign brand is not used" % key)
            text = ""
        return text

    name = setting("can.battery_name")
    maker = setting("can.manufacturer")
    if name and maker in ("", _DEFAULT):
        maker = name
    maker = maker or _DEFAULT
    serial = setting("can.serial_number") or serial_text(data)[-16:]
    write(buffer, _frames.MANUFACTURER, 8, maker)
    write(buffer, _frames.NAME, 16, name or maker)
    write(buffer, _frames.SERIAL, 16, serial)
    write(buffer, _frames.FAMILY, 8, setting("can.battery_family") or hardware_text(data) or _DEFAULT)
    return 1 << _frames.MANUFACTURER | 3 << _frames.NAME | 1 << _frames.FAMILY | (3 << _frames.SERIAL if serial else 0)
