"""Starts the gateway: the same file on the board (after boot.py) and on a computer (which has no boot.py run by itself)."""

import gc
import sys

gc.threshold(8192)  # before anything is loaded: a small heap must not be cut into pieces

if sys.platform != "esp32":
    import boot  # noqa: F401  the board has run it already

from firmware import app  # noqa: E402

app.main(sys.argv[1:])
