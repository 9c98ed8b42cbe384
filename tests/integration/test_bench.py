"""`make bench` runs, its options pick lines, and no line is broken without a reason."""

import pytest

from tools.bench import __main__ as bench
from tools.bench import table
from tools.bench.table import Row


def test_quick_groups_are_kept_or_explained(capsys):
    with pytest.raises(SystemExit) as ended:
        bench.main(["--quick", "messages", "start", "mpy", "page"])
    lines = capsys.readouterr().out
    assert ended.value.code == 0 and "BROKEN\n" not in lines, lines
    for name in ("heap of a telemetry message", "first 0x351", "mpy that stay loaded", "dashboard, first view"):
        assert name in lines


def test_bench_of_a_loaded_gateway(capsys):
    with pytest.raises(SystemExit) as ended:
        bench.main(["--quick", "load"])
    text = capsys.readouterr().out
    assert ended.value.code == 0, text
    assert "WebSocket messages/s" in text and "requests answered" not in text and ", 0 WebSocket" not in text


def test_unknown_groups_are_refused(capsys):
    with pytest.raises(SystemExit) as ended:
        bench.main(["nothing"])
    assert ended.value.code == 2


def test_a_broken_line_names_its_reason(monkeypatch):
    monkeypatch.setattr(table, "KNOWN", {"a": "because"})
    assert table.explained(Row("  a", "2", "1", False)).verdict == "broken: because"
    assert not table.explained(Row("a", "2", "1", False)).unexplained
    assert table.explained(Row("b", "2", "1", False)).unexplained
    assert table.explained(Row("a", "1", "1", True)).verdict == "kept"
    assert Row("a", "1").verdict == "-"


def test_percentile():
    assert table.percentile(range(100), 0.99) == 99
    assert table.percentile([5, 1, 3], 0.5) == 3


def test_table_goes_between_the_markers(tmp_path):
    page = tmp_path / "README.md"
    page.write_text(f"before\n{table.BEGIN}\nold\n{table.END}\nafter\n")
    table.write_readme(["one", "", "two"], page)
    assert page.read_text() == f"before\n{table.BEGIN}\n\n    one\n\n    two\n\n{table.END}\nafter\n"
    page.write_text("nothing")
    with pytest.raises(SystemExit):
        table.write_readme(["one"], page)


def test_readme_has_the_markers():
    text = table.README.read_text()
    assert table.BEGIN in text and table.END in text
