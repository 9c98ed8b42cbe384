"""The firmware under MicroPython's webassembly port: 32 bits, small ints of 31, ticks that wrap at 2^30, as on a board."""

import ast

import pytest

from tools import wasm
from tools.build import VIPER
from tools.plain import plain
from tools.processes import ROOT

UNIT = ROOT / "tests" / "unit"

# Unit tests that run here too, and what of them cannot: it measures allocation (no collection within a step), needs a real
# socket or littlefs, or takes long and has no numbers in it
FILES = {
    "test_bms_codec": (),
    "test_bms_plausible": (),
    "test_bus": (),
    "test_can_frames": ("test_nothing_allocated",),
    "test_catalogue": (),
    "test_charge_safety": (),
    "test_config": (),
    "test_pins": (),
    "test_energy": (
        "test_clock_set_back_over_midnight_keeps_the_day",
        "test_constant_power_is_exact",
        "test_days",
        "test_gaps_are_not_counted",
        "test_restart_after_midnight_without_a_clock",
        "test_saved_after_ten_watt_hours_or_ten_minutes",
        "test_small_currents_add_up",
    ),
    "test_history": ("test_a_poll_allocates_nothing",),
    "test_history_archive": (
        "test_blocks_of_ten_minutes_and_files_of_fixed_size",
        "test_clock_is_set_after_minutes_and_after_hours",
        "test_full_disk",
        "test_minutes_and_quarters_in_order_with_their_gaps",
        "test_rings_wrap",
        "test_small_and_large_steps_of_the_clock",
    ),
    "test_alerts_events": (),
    "test_live": (),
    "test_resolver": ("test_asks_once_and_keeps",),
    "test_system": (),
}
# Bytes, measured 82_356: 78.3 of the 85 KB of DESIGN 6 (tools.wasm gives 80_228), and 2.1 KB of viper functions, which a board
# puts beside its heap. It does not vary: tools/wasm_run.mjs
RESIDENT_MAX = 83_500
_ONE = """
import gc, io
def one(name):
    try:
        run._run_one(module, name)
        print("ok")
    except Exception as error:
        sys.print_exception(error, sys.stdout)
    gc.collect()
"""


@pytest.fixture(scope="module")
def sources(tmp_path_factory):
    """{path there: path here} of the firmware as it is written, viper as bytecode, with the unit tests beside it."""
    directory = tmp_path_factory.mktemp("plain")
    files = wasm.tree(ROOT / "tests" / "unit", "/tests/unit")
    for name in ("tests/data", "tests/stand_ins", "tests/hardware_model", "lib/microdot"):
        files.update(wasm.tree(ROOT / name, "/" + name))
    for there, path in wasm.tree(ROOT / "firmware", "/firmware").items():
        if path.suffix == ".py" and VIPER.search(path.read_text()):
            target = directory / there[1:].replace("/", "_")
            target.write_text(plain(path.read_text()))
            path = target
        files[there] = path
    files["/tests/__init__.py"] = ROOT / "tests" / "__init__.py"
    return {there: path for there, path in files.items() if path.suffix != ".pyc"}


@pytest.mark.parametrize("name", FILES)
def test_unit_tests(sources, name):
    tree = ast.parse((UNIT / f"{name}.py").read_text())
    functions = ast.FunctionDef | ast.AsyncFunctionDef
    tests = [node.name for node in tree.body if isinstance(node, functions) and node.name.startswith("test_")]
    tests = [test for test in tests if test not in FILES[name]]
    steps = [
        "sys.path[:] = ['/', '/tests/stand_ins', '/host', '/lib', '.frozen']\nfrom tests.unit import run",
        f"from tests.unit import {name} as module",
        _ONE,
        *(f"one({test!r})" for test in tests),
    ]
    printed = wasm.run(sources, steps)[-len(tests) :]
    failed = [f"{test}\n{text}" for test, text in zip(tests, printed) if not text.endswith("ok")]
    assert not failed, "\n".join(failed)


def test_every_module_loads():
    """Each module of the build by itself, and what it keeps of the heap (with what it needs and nobody had loaded before)."""
    files = wasm.built()
    names = sorted(
        there[len("/slot/") : -len(".mpy")].removeprefix("lib/").replace("/", ".").removesuffix(".__init__")
        for there in files
        if there.endswith(".mpy") and "/umqtt/" not in there
    )
    steps = ["import gc", "print(0, gc.mem_alloc())"]
    for name in names:
        steps += [f"import {name}", "gc.collect()", "print(0, gc.mem_alloc())"]
    figures = [int(text.split()[-1]) for text in wasm.run(files, steps) if text]
    for name, before, after in zip(names, figures, figures[1:]):
        print(f"{after - before:7} {name}")
    assert len(figures) == len(names) + 1 > 60


def test_the_gateway_runs_and_fits():
    """Started on the ESP32's board over a battery and a CAN controller of the tests; DESIGN 6 gives the budget."""
    files = wasm.application()
    look = (wasm.COLLECT, wasm.USED, "await machine.end()")
    printed = wasm.run(files, [*wasm.START, *wasm.STEPS.values(), *(look * 3), "machine.state()"])
    state = ast.literal_eval(printed[-1])
    assert state["problems"] == []
    assert state["healthy"] and state["connected"]
    assert not [text for text in printed if "died" in text]
    assert 0x351 in state["frames"] and 0x35A in state["frames"]
    before, *looks = wasm.figures(printed)
    after = min(looks)  # what was loaded at that moment, and is forgotten, is not resident
    table, count = wasm.names_table(printed)
    print(f"resident: {after - before + table} bytes, {count} names; looks: {looks}")
    assert after - before + table < RESIDENT_MAX
    assert table < 5000, "more names, and a board's table of them takes 4.5 KB more: see tools/names.py"


def test_bluetooth_with_the_whole_gateway():
    """The battery service over the stand-in of aioble, from the shortened build."""
    machine = 'machine = wasm_app.Machine(\', "ble": {"enabled": true}\')'
    read = "import aioble; print(machine.app.ble.state, aioble.fake_read(0x2A19)[0], machine.app.tasks.problems())"
    steps = ["import wasm_app", machine, *wasm.STEPS.values(), "import asyncio; await asyncio.sleep_ms(1500)", read]
    assert wasm.run(wasm.application(), steps)[-1] == "battery 84 []"
