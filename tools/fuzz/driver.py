"""Runs under MicroPython: `driver.py TARGET DIRECTORY` gives each case from stdin to that target of tools/fuzz/device/.

In: four bytes of length, the case; an empty one asks for the heap in use. Out: "=", four bytes of length, JSON.
"""

import gc
import io
import json
import sys

sys.path[:0] = [".", "lib"]

from tools.fuzz import device  # noqa: E402


def _exactly(stream, count):
    data = b""
    while len(data) < count:
        piece = stream.read(count - len(data))
        if not piece:
            sys.exit(0)
        data += piece
    return data


def _answer(run, case):
    if not case:
        gc.collect()
        return gc.mem_alloc()
    try:
        return run(case)
    except Exception as error:
        text = io.StringIO()
        sys.print_exception(error, text)
        return {"crash": text.getvalue()}


def main(name):
    run = device.target(name)
    stdin, stdout = sys.stdin.buffer, sys.stdout.buffer
    while True:
        case = _exactly(stdin, int.from_bytes(_exactly(stdin, 4), "big"))
        text = json.dumps(_answer(run, case)).encode()
        stdout.write(b"=" + len(text).to_bytes(4, "big") + text)


main(sys.argv[1])
