"""What the BMS settings and the configuration ask of the charge control: targets and ceilings, before any measurement.

Configuration `charge.*` (0 = from the BMS settings and the chemistry; out of range values are clamped here as well):

    chemistry           auto, lfp, nmc, lto       auto follows register 300: to 3000 LTO, to 3800 LFP, above NMC
    absorption_mv       mV a cell                 0: min(register 300, register 315 - 50)
    float_mv            mV a cell                 0: LFP min(3375, absorption - 50), NMC and LTO absorption - 100
    rebulk_soc          percent                   float ends below it
    absorption_max_min  minutes                   absorption ends after it
    tail_current_ma     mA                        0: register 304, so that the BMS sees its full charge too
    cvl_max_mv ccl_max_ma dcl_max_ma              the user's own limits; 0: none
    temperature_source  auto, external, internal, none
"""

from micropython import const

from firmware import live as L
from firmware.can import sensors

_WIRE = const(100)  # step of 0x351: 0.1 V, 0.1 A
_CVL_MAX = const(64_000)  # mV, never sent above
_AMPS_MAX = const(1_000_000)  # mA; keeps amperes x permille below 2^30
_OV_ROOM = const(50)  # mV a cell between CVL and 315: chargers hold up to 25 mV a cell more (victron_can facts 7)
_LTO_MAX = const(3000)  # register 300, mV: to here LTO, to _LFP_MAX LFP, above NMC
_LFP_MAX = const(3800)
_LFP = const(0)
_NMC = const(1)
_LTO = const(2)
_CHEMISTRY = ("lfp", "nmc", "lto")
_CAP = (3650, 4200, 2800)  # absorption of a chosen chemistry, mV a cell
_SOURCE = ("auto", "external", "internal", "none")

_NEEDED = (
    L.SET_FULL, L.SET_EMPTY, L.SET_CAPACITY, L.SET_CELLS, L.SET_OV, L.SET_UV, L.SET_DISCHARGE_OC, L.SET_CHARGE_OC,
    L.SET_HOT, L.SET_COLD,
)  # fmt: skip


def _stricter(one, two):
    """The smaller of two limits, of which 0 is none."""
    return min(one, two) if one and two else one or two


class Targets:
    """After `read(data)` gave True: all in mV (`cvl_*` of the pack in wire steps, the rest a cell), mA, 0.1 C."""

    def __init__(self, config):
        self._config = config
        self.source = sensors.AUTO
        self._override = (0, 0, 0)
        self.disagree = False  # the chosen chemistry is not that of the settings
        self.configure()

    def configure(self):
        """Take the configuration anew."""
        get = self._config.get
        chemistry = get("charge.chemistry")
        self._chosen = _CHEMISTRY.index(chemistry) if chemistry in _CHEMISTRY else -1
        source = get("charge.temperature_source")
        self.source = _SOURCE.index(source) if source in _SOURCE else sensors.AUTO
        self._absorption = get("charge.absorption_mv")
        self._float = get("charge.float_mv")
        self._tail = get("charge.tail_current_ma")
        cvl, ccl, dcl = self._override
        self._cvl_max = _stricter(get("charge.cvl_max_mv"), cvl)
        self._ccl_max = _stricter(get("charge.ccl_max_ma"), ccl)
        self._dcl_max = _stricter(get("charge.dcl_max_ma"), dcl)
        self.rebulk = max(1, min(99, get("charge.rebulk_soc"))) * 100  # 0.01 %
        self.absorb_ms = max(1, min(1440, get("charge.absorption_max_min"))) * 60_000

    def override(self, cvl_mv, ccl_ma, dcl_ma):
        """Limits of somebody else beside the user's own, 0 = none; in force until the next call."""
        self._override = (cvl_mv, ccl_ma, dcl_ma)
        self.configure()

    def read(self, data):
        """Work out the targets from `data` (live.data). False while a setting is absent or they are out of order."""
        i = len(_NEEDED)
        while i:
            i -= 1
            if data[_NEEDED[i]] == L.ABSENT:
                return False
        self.cells = data[L.SET_CELLS]
        self.empty = data[L.SET_EMPTY]
        self.ov = data[L.SET_OV]
        self.uv = data[L.SET_UV]
        self.hot = data[L.SET_HOT]
        self.cold = data[L.SET_COLD]
        self.crawl = data[L.SET_CAPACITY] // 20  # 0.05 C
        full = data[L.SET_FULL]
        sound = self.uv < self.empty < full < self.ov and 1 <= self.cells <= L.CELLS_MAX
        if not sound or data[L.SET_CHARGE_OC] <= 0 or data[L.SET_DISCHARGE_OC] <= 0:
            return False
        self._volts(full)
        self._amps(data)
        return True

    def _volts(self, full):
        kind = _LTO if full <= _LTO_MAX else _LFP if full <= _LFP_MAX else _NMC
        most = min(full, self.ov - _OV_ROOM)
        chosen = self._chosen
        self.disagree = chosen >= 0 and (chosen != kind or full > _CAP[chosen])
        ceiling = min(self.cells * most, _CVL_MAX)
        if self._cvl_max:
            ceiling = min(ceiling, max(self._cvl_max, self.cells * self.empty))
        if chosen >= 0:
            kind = chosen
            most = min(most, _CAP[kind])
        self.absorption = absorption = min(self._absorption, most) if self._absorption else most
        floating = self._float
        if not floating:
            floating = min(3375, absorption - 50) if kind == _LFP else absorption - 100
        self.float_mv = min(max(floating, self.empty), absorption)
        self.cvl_ceiling = ceiling - ceiling % _WIRE
        self.cvl_absorption = min(self.cells * absorption // _WIRE * _WIRE, self.cvl_ceiling)
        self.cvl_float = min(self.cells * self.float_mv // _WIRE * _WIRE, self.cvl_absorption)
        # The highest cell is steered to `high`; a charger that holds 25 mV a cell more takes it to `high` + 25
        self.high = min(absorption + 20, self.ov - _OV_ROOM)
        self.taper_from = absorption - 50
        self.taper_small = min(self.high + 25, self.ov - 25)

    def _amps(self, data):
        trip = data[L.SET_DISCHARGE_OC]
        ccl = min(trip, data[L.SET_CHARGE_OC], _AMPS_MAX) // 10 * 9  # 317 also limits regeneration
        peak = data[L.SET_PEAK_DISCHARGE]
        if peak != L.ABSENT and peak > 0:
            trip = min(trip, peak)
        dcl = min(trip, _AMPS_MAX) // 10 * 9
        self.ccl_own = bool(self._ccl_max) and self._ccl_max < ccl
        self.dcl_own = bool(self._dcl_max) and self._dcl_max < dcl
        self.ccl = self._ccl_max if self.ccl_own else ccl
        self.dcl = self._dcl_max if self.dcl_own else dcl
        tail = self._tail or data[L.SET_TAIL]
        self.tail = tail if tail != L.ABSENT else data[L.SET_CAPACITY] // 50
        self.moving = max(100, min(1000, self.tail // 2))  # from here on the pack counts as being charged
