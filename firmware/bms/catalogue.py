"""The TinyBMS settings (registers 300-343) for people: names, units, ranges, and the check before a write.

Source: tinybms_uart facts 9. One JSON line a setting in catalogue.jsonl, read line by line, never held. Loaded when asked.

Line: key, address, group, fr, en (label), unit, type, scale (unit per LSB, 1 when missing), min and max (LSB; what the BMS says
through 0x1D goes first), values ([[value, text] or [value, fr, en]...]), bit (type bit), since (lowest nnn of firmware 2.3.nnn),
once (write only: reads 0xFFFF once taken over), restart (the BMS restarts), warn_fr and warn_en.
Types: u16, i16, u32 (low word first), low and high (byte of a shared register), bit.

All values here are integers in the LSB of the register. `words`, `minimums`, `maximums`, `defaults` are the 44 words of
registers 300-343 (0x1D options 4, 1, 2, 3), or None or shorter where they are not known.
"""

import json
from micropython import const

_FIRST = const(300)
_STEP_MV = const(10)  # least distance between the voltages of _ORDER (tinybms_uart facts 9)
_ORDER = (316, 301, 300, 315)  # each below the next
_NONE = const(0xFFFF)
_SINCE_305 = const(254)  # firmware 2.3.254 brought the peak discharge cut-off


class RegisterError(ValueError):
    """A write that was refused. `field`: key or address as given; `details`: text with field and range, for the API."""

    def __init__(self, field, text):
        self.field = field
        self.details = "%s %s" % (field, text)
        super().__init__(self.details)


def lines():
    """Every line of the catalogue as a dict, in the order of the addresses."""
    with open(__file__.rsplit(".", 1)[0] + ".jsonl") as file:
        for line in file:
            yield json.loads(line)


def find(name):
    """The line with this key (str) or address (int). RegisterError when there is none, or an address has several."""
    found = None
    for line in lines():
        if line["key"] == name:
            return line
        if line["address"] == name and type(name) is int:
            if found:
                raise RegisterError(name, "holds several settings: use a key")
            found = line
    if found is None:
        raise RegisterError(name, "is unknown")
    return found


def _word(words, address):
    at = address - _FIRST
    return words[at] if words and 0 <= at < len(words) else None


def decode(line, words):
    """The value of a setting in `words`, or None when it is not known."""
    kind = line["type"]
    word = _word(words, line["address"])
    if word is None:
        return None
    if kind == "low":
        return word & 0xFF
    if kind == "high":
        return word >> 8
    if kind == "bit":
        return word >> line["bit"] & 1
    if kind == "u32":
        high = _word(words, line["address"] + 1)
        return None if high is None else word | high << 16
    if kind == "i16":
        return word - 0x10000 if word >= 0x8000 else word
    return None if line.get("once") and word == _NONE else word


def limits(line, minimums=None, maximums=None):
    """(min, max) of a number: what the BMS answered to 0x1D where that makes sense, else the documented range.

    The BMS moves the ranges of 304, 317 and 318 with its power type and current sensor. Packed registers keep the documented one.
    """
    if line["type"] == "bit":
        return 0, 1
    low, high = line["min"], line["max"]
    if line["type"] in ("u16", "i16", "u32"):
        live_low, live_high = decode(line, minimums), decode(line, maximums)
        if live_low is not None and live_high is not None and live_low < live_high:
            return live_low, live_high
    return low, high


def supported(line, firmware):
    """True unless `firmware` (register 502, None = unknown) is too old for the setting."""
    return firmware is None or firmware >= line.get("since", 0)


def entry(line, language, words=None, minimums=None, maximums=None, defaults=None, firmware=None):
    """The object of GET /api/registers for one line, texts in `language` ("fr" or "en"). JSON text under 1 KB."""
    known = supported(line, firmware)
    result = {
        "key": line["key"],
        "address": line["address"],
        "group": line["group"],
        "label": line[language],
        "unit": line["unit"],
        "type": line["type"],
        "scale": line.get("scale", 1),
        "value": decode(line, words) if known else None,
        "default": decode(line, defaults) if known else None,
        "supported": known,
        "read_only": not known,
        "restart": line.get("restart", False),
    }
    values = line.get("values")
    if values:
        result["values"] = [{"value": item[0], "label": item[-1] if language == "en" else item[1]} for item in values]
        result["min"], result["max"] = values[0][0], values[-1][0]
    else:
        result["min"], result["max"] = limits(line, minimums, maximums)
    if "since" in line:
        result["since"] = "2.3.%d" % line["since"]
    if "warn_fr" in line:
        result["warning"] = line["warn_" + language]
    return result


def _check_range(name, line, value, minimums, maximums):
    values = line.get("values")
    if values:
        if type(value) is not int or value not in [item[0] for item in values]:
            raise RegisterError(name, "must be one of " + ", ".join(str(item[0]) for item in values))
        return
    low, high = limits(line, minimums, maximums)
    if type(value) is not int or not low <= value <= high:
        raise RegisterError(name, "must be an integer, %d to %d" % (low, high))


def _check_order(name, address, value, words, firmware):
    """316 < 301 < 300 < 315, each at least 10 mV apart; 317 < 305 where there is a 305."""
    if address in _ORDER:
        at = _ORDER.index(address)
        below = _word(words, _ORDER[at - 1]) if at else None
        above = _word(words, _ORDER[at + 1]) if at + 1 < len(_ORDER) else None
        if (at and below is None) or (at + 1 < len(_ORDER) and above is None):
            raise RegisterError(name, "cannot be checked: the settings were not read")
        if at and value < below + _STEP_MV:
            raise RegisterError(
                name, "must be at least %d: 10 mV above register %d" % (below + _STEP_MV, _ORDER[at - 1])
            )
        if above is not None and value > above - _STEP_MV:
            raise RegisterError(
                name, "must be at most %d: 10 mV below register %d" % (above - _STEP_MV, _ORDER[at + 1])
            )
    if address == 305:
        other = _word(words, 317)
        if other is not None and value <= other:
            raise RegisterError(name, "must be above register 317 (%d)" % other)
    if address == 317 and (firmware is None or firmware >= _SINCE_305):
        other = _word(words, 305)
        if other not in (None, 0, _NONE) and value >= other:
            raise RegisterError(name, "must be below register 305 (%d)" % other)


def check_write(name, value, words, minimums=None, maximums=None, firmware=None):
    """What to write for setting `name` (key or address): a list of (address, word), one except for u32. RegisterError if bad.

    `words` must be fresh: the other half of a packed register is kept from it (read-modify-write), and the cross rules are
    checked against it.
    """
    line = find(name)
    address = line["address"]
    kind = line["type"]
    if not supported(line, firmware):
        raise RegisterError(name, "needs firmware 2.3.%d" % line["since"])
    _check_range(name, line, value, minimums, maximums)
    _check_order(name, address, value, words, firmware)
    if kind == "u32":
        return [(address, value & 0xFFFF), (address + 1, value >> 16)]
    if kind in ("u16", "i16"):
        return [(address, value & 0xFFFF)]
    word = _word(words, address)
    if word is None:
        raise RegisterError(name, "cannot be written: the settings were not read")
    if kind == "low":
        return [(address, word & 0xFF00 | value)]
    if kind == "high":
        return [(address, word & 0xFF | value << 8)]
    mask = 1 << line["bit"]
    return [(address, word & ~mask | value << line["bit"])]
