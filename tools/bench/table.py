"""The lines of `make bench`: what, measured, asked for, and the verdict; broken lines name their reason."""

from dataclasses import dataclass, replace

from tools import budgets
from tools.processes import ROOT

README = ROOT / "README.md"
BEGIN, END = "<!-- bench: made by `make bench ARGS=--readme` -->", "<!-- end of bench -->"

# Lines that are broken today, and why. A line that is broken and not here ends the run with exit code 1.
_LARGER = "parts larger than planned; takes fewer parts, or what start.py leaves out where memory is short"
KNOWN = {name: known.reason for name, known in budgets.KNOWN.items()} | {
    "resident heap, 64-bit port": _LARGER,
}


@dataclass(frozen=True)
class Row:
    """`kept` None: nothing is asked for. `reason`: why it is broken, where that is known."""

    what: str
    measured: str
    asked: str = ""
    kept: bool | None = None
    reason: str = ""

    @property
    def verdict(self):
        if self.kept is None:
            return "-"
        if self.kept:
            return "kept"
        return f"broken: {self.reason}" if self.reason else "BROKEN"

    @property
    def unexplained(self):
        return self.kept is False and not self.reason

    def __str__(self):
        return f"{self.what:52} {self.measured:48} {self.asked:18} {self.verdict}".rstrip()


def explained(row):
    """The row with the reason from KNOWN when it is broken."""
    return replace(row, reason=row.reason or KNOWN.get(row.what.strip(), "")) if row.kept is False else row


def percentile(values, part):
    """The value below or at which `part` (0...1) of `values` lie."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(part * len(ordered)))]


def write_readme(lines, path=README):
    """Put `lines` between the markers of the README, as a block of code."""
    text = path.read_text()
    before, begin, rest = text.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise SystemExit(f"bench: {path.name} has no markers {BEGIN} and {END}")
    block = "\n".join("    " + line if line else "" for line in lines)
    path.write_text(f"{before}{BEGIN}\n\n{block}\n\n{END}{after}")
