"""The password of the access point. Loaded for one use."""

import os
from micropython import const

_PASSWORD = "/ap_password"
_PASSWORD_SIZE = const(10)
_LETTERS = "abcdefghjkmnpqrstuvwxyz23456789"  # 31 that are not taken for each other: 49 bits in ten
_ALL = const(248)  # 8 x 31: bytes above would make some letters more likely


def password(board, log):
    """The password of the access point: made once, kept as text in the data directory."""
    path = board.data_dir + _PASSWORD
    try:
        with open(path) as file:
            kept = file.read(64).strip()
        if 8 <= len(kept) <= 63:
            return kept
    except (OSError, ValueError):  # ValueError: bytes that are no text
        pass
    made = ""
    while len(made) < _PASSWORD_SIZE:
        made += "".join(_LETTERS[byte % len(_LETTERS)] for byte in os.urandom(16) if byte < _ALL)
    made = made[:_PASSWORD_SIZE]
    try:
        with open(path, "w") as file:
            file.write(made + "\n")
    except OSError as error:
        log.error("wifi", "the password of the access point is not kept: %s" % error)
    return made
