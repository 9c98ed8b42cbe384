"""Who may do what: own Host and Origin from the first boot, and the admin password once there is one.

Reading and the documented calls are open until a password is set. Then every change and every secret needs HTTP Basic, and with
`auth.protect_reads` everything does. What can do harm and is not in the public reference answers 403 until a password is set.

Forgotten password: with the board in hand, put a file `reset_password` into the data directory (`mpremote touch
:data/reset_password`, or `touch .data/reset_password` on a computer) and restart.
"""

from firmware import lazy
from firmware.http.api import ApiError

_SAFE = ("GET", "HEAD", "OPTIONS")


class Auth:
    """The password lives as salted hash in the hidden keys auth.password_* of the configuration."""

    def __init__(self, parts, door):
        self._parts = parts
        self._door = door
        self._config = parts.config
        self._login = None

    @property
    def password_set(self):
        return self._config.get("auth.password_hash") != ""

    def forget(self):
        """Remove the password. Raises OSError when that cannot be stored."""
        self._config.set({"auth.password_hash": "", "auth.password_salt": "", "auth.protect_reads": False})
        self._login = self._door.login = None

    def login(self):
        """The part that knows the password, loaded when there is one."""
        if self._login is None:
            from firmware.http.login import Login

            self._login = Login(self._parts, self._door)
        return self._login

    def check(self, request, guarded=False):
        """Runs before each handler; raises ApiError 401, 403 or 429. `guarded`: needs a password to be set at all.

        Gives what is to be awaited where a password is asked for, which takes its time, else None.
        """
        changes = guarded or request.method not in _SAFE
        if changes or request.path.startswith("/ws/"):
            lazy.once("http.origin").check(request.headers, self._config)
        if not self.password_set:
            if guarded:
                raise ApiError(403, "PASSWORD_REQUIRED", "Forbidden", "set an admin password first")
        elif changes or self._config.get("auth.protect_reads"):
            return self.login().check(request)
        return None
