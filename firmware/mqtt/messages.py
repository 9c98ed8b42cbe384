"""The texts of the topics `status` and `metrics`: whole numbers as decimal text, put into the lines of messages.txt."""

from firmware import live as L

# Fields in the order of messages.txt, and the digits after the point in the unit of their name
_FIELDS = bytes(
    (
        L.VOLTAGE, L.CURRENT, L.SOC, L.SOH, L.TEMP_INT, L.TEMP_EXT1, L.TEMP_EXT2, L.CELL_MIN, L.CELL_MAX, L.CELL_MIN_AT,
        L.CELL_MAX_AT, L.BALANCING, L.TIME_LEFT, L.STAT_CHARGE_COUNT, L.STAT_FULL_COUNT, L.CVL, L.CCL, L.DCL, L.ENERGY_IN,
        L.ENERGY_OUT,
    )
)  # fmt: skip
_DIGITS = b"\3\3\2\2\1\1\1\3\3\0\0\0\0\0\0\3\3\3\3\3"
# Bits of FAULTS and of WARNINGS (tinybms_uart facts 11), as in /ws/telemetry
_FAULT_BITS = (1 << 3, 1 << 2, 1 << 6 | 1 << 7, 1 << 5, 1 << 4, 1 << 10)
_WARNING_BITS = (0, 1 << 1, 0, 0, 0, 1 << 7)


def fixed(value, digits=0):
    """JSON text of value / 10^digits; null for None."""
    if value is None:
        return "null"
    text = str(abs(value))
    if digits:
        text = "0" * (digits + 1 - len(text)) + text
        text = text[:-digits] + "." + text[-digits:]
    return "-" + text if value < 0 else text


class _View:
    """The snapshot as of now: measured values are None while the battery is away, what was sent and counted is not."""

    def __init__(self, live, board):
        self._live = live
        self._on = live.connected()
        self.out = [board.epoch_ms(), live.age_ms(), live.status()]

    def get(self, field):
        return self._live.get(field) if self._on or field >= L.CVL else None

    def put(self, value, digits=0):
        self.out.append(fixed(value, digits))

    def text(self, line):
        """All of it in line `line` of the templates."""
        with open(__file__.rsplit(".", 1)[0] + ".txt") as file:  # at once: `readline` asks for each byte by itself
            return (file.read().split("\n")[line] % tuple(self.out)).encode()

    def temperature(self):
        self.put(self._live.temperature() if self._on else None, 1)


def status(live, board):
    """The battery of /api/status and the limits."""
    view = _View(live, board)
    get, put = view.get, view.put
    put(get(L.VOLTAGE))
    put(get(L.CURRENT))
    put(get(L.CELL_COUNT))
    for field in (L.SOC, L.SOH):
        value = get(field)
        put(None if value is None else value // 100)
    view.temperature()
    for field in (L.CVL, L.CCL, L.DCL):
        put(get(field))
    return view.text(0)


def metrics(live, board, counters, driver):
    """Everything measured. What is not known, or old, is null; `cells` is empty while the battery is away."""
    view = _View(live, board)
    get, put = view.get, view.put
    for i, digits in enumerate(_DIGITS):
        put(get(_FIELDS[i]), digits)
    volt, amps, low, high = get(L.VOLTAGE), get(L.CURRENT), get(L.CELL_MIN), get(L.CELL_MAX)
    put(None if volt is None or amps is None else volt * amps // 100_000, 1)
    put(None if low is None or high is None else high - low, 3)
    view.temperature()
    faults, warnings = get(L.FAULTS), get(L.WARNINGS)
    for i, bits in enumerate(_FAULT_BITS):
        if faults is None or warnings is None or faults & L.UNKNOWN_FAULT:
            put(None)
        else:
            view.out.append("true" if faults & bits or warnings & _WARNING_BITS[i] else "false")
    for value in (counters.polls, counters.timeouts, counters.crc_errors, driver.sent, driver.errors, board.uptime_s()):
        put(value)
    put(board.heap_free())
    view.out.append(",".join([fixed(get(L.CELL + i), 3) for i in range(get(L.CELL_COUNT) or 0)]))
    return view.text(1)
