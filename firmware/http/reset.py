"""A forgotten admin password: removed by a file that only who holds the board can put there. Loaded at the start only."""

import os


def when_asked(parts):
    """Remove the password when there is a file `reset_password`. Raises OSError when that cannot be stored."""
    marker = parts.board.data_dir + "/reset_password"
    try:
        os.stat(marker)
    except OSError:
        return
    parts.config.set({"auth.password_hash": "", "auth.password_salt": "", "auth.protect_reads": False})
    os.remove(marker)
    parts.log.warning("auth", "admin password was reset by the file reset_password")
