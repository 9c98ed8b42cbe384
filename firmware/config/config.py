"""The configuration: in RAM lies what differs from the defaults and what was asked for; the rest is loaded when asked.

Values are int, str or bool under "group.name" keys, see schema.py. Only what differs from the defaults is stored.
"""

from firmware import bus as topics
from firmware import lazy

_LAZY = ("form", "rules", "schema", "store")


class ConfigError(ValueError):
    """A value or key that was refused. `field`: as the caller named it; `details`: text with field and range, for the API."""

    def __init__(self, field, text):
        self.field = field
        self.details = field + " " + text
        super().__init__(self.details)


def _load(name):
    return lazy.load("config." + name)


class Config:
    """All settings of the gateway.

    `directory`: where config.json lies; `mac`: bytes; `bus`: publishes CONFIG with the tuple of changed keys once they are
    stored; `check(values)`: what the board has against the pins, a (key, text) or None. Call `load` first.
    """

    def __init__(self, directory, mac=b"", bus=None, check=None):
        self._directory = directory
        self._mac = mac
        self._bus = bus
        self._check = check
        self._stored = {}  # what differs from the defaults
        self._asked = {}  # values that somebody has asked for: a default is looked up once
        self._idle = False
        self.problem = ""  # why defaults are in use, for the status; "" when all is well

    def load(self, initial=""):
        """Read the stored configuration. Never fails for a stored one: what is damaged is set aside, `problem` says so.

        `initial`: path of a JSON file in the form of GET /api/config. It counts as long as nothing is stored, and is not stored
        itself before something is changed. Raises ConfigError when that file is missing or bad.
        """
        stored, self.problem = _load("store").read(self._directory)
        if stored is not None:
            rules = _load("rules")
            self._stored, self.problem = rules.usable(stored)
            self.problem = self.problem or rules.conflict_text(self, self._check)
        elif initial:
            self._stored = self._form().read_initial(initial, self, self._check)

    def get(self, key):
        """The value of "group.name"; KeyError when there is no such key. Allocates nothing but the first time."""
        value = self._asked.get(key)
        if value is None:
            value = self._asked[key] = self[key]
        return value

    def __getitem__(self, key):
        """As `get`, for a value that is asked for once: it loads the schema and keeps nothing."""
        self._idle = False
        row = _load("schema").find(key)
        if row is None:
            raise KeyError(key)
        return self.value_of(row)

    def value_of(self, row):
        """The value of a schema.Row."""
        value = self._stored.get(row.key)
        return row.make_default(self._mac) if value is None else value

    def nested(self, secrets=False):
        """The object of GET /api/config: {group: {name: value}}; secrets masked, or shown with `secrets`."""
        return self._form().nested(self, secrets)

    def group(self, name):
        """One group of `nested`, secrets masked. KeyError for an unknown group."""
        return self._form().group(self, name)

    def pieces(self):
        """The JSON text of GET /api/config in pieces under 1 KB."""
        return self._form().pieces(self)

    def schema(self):
        """The JSON text of all keys (kind, range, default, flags) in pieces under 1 KB, for a form."""
        return self._form().schema_pieces(self._mac)

    def update(self, obj):
        """Take the object of POST /api/config, nested, flat or mixed: all of it or, with ConfigError, nothing.

        Gives (changed keys, restart needed). Raises OSError when it cannot be stored; then nothing is changed either.
        """
        return self._apply(self._form().changes(self, obj, "", self._check))

    def update_group(self, group, obj):
        """`update` with the names inside one group (POST /api/mqtt/config, /api/alerts/config)."""
        return self._apply(self._form().changes(self, obj, group, self._check))

    def preview_group(self, group, obj):
        """{key: value} that `update_group` would change; nothing is stored. Raises ConfigError."""
        return self._form().changes(self, obj, group, self._check)

    def set(self, values):
        """Set full keys, hidden ones too (the owner of a key calls this): {"auth.password_hash": "..."}. Like `update`."""
        return self._apply(self._form().full_changes(self, values, self._check))

    def backup(self, secrets=False):
        """The object of GET /api/config/backup."""
        return self._form().backup(self, secrets)

    def restore(self, obj):
        """Take what `backup` gave: keys that are missing go to their default; masked or missing secrets stay. Like `update`."""
        return self._apply(self._form().restore(self, obj, self._mac, self._check))

    def idle(self):
        """Call now and then (each 10 s): drops the schema when nothing needed it since the last call."""
        if self._idle:
            self.release()
        self._idle = True

    def release(self):
        """Drop what was loaded when asked."""
        for name in _LAZY:
            lazy.drop("config." + name)

    def _form(self):
        self._idle = False
        return _load("form")

    def _apply(self, changes):
        """Store the values with `changes` (full keys), then take them and tell the bus."""
        if not changes:
            return (), False
        form = self._form()
        rules = _load("rules")
        stored = dict(self._stored)
        stored.update(changes)
        stored = rules.differing(stored, self._mac)
        _load("store").write(self._directory, stored)
        self._stored = stored
        for key, value in changes.items():
            if key in self._asked:
                self._asked[key] = value
        self.problem = rules.conflict_text(self, self._check)
        keys = tuple(changes)
        restart = form.restart_needed(keys)
        if self._bus:
            self._bus.publish(topics.CONFIG, keys)
        return keys, restart
