"""The control channel: one JSON object a line over TCP, `{"cmd": ...}` -> `{"ok": true, ...}` or `{"ok": false,
"error": ...}`.

`help` lists the commands. The other end, for tests and tools, is `tools.control.Control`:

    control.call("fault", name="bad_crc", count=3)
    control.call("state")["battery"]["cell_mv"]
"""

import json

from tools.tinybms_sim.faults import FAULTS
from tools.tinybms_sim.registers import in_range

_LIMITS = ("charger_cvl_mv", "charger_ccl_ma", "load_dcl_ma")  # None: no limit

_MODEL = (
    "charger_on", "charger_a", "charger_v_mv", "charger_cvl_mv", "charger_ccl_ma", "load_dcl_ma",
    "charger_overshoot_mv_cell", "load_a", "regen_a", "ambient_c", "pack_c", "internal_c", "ext_connected", "soc",
    "current_gain", "current_offset_a", "full",
)  # fmt: skip


class Commands:
    """What the control channel can do with a `Line`; each public method `do_NAME(options)` is a command."""

    def __init__(self, line):
        self._line = line

    def answer(self, text):
        """The reply line (str, with its end) to one line of request."""
        try:
            options = json.loads(text)
            name = options.pop("cmd")
            function = getattr(self, "do_" + name, None)
            if function is None:
                raise ValueError(f"unknown command {name!r}; try help")
            reply = {"ok": True} | (function(**options) or {})
        except (ValueError, TypeError, KeyError, AttributeError) as error:
            reply = {"ok": False, "error": f"{type(error).__name__}: {error}"}
        return json.dumps(reply) + "\n"

    def do_help(self):
        """This list."""
        commands = {n[3:]: (getattr(self, n).__doc__ or "").strip() for n in dir(self) if n.startswith("do_")}
        return {"commands": commands, "faults": {n: text for n, (text, _) in FAULTS.items()}, "model": _MODEL}

    def do_fault(self, name, on=True, **options):
        """{name, on, count, rate, for_ms, seed, ...}: switch a fault on or off; `help` names them."""
        if name == "event":
            return self.do_event(**options)
        if name in ("set", "unset"):
            return getattr(self, "do_" + name)(**options)
        self._line.faults.set(name, on, **options)
        return {"active": sorted(self._line.faults.active)}

    def do_clear(self):
        """End all faults and overrides of registers, and let injected conditions go."""
        self._line.faults.clear()
        self._line.bms.overrides.clear()
        for code in list(self._line.bms.battery.active):
            self._line.bms.battery.clear(code)

    def do_set(self, register=None, value=None, values=None):
        """{register, value} or {values: {register: value}}: override what registers read, signed values too."""
        pairs = dict(values or {}) if register is None else {register: value}
        words = {int(r): int(v) for r, v in pairs.items()}
        if not words or not all(-0x8000 <= word <= 0xFFFF for word in words.values()):
            raise ValueError("give register and value, -32768...65535")
        self._line.bms.overrides.update({r: v & 0xFFFF for r, v in words.items()})

    def do_unset(self, register=None):
        """{register}: end an override; without a register all."""
        if register is None:
            self._line.bms.overrides.clear()
        else:
            self._line.bms.overrides.pop(int(register), None)

    def do_get(self, register, count=1):
        """{register, count}: the words that a read would give."""
        self._line.bms.refresh()
        return {"words": self._line.bms.block(int(register), int(count))}

    def do_model(self, lifetime=None, newest_first=None, soh=None, firmware=None, profile=None, step_s=None, **keys):
        """{key: value, ...}: inputs of the battery (`help`); lifetime (s), soh (%), firmware, newest_first; step_s; profile false

        ends the scenario's profile, which would set charger and load again; a change of them ends it too. A setting is
        `setting_NNN`.
        """
        bms, battery = self._line.bms, self._line.bms.battery
        unknown = [key for key in keys if key not in _MODEL and not key.startswith("setting_")]
        if unknown:
            raise ValueError(f"the model has no {', '.join(unknown)}")
        if profile is False or keys.keys() & {"charger_on", "charger_a", "load_a", "ambient_c"}:
            battery.profile = None
        for key, value in keys.items():
            self._check(key, value)
        for key, value in keys.items():
            if key.startswith("setting_"):
                battery.set(*self._setting(int(key[8:]), int(value) & 0xFFFF))
            elif key == "pack_c":
                battery.set_temperature(value)
            else:
                setattr(battery, key, value)
        if lifetime is not None:
            bms.base_s = lifetime - battery.time_s
        if newest_first is not None:
            bms.newest_first = bool(newest_first)
        if soh is not None:
            bms.soh = round(soh * 500)
        if firmware is not None:
            bms.firmware = bms._version[2] = int(firmware)
        if step_s is not None:
            battery.step(float(step_s))
            bms.measure()
        bms.refresh()

    @staticmethod
    def _check(key, value):
        if key == "ext_connected":
            good = isinstance(value, list) and len(value) == 2
        else:
            good = isinstance(value, (int, float)) or (value is None and key in _LIMITS)
        if not good:
            raise ValueError(f"{key} cannot be {value!r}")

    @staticmethod
    def _setting(register, word):
        if register not in range(300, 344) or not in_range(register, word):
            raise ValueError(f"setting {register} cannot be {word}")
        return register, word

    def do_event(self, id, active=False):
        """{id, active}: log an event; with `active` the fault or warning is raised, and lasts until `clear` or a restart."""
        code = int(str(id), 0)
        if not 0 < code < 256:
            raise ValueError("id is 1...255")
        if active:
            self._line.bms.battery.trip(code)
            self._line.bms.battery.step(0.001)
            self._line.bms.refresh()
        else:
            self._line.bms.add_event(code)

    def do_events(self):
        """The event ring, oldest first: [{stamp, id}], and the lifetime counter."""
        events = [{"stamp": stamp, "id": code} for stamp, code in self._line.bms.event_list()]
        return {"events": events, "lifetime": self._line.bms.lifetime}

    def do_speed(self, value=1.0):
        """{value}: the battery's time against ours; 0 stops it."""
        if not 0 <= float(value) <= 20000:
            raise ValueError("speed is 0...20000")
        self._line.speed = float(value)

    def do_sleep(self):
        """Fall asleep now."""
        self._line.sleep()

    def do_reset(self):
        """Restart the BMS as command 0x02 option 5 does, but at once."""
        self._line.bms.restarted()

    def do_state(self):
        """The truth: battery, switches, faults injected, requests seen by command."""
        line = self._line
        return {
            "battery": line.bms.battery.truth(), "capacity_ah": line.bms.battery.true_capacity_ah,
            "stored_wh": line.bms.battery.stored_wh(),
            "settings": {str(r): line.bms.word(r) for r in range(300, 344)},
            "overrides": {str(r): w for r, w in line.bms.overrides.items()}, "dump": line.bms.words is not None,
            "asleep": line.asleep, "sleeps": line.sleeps, "restarts": line.bms.restarts, "speed": line.speed,
            "lifetime": line.bms.lifetime,
            "faults": {n: {k: v for k, v in s.items() if k not in ("until", "next")} for n, s in line.faults.active.items()},
            "injected": line.faults.counters, "requests": dict(line.requests),
            "request_count": sum(line.requests.values()),
        }  # fmt: skip
