"""Starts the gateway: the same file on the board (after boot.py) and on a computer (which has no boot.py run by itself)."""

import gc
import sys

gc.threshold(8192)  # before anything is loaded: a small heap must not be cut into pieces

if sys.platform != "esp32":  # there boot.py has left its names here
    from boot import Picker, maintenance

    del sys.modules["boot"]


def run():
    """Start the application of the slot; never returns on a board."""
    try:
        from firmware import app

        app.main(sys.argv[1:])
    except Exception as error:
        if sys.platform != "esp32":
            raise
        import machine
        import time

        sys.print_exception(error)
        time.sleep(10)  # time to read it, and for Ctrl-C
        machine.reset()


slot = None if maintenance else Picker().pick()
del Picker
gc.collect()
if slot:
    run()
