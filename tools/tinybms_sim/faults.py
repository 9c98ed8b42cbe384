"""What goes wrong on the line, on demand. Each fault has its own limits and one random source for all of them."""

import random

from tools.tinybms_sim.protocol import crc16, seal

# name: (meaning, parameters of its own with their defaults)
FAULTS = {
    "silence": ("no answers; `ms` = for so long (default: until cleared)", {}),
    "drop_rate": ("requests are lost", {"rate": 0.1}),
    "noise": ("`bytes` random bytes before each reply, after it with `after`", {"bytes": 8, "after": False}),
    "noise_in": ("`bytes` random bytes thrown into a reply", {"bytes": 2}),
    "bad_crc": ("a bit of a reply is flipped", {}),
    "delay": ("replies come `ms` late", {"ms": 100}),
    "nack": ("refused with error `code`", {"code": 0}),
    "short": ("replies are cut off after `bytes` bytes (default: anywhere)", {"bytes": None}),
    "split": ("replies come in random pieces, `ms` apart", {"ms": 2}),
    "double": ("each reply is sent twice", {}),
    "wrong_command": ("replies (CRC good) name another command", {}),
    "broadcast": ("text lines each `ms`; `protocol` 0 CA V3, 1 ASCII, 2 SOC BAR", {"ms": 1000, "protocol": 1}),
    "sleep": ("falls asleep now, and again each `ms` if given", {"ms": 0}),
}
_COMMON = {"count": None, "rate": 1.0, "for_ms": None}  # how often, how likely, for how long


class Faults:
    """`clock()` gives seconds. `counters` {name: times} says what was injected."""

    def __init__(self, clock, seed=1):
        self._clock = clock
        self.active = {}
        self.counters = dict.fromkeys(FAULTS, 0)
        self.seed(seed)

    def seed(self, seed):
        self._random = random.Random(seed)

    def set(self, name, on=True, **options):
        """Switch a fault on or off. Common options: `count` times, `rate` 0...1, `for_ms`, `seed`; ValueError if unknown."""
        if name not in FAULTS:
            raise ValueError(f"unknown fault {name!r}; known: {', '.join(FAULTS)}")
        self.active.pop(name, None)
        if not on:
            return
        if "seed" in options:
            self.seed(options.pop("seed"))
        if name == "silence" and "ms" in options:
            options["for_ms"] = options.pop("ms")
        known = _COMMON | FAULTS[name][1]
        wrong = set(options) - set(known)
        if wrong:
            raise ValueError(f"fault {name} knows no {', '.join(sorted(wrong))}")
        spec = known | options
        spec["until"] = None if spec["for_ms"] is None else self._clock() + spec["for_ms"] / 1000
        spec["next"] = self._clock()
        self.active[name] = spec

    def clear(self):
        self.active.clear()

    def hit(self, name):
        """The options of fault `name` if it strikes now, else None; counts."""
        spec = self.active.get(name)
        if spec is None:
            return None
        if (spec["until"] is not None and self._clock() >= spec["until"]) or spec["count"] == 0:
            del self.active[name]
            return None
        if spec["rate"] < 1 and self._random.random() >= spec["rate"]:
            return None
        if spec["count"] is not None:
            spec["count"] -= 1
        self.counters[name] += 1
        return spec

    def due(self, name):
        """Like `hit` for what repeats each `ms`: the options once each period."""
        spec = self.active.get(name)
        if spec is None or self._clock() < spec["next"]:
            return None
        spec["next"] = self._clock() + spec["ms"] / 1000
        if not spec["ms"]:
            spec["count"] = 1  # once
        return self.hit(name)

    def deaf(self):
        """Whether the request that has just come is lost."""
        return self.hit("silence") is not None or self.hit("drop_rate") is not None

    def _noise(self, count):
        """Random bytes; every tenth looks like the start of a frame."""
        rand = self._random
        return bytes(0xAA if rand.random() < 0.1 else rand.randrange(256) for _ in range(count))

    def spoil(self, reply):
        """[(delay in s, bytes)] that go out instead of `reply`."""
        if self.hit("wrong_command"):
            other = reply[1:2] if reply[1] > 1 else reply[2:3]
            body = bytearray(reply[:-2])
            body[body.index(other, 1)] = 0x1E if other != b"\x1e" else 0x1C
            reply = seal(body)
        if self.hit("bad_crc"):
            body = bytearray(reply)
            while crc16(body[:-2]) == body[-2] | body[-1] << 8:
                body[self._random.randrange(2, len(body))] ^= 1 << self._random.randrange(8)
            reply = bytes(body)
        if spec := self.hit("noise_in"):
            at = self._random.randrange(1, len(reply))
            reply = reply[:at] + self._noise(spec["bytes"]) + reply[at:]
        if spec := self.hit("short"):
            cut = spec["bytes"] or self._random.randrange(1, len(reply))
            reply = reply[: min(cut, len(reply) - 1)]
        if self.hit("double"):
            reply += reply
        if spec := self.hit("noise"):
            noise = self._noise(spec["bytes"])
            reply = reply + noise if spec["after"] else noise + reply
        spec = self.hit("delay")
        delay = spec["ms"] / 1000 if spec else 0.0
        if not (spec := self.hit("split")):
            return [(delay, reply)]
        pieces = []
        while reply:
            size = self._random.randint(1, max(2, min(len(reply), 40)))
            pieces.append((delay, reply[:size]))
            reply, delay = reply[size:], spec["ms"] / 1000
        return pieces
