"""Command line of the virtual CAN bus."""

from __future__ import annotations

import argparse
import asyncio
import signal

from tools import control, virtual_can
from tools.virtual_can.adapter import ACK_STYLES, Adapter
from tools.virtual_can.hub import NO_ACK_MODES, Hub


async def serve(hub, listen, control_at):
    """Serve until cancelled or told to end by a signal; prints where."""
    loop = asyncio.get_running_loop()
    end = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, end.set)
    bus = await loop.create_server(lambda: Adapter(hub), *control.host_port(listen))
    side = await control.serve(hub.control, *control.host_port(control_at))
    print("can slcan+socket://" + control.name_of(bus))
    print("control socket://" + control.name_of(side))
    print("ready", flush=True)
    await end.wait()


def main(argv=None):
    parser = argparse.ArgumentParser(
        prog="virtual_can", description=virtual_can.__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--listen", default="127.0.0.1:0", metavar="HOST:PORT", help="SLCAN clients; port 0: any")
    parser.add_argument("--control", default="127.0.0.1:0", metavar="HOST:PORT", help="control channel; port 0: any")
    parser.add_argument("--no-ack", choices=NO_ACK_MODES, default="fifo", help="a frame that nobody acknowledges")
    parser.add_argument("--ack", choices=tuple(ACK_STYLES), default="z", help="answer to a frame that was taken")
    options = parser.parse_args(argv)
    try:
        asyncio.run(serve(Hub(options.no_ack, options.ack), options.listen, options.control))
    except (OSError, ValueError) as error:  # cannot listen there
        parser.error(str(error))


if __name__ == "__main__":
    main()
