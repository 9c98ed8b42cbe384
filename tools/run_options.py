"""The options of tools/run.py: what there is, and what can be told to be wrong before anything is started."""

from __future__ import annotations

import argparse
import json
import os
import re
import socket
from pathlib import Path

from tools.control import host_port


class Problem(Exception):
    """An option that cannot be used; the text says why in one line."""


class Parser(argparse.ArgumentParser):
    def error(self, message):
        self.exit(2, f"run: {message} (--help lists the options)\n")


def parser(description):
    form = argparse.RawDescriptionHelpFormatter
    it = Parser(prog="run", description=description, epilog=scenario_help(), formatter_class=form)
    it.add_argument("--port", type=int, default=8080, metavar="N", help="port of the page and the API (8080)")
    it.add_argument("--host", default="127.0.0.1", metavar="ADDR", help="address to listen on (127.0.0.1)")
    it.add_argument("--uart", metavar="URL", help="the TinyBMS: socket://HOST:PORT or a device; no simulator then")
    it.add_argument(
        "--can", metavar="URL", help="slcan+socket://HOST:PORT or slcan:/dev/NAME; no simulated bus and GX then"
    )
    it.add_argument("--data", type=Path, default=Path(".data"), metavar="DIR", help="state of this gateway (.data/)")
    it.add_argument("--config", type=Path, metavar="FILE", help="initial configuration, as GET /api/config gives it")
    it.add_argument("--heap", default="1M", metavar="SIZE", help="heap of MicroPython, as 200k or 1M (1M)")
    it.add_argument(
        "--dump", type=Path, metavar="FILE", help="registers for the simulator: JSON object register -> word"
    )
    it.add_argument(
        "--scenario", choices=sorted(scenarios()), metavar="NAME", help="what the simulated battery does, see below"
    )
    it.add_argument("--speed", type=float, metavar="X", help="the battery model's time runs X times as fast (1)")
    it.add_argument("--no-restart", action="store_true", help="a restart is answered and logged, not done")
    return it


def scenarios():
    """{name: what it does} of the simulator."""
    try:
        from tools.tinybms_sim.scenarios import SCENARIOS
    except ImportError:
        return {}
    return {
        name: getattr(one, "help", None) or (one if isinstance(one, str) else "") for name, one in SCENARIOS.items()
    }


def scenario_help():
    lines = [f"  {name:20} {text}" for name, text in scenarios().items()]
    return "\n".join(["scenarios:", *lines]) if lines else ""


def check(options):
    """Raise Problem for options that cannot work."""
    if not 0 <= options.port <= 65535:
        raise Problem(f"--port {options.port}: a port is 0 to 65535")
    heap = re.fullmatch(r"(\d+)w?([kKmM]?)", options.heap)
    size = heap and int(heap[1]) * {"": 1, "k": 1024, "m": 1 << 20}[heap[2].lower()]
    if not heap or not 64 * 1024 <= size <= 1 << 30:
        raise Problem(f"--heap {options.heap}: a size like 200k or 1M, 64k to 1024M")
    if options.speed is not None and not 0 < options.speed <= 100_000:
        raise Problem(f"--speed {options.speed:g}: above 0, up to 100000")
    if options.uart:
        check_endpoint("--uart", options.uart, "socket://", "")
    if options.can:
        check_endpoint("--can", options.can, "slcan+socket://", "slcan:")
    for name in ("config", "dump"):
        path = getattr(options, name)
        if path is not None:
            check_json(f"--{name}", path)
    check_port(options.host, options.port)


def check_endpoint(name, url, net, device):
    if url.startswith(net):
        try:
            host_port(url)
        except ValueError:
            raise Problem(f"{name} {url}: no port") from None
        return
    path = url[len(device) :]
    if not url.startswith(device) or "://" in url or not path:
        raise Problem(f"{name} {url}: {net}HOST:PORT or {device}/dev/NAME is meant")
    if not os.path.exists(path):
        raise Problem(f"{name} {url}: {path} is not there")
    if not os.access(path, os.R_OK | os.W_OK):
        raise Problem(f"{name} {url}: no permission to read and write {path}")


def check_json(name, path):
    try:
        content = json.loads(path.read_text())
    except (OSError, UnicodeDecodeError) as error:
        raise Problem(f"{name} {path}: {getattr(error, 'strerror', None) or error}") from None
    except ValueError as error:
        raise Problem(f"{name} {path}: no JSON: {error}") from None
    if not isinstance(content, dict):
        raise Problem(f"{name} {path}: no JSON object")


def check_port(host, port):
    try:
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind((host, port))
    except OSError as error:
        raise Problem(f"cannot listen on {host}:{port}: {error.strerror or error}") from None
