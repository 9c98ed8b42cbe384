"""Who may do what: own Host and Origin from the first boot, and the admin password once there is one.

Reading and the documented calls are open until a password is set. Then every change and every secret needs HTTP Basic, and with
`auth.protect_reads` everything does. What can do harm and is not in the public reference answers 403 until a password is set.

Forgotten password: with the board in hand, put a file `reset_password` into the data directory (`mpremote touch
:data/reset_password`, or `touch .data/reset_password` on a computer) and restart.
"""

import os
from firmware.http.api import ApiError

_SAFE = ("GET", "HEAD", "OPTIONS")


def host_of(authority):
    """("name", ":port" or "") of a Host header or the rest of an Origin, in lower case; brackets of IPv6 stay."""
    authority = authority.lower()
    if authority.startswith("["):
        name, bracket, port = authority.partition("]")
        return name + bracket, port
    name, colon, port = authority.partition(":")
    return name, colon + port


def _is_ip(name):
    if name.startswith("["):
        return True
    words = name.split(".")
    return len(words) == 4 and all(word.isdigit() and len(word) < 4 for word in words)


class Auth:
    """The password lives as salted hash in the hidden keys auth.password_* of the configuration."""

    def __init__(self, parts):
        self._parts = parts
        self._config = parts.config
        self._login = None
        marker = parts.board.data_dir + "/reset_password"
        if _exists(marker):
            self.forget()
            os.remove(marker)
            parts.log.warning("auth", "admin password was reset by the file reset_password")

    @property
    def password_set(self):
        return self._config.get("auth.password_hash") != ""

    def forget(self):
        """Remove the password (a person holds the board in hand). Raises OSError when that cannot be stored."""
        self._config.set({"auth.password_hash": "", "auth.password_salt": "", "auth.protect_reads": False})
        self._login = None

    def login(self):
        """The part that knows the password, loaded when there is one."""
        if self._login is None:
            from firmware.http.login import Login

            self._login = Login(self._parts)
        return self._login

    async def check(self, request, guarded=False):
        """Runs before each handler; raises ApiError 401, 403 or 429. `guarded`: needs a password to be set at all."""
        changes = guarded or request.method not in _SAFE
        if changes or request.path.startswith("/ws/"):
            self._check_origin(request.headers)
        if not self.password_set:
            if guarded:
                raise ApiError(403, "PASSWORD_REQUIRED", "Forbidden", "set an admin password first")
        elif changes or self._config.get("auth.protect_reads"):
            await self.login().check(request)

    # -- Host and Origin ---------------------------------------------------------------------------------------------

    def _is_own(self, name):
        if _is_ip(name) or name == "localhost":
            return True
        if name == self._config.get("system.hostname").lower() + ".local":
            return True
        return name in self._config.get("auth.allowed_hosts").lower().replace(",", " ").split()

    def _check_origin(self, headers):
        """Raises ApiError 403 when the request comes from a foreign page, or by a name that is not ours (DNS rebinding)."""
        host = headers.get("host", "")
        name, port = host_of(host)
        if host and not self._is_own(name):
            raise ApiError(403, "FOREIGN_HOST", "Forbidden", "Host is not an address or name of this gateway")
        origin = headers.get("origin")
        if origin is None:
            return
        scheme, _, authority = origin.partition("://")
        other, other_port = host_of(authority)
        if (other, other_port or ":80") == (name, port or ":80") and scheme in ("http", "https"):
            return
        if other and other != name and not _is_ip(other) and other != "localhost" and self._is_own(other):
            return  # a name from auth.allowed_hosts, behind a proxy perhaps
        raise ApiError(403, "FOREIGN_ORIGIN", "Forbidden", "Origin is not this gateway")


def _exists(path):
    try:
        os.stat(path)
        return True
    except OSError:
        return False
