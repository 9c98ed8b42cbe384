"""Draws a day of charge control for the README: `python -m tools.plots [FILE]` (PNG or SVG by its name).

firmware/can/charge.py under MicroPython steers the simulator's battery from a cold night through a full charge and float to
empty: voltages with CVL, currents with CCL and DCL, temperature and state.
"""

import argparse
from pathlib import Path

from tools.charge_loop import STATES, ChargeProcess, ClosedLoop
from tools.tinybms_sim.battery import Battery

COLOURS = {1: "#8ecae6", 2: "#ffd166", 3: "#b7e4c7", 4: "#adb5bd", 5: "#ef476f"}


def load(t):
    """A house, A: little at night, cooking at noon, much in the evening."""
    hour = t / 3600
    if hour > 15:
        return 70.0 if hour < 18 else 25.0
    return (6.0, 14.0, 4.0, 45.0)[int(t) // 1500 % 4]


def day():
    """The loop after 24 hours, with its trace."""
    with ChargeProcess() as process:
        battery = Battery(soc=35, temperature_c=-3, offset_mv={7: 60}, weak_percent={3: 2})
        loop = ClosedLoop(process, battery, charger_a=90, load=load, every=60)
        battery.ambient_c = 18
        loop.run(13.5)
        battery.charger_a = 0  # sunset
        loop.run(8)
        battery.charger_a = 60
        loop.run(1)
        return loop


def draw(loop, path):
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    names = ("t", "volt", "amps", "high", "low", "cvl", "ccl", "dcl", "state", "soc", "temp")
    trace = dict(zip(names, zip(*loop.trace)))
    hours = [t / 3600 for t in trace["t"]]
    milli = {
        name: [value / 1000 for value in trace[name]] for name in ("volt", "amps", "high", "low", "cvl", "ccl", "dcl")
    }
    figure, (pack, cells, current, soc) = pyplot.subplots(
        4, 1, sharex=True, figsize=(9, 8.5), height_ratios=(3, 2, 3, 2)
    )
    pack.plot(hours, milli["cvl"], color="#d62828", label="CVL", drawstyle="steps-post")
    pack.plot(hours, milli["volt"], color="#1d3557", label="pack")
    pack.set_ylabel("V")
    cells.plot(hours, milli["high"], color="#e76f51", label="highest cell")
    cells.plot(hours, milli["low"], color="#2a9d8f", label="lowest cell")
    for register in (315, 300, 301, 316):
        cells.axhline(loop.battery.settings[register] / 1000, color="#999", linewidth=0.7, linestyle=":")
    cells.set_ylabel("V a cell")
    current.plot(hours, milli["ccl"], color="#e9a000", label="CCL", drawstyle="steps-post")
    current.plot(hours, [-a for a in milli["dcl"]], color="#6a4c93", label="DCL", drawstyle="steps-post")
    current.plot(hours, milli["amps"], color="#1d3557", linewidth=0.8, label="current")
    current.set_ylabel("A, + charges")
    soc.plot(hours, trace["soc"], color="#1d3557", label="SoC %")
    soc.plot(hours, trace["temp"], color="#d62828", label="sensor, C")
    soc.set_xlabel("hours")
    for axis in (pack, cells, current, soc):
        axis.margins(x=0)
        axis.grid(alpha=0.3)
    shade(pack, hours, trace["state"])
    for axis in (pack, cells, current, soc):
        axis.legend(loc="center right", fontsize=8, framealpha=0.8)
    figure.suptitle("Charge control, 16 LFP cells, one 60 mV high, one 2 % weak (simulated)", fontsize=11)
    figure.tight_layout()
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=90)


def shade(axis, hours, states):
    """Colour the time of each state and name it once."""
    start, named = 0, set()
    for i in range(1, len(states) + 1):
        if i == len(states) or states[i] != states[start]:
            state = states[start]
            label = None if state in named else STATES[state]
            named.add(state)
            end = hours[min(i, len(hours) - 1)]
            axis.axvspan(hours[start], end, color=COLOURS.get(state, "#fff"), alpha=0.5, lw=0, label=label)
            start = i


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("file", nargs="?", type=Path, default=Path("build/plots/charge.png"))
    path = parser.parse_args().file
    draw(day(), path)
    print("%s: %d bytes" % (path, path.stat().st_size))


if __name__ == "__main__":
    main()
