"""Starts the gateway: the same file on the board (after boot.py) and on a computer (which has no boot.py run by itself)."""

import sys

if sys.platform != "esp32":
    import boot  # noqa: F401  the board has run it already

from firmware import app

app.main(sys.argv[1:])
