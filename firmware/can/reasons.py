"""Texts of the limits, loaded when somebody asks. English only: they are part of the API."""

from firmware.live import UNKNOWN_FAULT

TEXTS = (
    "",
    "90 % of the BMS's trip limit",  # 1
    "own limit {arg}",
    "cell {at} at {volt}",
    "cell {at} at {volt}",
    "cell {at} at {volt}, near under-voltage",  # 5
    "{sensor} at {temp}, cold",
    "{sensor} at {temp}, hot",
    "cell temperatures not measured, {sensor} at {temp}",
    "temperature sensor {sensor} lost or not plausible",
    "BMS {events}",  # 10
    "BMS settings not re-read for {n} min",
    "BMS settings absent or out of order",
    "cell {at} not measured",
    "no good poll for {n} s",
    "rising to {arg}",  # 15
    "absorption, {volt} a cell",
    "float, {volt} a cell",
    "rising to {arg}",
    "falling to {arg}",
    "falling to {arg}, waits for the pack to rest there",  # 20
    "cell {at} at {volt}",
)
STATES = ("STARTING", "BULK", "ABSORPTION", "FLOAT", "STALE", "FAULT", "STOPPED")  # by charge.STARTING ... STOPPED
_SENSORS = ("INT", "EXT1", "EXT2")


def reason(charge, which):
    """Why `charge` (a ChargeControl) has its "cvl", "ccl" or "dcl": "CCL 14.0 A: cell 7 at 3.471 V"; None while there is none."""
    if not charge.ready:
        return None
    if which == "cvl":
        return _text("CVL", charge.cvl_mv, charge.cvl)
    if which == "ccl":
        return _text("CCL", charge.ccl_ma, charge.currents.ccl)
    return _text("DCL", charge.dcl_ma, charge.currents.dcl)


def _text(name, value, limit):
    """`value` in mV or mA with the text of its currents.Limit."""
    unit = "V" if name == "CVL" else "A"
    head = "%s %s" % (name, _tenths(value, unit))
    why = TEXTS[limit.why]
    if "{events}" in why:
        why = why.replace("{events}", _events(limit.at, limit.arg))
    elif "not measured" in why and not limit.at:
        why = "pack voltage or current not measured"
    else:
        why = _fill(why, limit, unit)
    return "%s: %s" % (head, why) if why else head


def _fill(why, limit, unit):
    arg = limit.arg
    why = why.replace("{at}", str(limit.at)).replace("{n}", str(arg)).replace("{arg}", _tenths(arg, unit))
    why = why.replace("{volt}", "%d.%03d V" % (arg // 1000, arg % 1000))
    if "{sensor}" in why:
        temp = "%s%d.%d C" % ("-" if arg < 0 else "", abs(arg) // 10, abs(arg) % 10)
        why = why.replace("{sensor}", _SENSORS[limit.at]).replace("{temp}", temp)
    return why


def _tenths(milli, unit):
    return "%d.%d %s" % (milli // 1000, milli // 100 % 10, unit)


def _events(faults, warnings):
    found = []
    if not faults & UNKNOWN_FAULT:  # else what is known may be over
        found += ["fault 0x%02X" % n for n in range(1, 30) if faults >> n & 1]
        found += ["warning 0x%02X" % (0x30 + n) for n in range(1, 30) if warnings >> n & 1]
    return ", ".join(found) or "fault without a known cause"
