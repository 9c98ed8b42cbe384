"""The admin password: a stretched hash in slices, and a lock for those who guess. Loaded when there is one."""

import asyncio
import binascii
import hashlib
import os
from micropython import const
from firmware.http.api import ApiError

USER = "admin"
_ROUNDS = const(8000)  # about 0.6 s on an ESP32 (esp32_micropython facts T19), in slices
_SLICE = const(20)  # rounds between looks at the clock
_SLICE_MS = const(10)
_FREE_FAILURES = const(5)
_LOCK_FIRST_S = const(10)
_LOCK_MAX_S = const(300)
_ADDRESSES_MAX = const(16)


def same(a, b):
    """Compare bytes in a time that does not tell where they differ."""
    if len(a) != len(b):
        return False
    different = 0
    for i in range(len(a)):
        different |= a[i] ^ b[i]
    return different == 0


async def stretch(password, salt, rounds, clock):
    """SHA-256 over `password` and `salt` (bytes), `rounds` times; other tasks run after every 10 ms."""
    digest = salt
    since = clock.ticks_ms()
    for i in range(rounds):
        digest = hashlib.sha256(digest + salt + password).digest()
        if i % _SLICE == 0 and clock.ticks_diff(clock.ticks_ms(), since) >= _SLICE_MS:
            await asyncio.sleep_ms(0)
            since = clock.ticks_ms()
    return digest


class Login:
    """`door.login` keeps what must not be forgotten with this: the failures, {address: [number, locked until (uptime s)]}, the
    key of this start, and the keyed hash of the last good credential."""

    def __init__(self, parts, door):
        self._config = parts.config
        self._clock = parts.board
        self._log = parts.log
        self._lock = asyncio.Lock()
        if door.login is None:
            door.login = [{}, os.urandom(16), None]
        self._kept = door.login
        self._failures = self._kept[0]

    async def set_password(self, password):
        """Store the new password. Raises ApiError 500."""
        salt = os.urandom(16)
        digest = await stretch(password.encode(), salt, _ROUNDS, self._clock)
        try:
            self._config.set(
                {
                    "auth.password_hash": binascii.hexlify(digest).decode(),
                    "auth.password_salt": binascii.hexlify(salt).decode(),
                    "auth.rounds": _ROUNDS,
                }
            )
        except OSError as error:
            raise ApiError(500, "STORAGE_ERROR", "Password not saved", str(error))
        self._kept[2] = None
        self._log.warning("auth", "admin password was set")

    async def check(self, request):
        """Raises ApiError 401 without the right credential, 429 after too many wrong ones."""
        entry = self._failures.get(request.client_addr)
        now = self._clock.uptime_ms() // 1000
        if entry and now < entry[1]:
            self._too_many(entry[1] - now)
        header = request.headers.get("authorization", "")
        if not header:
            raise self._unauthorized(request, "log in as " + USER)
        _, key, good = self._kept
        mark = hashlib.sha256(key + header.encode()).digest()
        if good is not None and same(mark, good):
            return
        async with self._lock:
            right = await self._verify(header)
        if not right:
            self._failed(request.client_addr)
            raise self._unauthorized(request, "wrong user or password")
        self._kept[2] = mark
        self._failures.pop(request.client_addr, None)

    async def _verify(self, header):
        kind, _, text = header.partition(" ")
        try:
            user, _, password = binascii.a2b_base64(text).partition(b":")
        except ValueError:
            return False
        salt = binascii.unhexlify(self._config.get("auth.password_salt"))
        digest = await stretch(password, salt, self._config.get("auth.rounds"), self._clock)
        wanted = binascii.unhexlify(self._config.get("auth.password_hash"))
        return same(digest, wanted) and user == USER.encode() and kind.lower() == "basic"

    def _failed(self, address):
        now = self._clock.uptime_ms() // 1000
        entry = self._failures.get(address)
        if entry is None:
            if len(self._failures) >= _ADDRESSES_MAX:
                oldest = min(self._failures, key=lambda key: self._failures[key][1])
                del self._failures[oldest]
            entry = self._failures[address] = [0, 0]
        entry[0] += 1
        over = entry[0] - _FREE_FAILURES
        if over >= 0:
            entry[1] = now + min(_LOCK_MAX_S, _LOCK_FIRST_S << min(over, 5))
            self._log.warning("auth", "%d wrong passwords from one address" % entry[0])

    @staticmethod
    def _too_many(seconds):
        details = "try again in %d s" % seconds
        raise ApiError(429, "TOO_MANY_FAILURES", "Too many requests", details, {"Retry-After": str(seconds)})

    @staticmethod
    def _unauthorized(request, details):
        header = {"WWW-Authenticate": 'Basic realm="TinyBMS-GW", charset="UTF-8"'}
        if "x-requested-with" in request.headers:
            header = None  # our page asks for the password itself; the browser shall not
        return ApiError(401, "UNAUTHORIZED", "Unauthorized", details, header)
