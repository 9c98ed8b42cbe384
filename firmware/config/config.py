"""The configuration: in RAM lies what differs from the defaults and what was asked for; the rest is loaded when asked.

Values are int, str or bool under "group.name" keys, see schema.py. Only what differs from the defaults is stored.
"""

from firmware import lazy
from firmware.lazy import seldom

_LAZY = ("form", "presets", "rules", "schema", "store")


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

    Methods beside those here: `nested`, `group`, `pieces`, `schema`, `update`, `update_group`, `preview_group`, `set`, `backup`,
    `restore`, see form.py.
    """

    @seldom
    def __init__(self, directory, mac=b"", bus=None, check=None):
        self.directory = directory
        self.mac = mac
        self.bus = bus
        self.check = check
        self.stored = {}  # what differs from the defaults
        self.asked = {}  # values that somebody has asked for: a default is looked up once
        self._idle = False
        self.problem = ""  # why defaults are in use, for the status; "" when all is well

    def load(self, initial=""):
        """Read the stored configuration. Never fails for a stored one: what is damaged is set aside, `problem` says so.

        `initial`: path of a JSON file in the form of GET /api/config. It counts as long as nothing is stored, and is not stored
        itself before something is changed. Raises ConfigError when that file is missing or bad.
        """
        stored, self.problem = _load("store").read(self.directory)
        if stored is not None:
            rules = _load("rules")
            self.stored, self.problem = rules.usable(stored)
            self.problem = self.problem or rules.conflict_text(self, self.check)
        elif initial:
            self.stored = self.read_initial(initial)

    def get(self, key):
        """The value of "group.name"; KeyError when there is no such key. Allocates nothing but the first time."""
        value = self.asked.get(key)
        if value is None:
            value = self.asked[key] = self[key]
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
        value = self.stored.get(row.key)
        return row.make_default(self.mac) if value is None else value

    def __getattr__(self, name):
        """What is asked for rarely: `config.update(obj)` is `update(config, obj)` of form.py, loaded for it."""
        self._idle = False
        function = getattr(_load("form"), name)
        return lambda *args: function(self, *args)

    def idle(self):
        """Call now and then (each 10 s): drops the schema when nothing needed it since the last call."""
        if self._idle:
            self.release()
        self._idle = True

    def release(self):
        """Drop what was loaded when asked."""
        for name in _LAZY:
            lazy.drop("config." + name)
