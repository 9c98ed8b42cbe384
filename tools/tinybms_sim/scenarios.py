"""Named days for the simulator: how the battery starts, what the sun and the house do, what is wrong with the line.

A profile is called before each slice of the battery's time; the same time gives the same load, so runs repeat.
"""

from math import pi, sin
from typing import NamedTuple

_START_H = 10.0  # time of day when a simulation starts


def sun_a(hour, peak_a):
    """Charger current (A) of a solar system at an hour of the day, with passing clouds."""
    if not 6.5 < hour < 20.5:
        return 0.0
    clouds = 1 - 0.35 * max(0.0, sin(hour * 9.7) * sin(hour * 23.1 + 1))
    return peak_a * sin(pi * (hour - 6.5) / 14) ** 1.5 * clouds


def house_a(hour, base_a):
    """Load (A) of a house: always something, a fridge, meals, the evening."""
    amps = base_a + (2.5 if hour * 2 % 1 < 0.4 else 0)
    for start, end, extra in ((6.8, 7.6, 22), (12.0, 12.5, 30), (18.5, 19.5, 32), (19.5, 23.0, 9)):
        if start < hour < end:
            amps += extra * (0.6 + 0.4 * sin(hour * 97) ** 2)
    return amps


def day(battery):
    """A house with solar panels, scaled to the capacity."""
    hour = (_START_H + battery.time_s / 3600) % 24
    scale = battery.settings[306] / 28000
    sun = sun_a(hour, 75 * scale)
    battery.load_a = house_a(hour, 4.0 * scale) if scale > 0.5 else house_a(hour, 4.0) * scale
    battery.charger_a = sun
    battery.charger_on = sun > 1.0 * scale
    battery.ambient_c = 20 + 4 * sin(pi * (hour - 9) / 12)


def charging(battery):
    """A mains charger that stays, and a load that comes and goes."""
    battery.charger_on = True
    battery.charger_a = battery.settings[306] / 100 * 0.25
    battery.load_a = (0.02 if battery.time_s % 1800 < 1200 else 0.08) * battery.settings[306] / 100


def draining(battery):
    battery.charger_on = False
    battery.load_a = (0.08 if battery.time_s % 600 < 400 else 0.2) * battery.settings[306] / 100


class Scenario(NamedTuple):
    help: str
    battery: dict  # arguments of Battery
    inputs: dict  # of the battery, set once
    profile: object  # f(battery) or None
    faults: dict  # {name: options}


SCENARIOS = {
    "normal": Scenario("a day: the sun charges, the house takes", {"soc": 62}, {}, day, {}),
    "full": Scenario("charging to full, then float", {"soc": 97}, {}, charging, {}),
    "empty": Scenario("discharge to the end", {"soc": 6}, {}, draining, {}),
    "cold": Scenario("a charger waits, but the pack has -5 C", {"soc": 40, "temperature_c": -5}, {}, charging, {}),
    "hot": Scenario("heat up to 55 C", {"soc": 40, "temperature_c": 48}, {"ambient_c": 55}, charging, {}),
    "weak-cell": Scenario("cell 3 has 2 % less capacity", {"soc": 62, "weak_percent": {3: 2}}, {}, day, {}),
    "high-cell": Scenario("cell 7 stands 60 mV above the others", {"soc": 90, "offset_mv": {7: 60}}, {}, charging, {}),
    "noisy": Scenario(
        "a bad line", {"soc": 62}, {}, day,
        {"noise": {"rate": 0.2}, "bad_crc": {"rate": 0.05}, "double": {"rate": 0.05}, "drop_rate": {"rate": 0.05},
         "delay": {"rate": 0.1, "ms": 60}, "short": {"rate": 0.02}, "broadcast": {"ms": 1000}},
    ),
    "sleepy": Scenario("at rest, falls asleep each 15 s even while it is asked", {"soc": 55}, {}, None, {"sleep": {"ms": 15000}}),
}  # fmt: skip
