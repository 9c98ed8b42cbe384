"""What the BMS settings and the configuration ask of the charge control: targets and ceilings, before any measurement.

Loaded when a setting or the configuration has changed, for one call of `read`, and dropped.

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

_WISHES = (
    "temperature_source", "rebulk_soc", "absorption_max_min", "chemistry", "cvl_max_mv", "absorption_mv", "float_mv",
    "ccl_max_ma", "dcl_max_ma", "tail_current_ma",
)  # fmt: skip
_NEEDED = (
    L.SET_FULL, L.SET_EMPTY, L.SET_CAPACITY, L.SET_CELLS, L.SET_OV, L.SET_UV, L.SET_DISCHARGE_OC, L.SET_CHARGE_OC,
    L.SET_HOT, L.SET_COLD,
)  # fmt: skip


def _stricter(one, two):
    """The smaller of two limits, of which 0 is none."""
    return min(one, two) if one and two else one or two


def wishes(config):
    """What the configuration asks for, for `read`: kept until it changes, as 64 bytes instead of ten keys and values."""
    return tuple(config["charge." + name] for name in _WISHES)


def read(targets, data, wishes, override):
    """Fill in `targets` (charge.Targets) from `data` (live.data), `wishes` and `override`, limits of somebody else (CVL mV,
    CCL mA, DCL mA, 0 = none). False while a setting is absent or they are out of order.
    """
    for field in _NEEDED:
        if data[field] == L.ABSENT:
            return False
    targets.cells = data[L.SET_CELLS]
    targets.empty = data[L.SET_EMPTY]
    targets.ov = data[L.SET_OV]
    targets.uv = data[L.SET_UV]
    targets.hot = data[L.SET_HOT]
    targets.cold = data[L.SET_COLD]
    targets.crawl = data[L.SET_CAPACITY] // 20  # 0.05 C
    full = data[L.SET_FULL]
    sound = targets.uv < targets.empty < full < targets.ov and 1 <= targets.cells <= L.CELLS_MAX
    if not sound or data[L.SET_CHARGE_OC] <= 0 or data[L.SET_DISCHARGE_OC] <= 0:
        return False
    get = dict(zip(_WISHES, wishes)).get
    source = get("temperature_source")
    targets.source = _SOURCE.index(source) if source in _SOURCE else sensors.AUTO
    targets.rebulk = max(1, min(99, get("rebulk_soc"))) * 100  # 0.01 %
    targets.absorb_ms = max(1, min(1440, get("absorption_max_min"))) * 60_000
    _volts(targets, full, get, override[0])
    _amps(targets, data, get, override[1], override[2])
    return True


def _volts(targets, full, get, cvl_other):
    kind = _LTO if full <= _LTO_MAX else _LFP if full <= _LFP_MAX else _NMC
    most = min(full, targets.ov - _OV_ROOM)
    chemistry = get("chemistry")
    chosen = _CHEMISTRY.index(chemistry) if chemistry in _CHEMISTRY else -1
    targets.disagree = chosen >= 0 and (chosen != kind or full > _CAP[chosen])
    ceiling = min(targets.cells * most, _CVL_MAX)
    cvl_max = _stricter(get("cvl_max_mv"), cvl_other)
    if cvl_max:
        ceiling = min(ceiling, max(cvl_max, targets.cells * targets.empty))
    if chosen >= 0:
        kind = chosen
        most = min(most, _CAP[kind])
    absorption = get("absorption_mv")
    absorption = min(absorption, most) if absorption else most
    floating = get("float_mv")
    if not floating:
        floating = min(3375, absorption - 50) if kind == _LFP else absorption - 100
    targets.float_mv = min(max(floating, targets.empty), absorption)
    targets.cvl_ceiling = ceiling - ceiling % _WIRE
    targets.cvl_absorption = min(targets.cells * absorption // _WIRE * _WIRE, targets.cvl_ceiling)
    targets.cvl_float = min(targets.cells * targets.float_mv // _WIRE * _WIRE, targets.cvl_absorption)
    # The highest cell is steered to `high`; a charger that holds 25 mV a cell more takes it to `high` + 25
    targets.high = min(absorption + 20, targets.ov - _OV_ROOM)
    targets.taper_from = absorption - 50
    targets.taper_small = min(targets.high + 25, targets.ov - 25)


def _amps(targets, data, get, ccl_other, dcl_other):
    trip = data[L.SET_DISCHARGE_OC]
    ccl = min(trip, data[L.SET_CHARGE_OC], _AMPS_MAX) // 10 * 9  # 317 also limits regeneration
    peak = data[L.SET_PEAK_DISCHARGE]
    if peak != L.ABSENT and peak > 0:
        trip = min(trip, peak)
    dcl = min(trip, _AMPS_MAX) // 10 * 9
    ccl_max = _stricter(get("ccl_max_ma"), ccl_other)
    dcl_max = _stricter(get("dcl_max_ma"), dcl_other)
    targets.ccl_own = bool(ccl_max) and ccl_max < ccl
    targets.dcl_own = bool(dcl_max) and dcl_max < dcl
    targets.ccl = ccl_max if targets.ccl_own else ccl
    targets.dcl = dcl_max if targets.dcl_own else dcl
    tail = get("tail_current_ma") or data[L.SET_TAIL]
    targets.tail = tail if tail != L.ABSENT else data[L.SET_CAPACITY] // 50
    targets.moving = max(100, min(1000, targets.tail // 2))  # from here on the pack counts as being charged
