"""What a value may be, and which go together. Loaded at the start (defaults, stored values) and before a change."""

from firmware.config import schema


def defaults(mac):
    """Every key with its default."""
    return {row.key: row.make_default(mac) for row in schema.rows()}


def differing(values, mac):
    """What of `values` is not the default: the object that is stored."""
    return {key: value for key, value in values.items() if value != schema.find(key).make_default(mac)}


def usable(stored):
    """({key: value} of the stored values that can be used, a text about those that cannot, or "").

    A key that this version does not know (after a step back to an older one) is left out silently; a value that is out of range
    now falls back to its default.
    """
    good, bad = {}, []
    for key, value in stored.items():
        row = schema.find(key)
        if row is None:
            continue
        if check_value(row, value):
            bad.append(key)
        else:
            good[key] = value
    return good, "default used for stored " + ", ".join(bad) if bad else ""


def split_uri(uri):
    """(scheme, host, port) of a broker URI; port 0 when it has none, all empty for "". Raises ValueError with a text."""
    if not uri:
        return "", "", 0
    scheme, mark, rest = uri.partition("://")
    if not mark or scheme not in ("mqtt", "mqtts"):
        raise ValueError("must start with mqtt:// or mqtts://")
    if "@" in rest:
        raise ValueError("must not hold a user name or password")
    host, colon, port = rest.rstrip("/").partition(":")
    if not host or not _letters(host, ".-_"):
        raise ValueError("must be mqtt://host or mqtt://host:port")
    if not colon:
        return scheme, host, 0
    if not port.isdigit() or len(port) > 5 or not 1 <= int(port) <= 65535:
        raise ValueError("has a port outside 1-65535")
    return scheme, host, int(port)


def _letters(text, others):
    """True when `text` holds only ASCII letters, digits and what is in `others`."""
    return all("a" <= char <= "z" or "A" <= char <= "Z" or "0" <= char <= "9" or char in others for char in text)


def _check_text(row, value):
    """Why the text `value` is bad for `row`, or None."""
    size = len(value.encode())
    if row.has(schema.SECRET) and not size:
        return None
    if row.high is not None and size > row.high:
        return "too long (max %d chars)" % row.high
    if row.low and size < row.low:
        return "must be %d-%d characters" % (row.low, row.high)
    for char in value:
        code = ord(char)  # half a character (JSON's \ud83d) would make our own JSON no UTF-8
        if code < 32 or code == 127 or 0xD800 <= code < 0xE000 or (row.kind == "ascii" and code > 126):
            return "must be %s characters" % ("printable ASCII" if row.kind == "ascii" else "printable")
    if row.kind == "topic" and ("+" in value or "#" in value):
        return "must not hold + or #"
    if row.kind == "name" and (not _letters(value, "-") or value[0] == "-" or value[-1] == "-"):
        return "must be letters, digits and hyphens"
    if row.kind == "ip" and value and not _is_ip(value):
        return "must be an IPv4 address or empty"
    if row.kind == "uri":
        try:
            split_uri(value)
        except ValueError as error:
            return error.args[0]
    return None


def _is_ip(text):
    parts = text.split(".")
    for part in parts:
        if not part.isdigit() or len(part) > 3 or int(part) > 255:
            return False
    return len(parts) == 4


def check_value(row, value):
    """Why `value` is bad for `row`, or None. Nothing is converted or clamped."""
    if row.kind == "bool":
        return None if value is True or value is False else "must be true or false"
    if row.kind == "choice":
        for choice in row.choices:
            if type(value) is type(choice) and value == choice:
                return None
        return "must be one of " + ", ".join(str(choice) for choice in row.choices)
    if row.kind == "int":
        zero = row.has(schema.OR_ZERO)
        if type(value) is int and (row.low <= value <= row.high or (zero and value == 0)):
            return None
        return "must be an integer, %s%d to %d" % ("0 or " if zero else "", row.low, row.high)
    return _check_text(row, value) if isinstance(value, str) else "must be a text"


# The first must be below the second; zero in a charge voltage means "from the BMS"
_ORDERED = (
    ("charge.float_mv", "charge.absorption_mv"),
    ("alerts.temperature_min_c", "alerts.temperature_max_c"),
    ("alerts.cell_voltage_min_mv", "alerts.cell_voltage_max_mv"),
    ("alerts.pack_voltage_min_mv", "alerts.pack_voltage_max_mv"),
    ("alerts.soc_min_percent", "alerts.soc_max_percent"),
)
_PINS = ("uart.tx_pin", "uart.rx_pin", "can.tx_pin", "can.rx_pin")


class Changed:
    """The `values` with `changes` on top, without a copy."""

    def __init__(self, values, changes):
        self._values = values
        self._changes = changes

    def __getitem__(self, key):
        return self._changes[key] if key in self._changes else self._values[key]


def conflict(values, check):
    """(key, text) of two of the `values` (anything with values["group.name"]) that do not go together, or None."""
    for low, high in _ORDERED:
        if values[low] >= values[high] and (values[high] or not low.startswith("charge")):
            return low, "must be below " + high.replace(".", "_") + " (%d)" % values[high]
    for i, pin in enumerate(_PINS):
        for other in _PINS[:i]:
            if values[pin] == values[other]:
                return pin, "must differ from " + other.replace(".", "_") + " (%d)" % values[other]
    return check(values) if check else None


def conflict_text(values, check):
    """The same as text for `problem`, "" when all goes together: stored values may be from another version or a person's hand."""
    found = conflict(values, check)
    return found[0].replace(".", "_") + " " + found[1] if found else ""
