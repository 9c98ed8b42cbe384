"""Cell chemistries: voltage over state of charge, resistance, and the BMS settings that suit them."""

from itertools import pairwise

LO, HI, SCALE = -0.08, 1.15, 2000.0  # range of the voltage table in state of charge, points per unit of it

# Voltage at rest over state of charge; beyond 0 and 1 the cell is abused. Resistance in ohm times Ah.
CHEMISTRY = {
    "lfp": (
        0.07, (3600, 2900, 3400, 3750, 2700),
        ((-0.08, 0.5), (-0.02, 2.0), (0, 2.6), (0.01, 2.8), (0.03, 2.98), (0.06, 3.1), (0.1, 3.19), (0.2, 3.245), (0.3, 3.275),
         (0.4, 3.288), (0.5, 3.293), (0.6, 3.302), (0.7, 3.324), (0.8, 3.33), (0.9, 3.334), (0.95, 3.342),
         (0.98, 3.375), (0.99, 3.43), (1, 3.59), (1.01, 3.76), (1.15, 4.9)),
    ),
    "nmc": (
        0.1, (4150, 3200, 3900, 4220, 3000),
        ((-0.08, 1.0), (-0.02, 2.5), (0, 3.0), (0.05, 3.35), (0.1, 3.45), (0.2, 3.55), (0.3, 3.61), (0.4, 3.66), (0.5, 3.72),
         (0.6, 3.81), (0.7, 3.91), (0.8, 4.0), (0.9, 4.08), (1, 4.16), (1.05, 4.26), (1.15, 4.9)),
    ),
    "lto": (
        0.05, (2700, 2000, 2400, 2850, 1800),
        ((-0.08, 0.8), (-0.02, 1.6), (0, 1.85), (0.05, 2.08), (0.1, 2.14), (0.3, 2.22), (0.5, 2.28), (0.7, 2.36), (0.9, 2.48),
         (0.95, 2.55), (1, 2.7), (1.03, 2.9), (1.15, 3.6)),
    ),
}  # fmt: skip


def default_settings(chemistry="lfp", cells=16, capacity_ah=280.0):
    """Registers 300-343 of a sound configuration: {register: word} (tinybms_uart facts 9)."""
    full, empty, balance, over, under = CHEMISTRY[chemistry][1]
    tail = max(100, min(5000, round(capacity_ah / 14) * 100))  # 2 A for 280 Ah
    return dict.fromkeys(range(300, 344), 0) | {
        300: full, 301: empty, 303: balance, 304: tail, 305: 200,
        306: round(capacity_ah * 100), 307: cells, 308: 15, 310: 5, 311: 0, 312: 1000, 314: 1, 315: over, 316: under,
        317: 150, 318: 100, 319: 60, 320: 0, 321: 90, 322: 6000, 323: 0xFFFF, 328: 0xFFFF, 330: 0x0301, 331: 0,
        332: 5, 333: 1, 335: 1, 338: 3, 343: 1,
    }  # fmt: skip


def table(points):
    """Voltage (V) at each 1 / SCALE of state of charge, the step to the next, and the energy below (Wh per Ah)."""
    volts, energy, k = [], [0.0], 0
    for n in range(int((HI - LO) * SCALE) + 2):
        s = LO + n / SCALE
        while k < len(points) - 2 and s > points[k + 1][0]:
            k += 1
        (s0, v0), (s1, v1) = points[k], points[k + 1]
        volts.append(v0 + (v1 - v0) * (s - s0) / (s1 - s0))
    for a, b in pairwise(volts):
        energy.append(energy[-1] + (a + b) / 2 / SCALE)
    return volts, [b - a for a, b in pairwise(volts)], energy
