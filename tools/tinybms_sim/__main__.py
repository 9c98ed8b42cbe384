"""A simulated TinyBMS: `python -m tools.tinybms_sim --help`.

Prints one line for each end that is open (`uart socket://HOST:PORT` or `uart /dev/pts/N`, `control
socket://HOST:PORT`), then `ready`. SIGINT and SIGTERM end it.
"""

import argparse
import asyncio
import json
import signal
import sys

from tools.tinybms_sim.battery import Battery
from tools.tinybms_sim.bms import TinyBms
from tools.tinybms_sim.chemistry import CHEMISTRY
from tools.tinybms_sim.scenarios import SCENARIOS
from tools.tinybms_sim.server import Server


def _address(text):
    host, _, port = text.rpartition(":")
    return host or "127.0.0.1", int(port)


def _arguments(arguments):
    parser = argparse.ArgumentParser("tinybms_sim", description="A simulated TinyBMS with its battery.")
    add = parser.add_argument
    add("--listen", type=_address, metavar="HOST:PORT", help="the UART on TCP, port 0 = any (default unless --pty)")
    add("--pty", action="store_true", help="the UART on a pseudo-terminal")
    add(
        "--control",
        type=_address,
        metavar="HOST:PORT",
        default=("127.0.0.1", 0),
        help="control channel (default: any port)",
    )
    add("--dump", metavar="FILE", help="JSON object register -> word, served as it is instead of the battery")
    add("--scenario", choices=SCENARIOS, default="normal")
    add("--list-scenarios", action="store_true")
    add("--speed", type=float, default=1.0, help="the battery's time against ours")
    add("--cells", type=int, default=16, choices=range(4, 17), metavar="4-16")
    add("--capacity", type=float, default=280.0, metavar="AH")
    add("--chemistry", choices=CHEMISTRY, default="lfp")
    add("--soc", type=float, metavar="PERCENT", help="instead of the scenario's")
    add("--firmware", type=int, default=254, metavar="NNN", help="of 2.3.NNN; SoH from 251, peak cut-off from 254")
    add("--low-power", action="store_true", help="a low-power board: status thresholds of 80 instead of 800 mA")
    add("--lifetime", type=int, default=12_000_000, metavar="S", help="lifetime counter at start; stamps wrap at 2^24")
    add("--seed", type=int, default=1)
    return parser.parse_args(arguments)


def build(options):
    """The Server for the options of the command line."""
    scenario = SCENARIOS[options.scenario]
    arguments = scenario.battery | ({} if options.soc is None else {"soc": options.soc})
    battery = Battery(
        options.cells,
        options.capacity,
        options.chemistry,
        seed=options.seed,
        high_power=not options.low_power,
        **arguments,
    )
    for name, value in scenario.inputs.items():
        setattr(battery, name, value)
    battery.profile = scenario.profile
    words = None
    if options.dump:
        with open(options.dump, encoding="utf-8") as file:
            words = {int(register): int(word) for register, word in json.load(file).items()}
        if not all(0 <= word <= 0xFFFF for word in words.values()):
            raise ValueError(f"{options.dump}: a word is 0...65535")
    bms = TinyBms(battery, words, options.firmware, options.lifetime, seed=options.seed)
    server = Server(bms, options.seed, options.speed)
    for name, settings in scenario.faults.items():
        server.line.faults.set(name, **settings)
    return server


async def _serve(options):
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop.set)
    server = build(options)
    if options.listen or not options.pty:
        print("uart", await server.listen(*(options.listen or ("127.0.0.1", 0))), flush=True)
    if options.pty:
        print("uart", server.open_pty(), flush=True)
    print("control", await server.control(*options.control), flush=True)
    task = asyncio.ensure_future(server.run())
    print("ready", flush=True)
    await asyncio.wait([task, asyncio.ensure_future(stop.wait())], return_when=asyncio.FIRST_COMPLETED)
    if task.done():
        task.result()  # it only ends by an error
    task.cancel()


def main(arguments=None):
    options = _arguments(arguments)
    if options.list_scenarios:
        for name, scenario in SCENARIOS.items():
            print(f"{name:10} {scenario.help}")
        return 0
    try:
        asyncio.run(_serve(options))
    except (OSError, ValueError) as error:
        print(f"tinybms_sim: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
