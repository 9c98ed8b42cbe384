"""The settings of a TinyBMS: ranges, rules (tinybms_uart facts 9), and the live registers rendered from a battery
(facts 7)."""

import struct

NOT_CONNECTED = 0x8000  # temperature of a sensor that is not there
CONSUMED = 0xFFFF  # what 323 and 328 read once the BMS took the value over
FIRMWARE_SOH, FIRMWARE_D = 251, 254  # SoH; the settings that Rev D of the document added
SINCE_D = {305, 310, 311, 321, 322, 323}
WRITABLE = range(300, 400)

RANGES = {
    300: (1200, 4500), 301: (1000, 3500), 303: (1000, 4500), 304: (100, 5000), 305: (0, 1500), 306: (10, 65500),
    307: (4, 16), 308: (15, 100), 310: (5, 60), 311: (0, 60), 314: (1, 5), 315: (1200, 4500), 316: (800, 3500),
    317: (1, 750), 318: (1, 750), 319: (20, 90), 320: (-40, 10), 321: (60, 95), 322: (10, 65000), 323: (0, 50000),
    328: (0, 50000), 329: (0, 7), 331: (0, 8), 332: (0, 30), 333: (1, 9), 334: (0, 6), 335: (1, 7), 336: (0, 2),
    337: (0, 16), 338: (0, 7), 339: (0, 1), 340: (0, 1), 341: (0, 8), 342: (0, 7), 343: (0, 2),
}  # fmt: skip
_BYTES = set(range(331, 344))  # high byte reserved
_PULSES_MAX = 100_000  # 312-313 together
_LADDER = (316, 301, 300, 315)  # each at least 10 mV above the one before


def limits(option, defaults, current):
    """The words of 0x1D for registers 300...399: option 1 smallest, 2 largest, 3 default, 4 current (a function of address)."""
    if option == 4:
        return [current(address) for address in WRITABLE]
    if option == 3:
        return [defaults.get(address, 0) for address in WRITABLE]
    words = [RANGES.get(address, (0, 0))[option - 1] & 0xFFFF for address in WRITABLE]
    pulses = 1 if option == 1 else _PULSES_MAX
    words[12:14] = pulses & 0xFFFF, pulses >> 16
    words[30] = 0 if option == 1 else 30 << 8 | 2
    return words


def allowed(changes, current, firmware):
    """Whether the BMS takes `changes` {register: word}; `current(address)` gives the settings of now.

    Ranges and rules are judged on what results. Reserved settings are taken and ignored; outside 300-399 nothing is.
    """
    if not all(address in WRITABLE and in_range(address, word) for address, word in changes.items()):
        return False

    def after(address):
        return changes.get(address, current(address))

    ladder = [after(address) for address in _LADDER]
    if changes.keys() & set(_LADDER) and not all(b - a >= 10 for a, b in zip(ladder, ladder[1:]) if a):  # noqa: RUF007
        return False
    if changes.keys() & {312, 313} and not 1 <= after(312) | after(313) << 16 <= _PULSES_MAX:
        return False
    peak = after(305)
    return not (firmware >= FIRMWARE_D and changes.keys() & {305, 317} and peak and peak <= after(317))


def in_range(address, word):
    """Whether `word` is in the range of setting `address`; what has no range is."""
    if address == 330:
        return word & 0xFF <= 2 and word >> 8 <= 30
    if address not in RANGES:
        return True
    if address in _BYTES:
        word &= 0xFF
    elif address in (319, 320) and word & 0x8000:
        word -= 0x10000
    low, high = RANGES[address]
    return low <= word <= high and not (address == 337 and (word == 1 or 10 < word < 16))


def _pair(value):
    value = max(0, min(int(value), 0xFFFFFFFF))
    return value & 0xFFFF, value >> 16


def _float(value):
    return struct.unpack("<HH", struct.pack("<f", value))


def _celsius(value):
    return NOT_CONNECTED if value is None else max(-32767, min(round(value * 10), 32767)) & 0xFFFF


def live(battery, lifetime, soh, firmware):
    """Registers 0-55 as a list of words, from the battery. Unused pins are the lowest (tinybms_uart facts 12)."""
    first = 16 - battery.cells
    millivolts = [0] * first + [max(0, round(mv)) for mv in battery.cell_mv]
    words = [mv * 10 for mv in millivolts] + [0] * 40
    used = millivolts[16 - min(battery.settings[307], 16) :]
    amps = battery.current_ma / 1000 * battery.current_gain + battery.current_offset_a
    amps = 0.0 if abs(amps) < 0.05 else round(amps, 3)  # a pack at rest reads exactly 0
    words[32:34] = _pair(lifetime)
    words[34:36] = _pair(_time_left(battery, amps))
    words[36:38] = _float(sum(used) / 1000)
    words[38:40] = _float(amps)
    words[40], words[41] = min(used), max(used)
    words[42], words[43] = map(_celsius, battery.ext_c)
    words[45] = soh if firmware >= FIRMWARE_SOH else 0
    words[46:48] = _pair(battery.soc * 1_000_000)
    words[48] = _celsius(battery.internal_c)
    words[50] = battery.status
    words[51], words[52] = battery.balance_need << first, battery.balancing << first
    words[53] = battery.cells
    return words


def _time_left(battery, amps):
    """Seconds to full or to empty; at rest as if the BMS's own few mA were all (tinybms_uart facts 17)."""
    left = 100 - battery.soc if amps > 0 else battery.soc
    return left * battery.settings[306] * 0.36 / max(abs(amps), 0.005)
