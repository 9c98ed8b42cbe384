"""The table of modules that stay loaded (tools/budgets.py) against a gateway that runs."""

from pathlib import Path

from tools import budgets
from tools.budgets import Known, resident
from tools.chips import CHIPS
from tools.processes import HOST_BUILD, micropython

DRIVER = Path(__file__).with_name("resident_driver.py")


def test_what_stays_loaded_is_in_the_table(parts, host_build):
    parts.start_sim()
    parts.start_can()
    parts.gx()
    options = ["--uart", parts.uart_url, "--can", parts.can_url, "--port", "0", "--data", str(parts.data)]
    child = parts.start("resident", [micropython(), "-X", "heapsize=4M", DRIVER, "40", *options], cwd=HOST_BUILD)
    child.wait_line("end", 120)
    modules = {line.split()[1] for line in child.lines if line.startswith("module ")}
    loaded = set()
    for name in modules:
        path = name.replace(".", "/")
        for place in (path, f"{path}/__init__", f"lib/{path}", f"lib/{path}/__init__"):
            if (HOST_BUILD / "slot_a" / f"{place}.mpy").exists():
                loaded.add(place)
    wanted = set(resident(CHIPS["host"]))
    assert loaded == wanted, f"loaded besides: {sorted(loaded - wanted)}; not loaded: {sorted(wanted - loaded)}"


def test_a_broken_limit_passes_only_as_far_as_it_is_known(monkeypatch, capsys):
    monkeypatch.setattr(budgets, "KNOWN", {"a": Known(120, "because")})
    assert budgets.check([("a", 110, 100, "bytes"), ("b", 99, 100, "bytes")]) == []
    assert "because" in capsys.readouterr().out
    assert budgets.check([("a", 121, 100, "bytes"), ("b", 101, 100, "bytes")]) == ["a", "b"]


def test_blocks():
    assert budgets.blocks({"a/b.mpy": 100, "a/c.mpy": 4092, "a/d/e.mpy": 4093, "f.mpy": 1}) == 3 + 3 * 2
