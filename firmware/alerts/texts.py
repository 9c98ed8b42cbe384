"""The messages, in French or English, from fr.txt and en.txt. Loaded when somebody looks.

A line is `TYPE DECIMALS TEXT`, or `TYPE.VALUE 0 TEXT` for one value of the type. In the text $v is the value and $l the limit,
both divided by 10^DECIMALS, $c the pack cell, $x the id of a BMS event in hexadecimal.
"""


class Texts:
    """Holds the file of one language (2 KB) as long as it is used."""

    def __init__(self, language):
        with open("%s%s.txt" % (__file__.rsplit("texts.", 1)[0], language)) as file:
            self._text = "\n" + file.read()

    def _find(self, key):
        """[decimals, text] of the line with this key, None when there is none."""
        at = self._text.find("\n%s " % key)
        if at < 0:
            return None
        return self._text[at + 1 : self._text.find("\n", at + 1)].split(" ", 2)[1:]

    def message(self, alert):
        kind = alert.kind
        line = (
            self._find("%d.%d" % (kind, alert.value)) or self._find(kind) or self._find(kind // 100 * 100) or ("0", "")
        )
        decimals = int(line[0])
        text = line[1].replace("$v", decimal(alert.value, decimals)).replace("$l", decimal(alert.limit, decimals))
        event = kind % 100 + (0 if kind < 200 else 0x30 if kind < 300 else 0x60)
        return text.replace("$c", str(alert.cell)).replace("$x", "0x%02X" % event)

    def entry(self, alert):
        """The alert as the API shows it among the active ones."""
        return {
            "alert_id": alert.id,
            "type": alert.kind,
            "severity": alert.severity,
            "status": alert.status,
            "message": self.message(alert),
            "timestamp_ms": alert.times[0],
        }

    def history_entry(self, alert):
        """The same with what the history adds; times that are not known are None."""
        entry = self.entry(alert)
        entry["ack_timestamp_ms"], entry["clear_timestamp_ms"] = alert.times[1:]
        return entry


def decimal(value, decimals):
    """`value` / 10^decimals without needless zeros: (2800, 3) -> "2.8"."""
    if not decimals:
        return str(value)
    sign = "-" if value < 0 else ""
    scale = 10**decimals
    whole, part = divmod(abs(value), scale)
    text = ("%0" + str(decimals) + "d") % part
    return (sign + str(whole) + "." + text).rstrip("0").rstrip(".")
