"""What holds of CVL, CCL and DCL whatever the pack, its settings and its measurements are."""

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from tools.charge_loop import ABSENT, BULK, FAULT, FIELDS, ChargeProcess

VOLTAGE, CURRENT, SOC, TEMP_INT, STATUS, CELL_MIN, CELL_MAX, CELL = 0, 1, 2, 4, 7, 8, 9, 17
FULL, EMPTY, TAIL, PEAK, CAPACITY, CELLS, DISBALANCE, OV, UV, TRIP, TRIP_CHARGE, HOT, COLD = (
    33, 34, 36, 37, 38, 39, 40, 41, 42, 43, 44, 45, 46)  # fmt: skip
FAULTS, WARNINGS = 72, 73
RANGE = {"lfp": (2500, 3800), "nmc": (2900, 4300), "lto": (1700, 2950)}
VOLTS = {"lfp": (3450, 3650, 2800, 3100), "nmc": (4050, 4200, 3000, 3400), "lto": (2500, 2750, 1900, 2100)}
CAP = {"lfp": 3650, "nmc": 4200, "lto": 2800}
QUICK = {"phases": [Phase.generate], "suppress_health_check": list(HealthCheck)}  # no shrinking: it takes minutes
CHARGE_FAULTS, DISCHARGE_FAULTS = (0x03, 0x06, 0x07, 0x0B), (0x02, 0x05, 0x0C)


@pytest.fixture(scope="module")
def process():
    with ChargeProcess() as charge:
        yield charge


@st.composite
def packs(draw):
    """(configuration, live.data with the settings of a sound pack, chemistry)."""
    chemistry = draw(st.sampled_from(sorted(VOLTS)))
    low_full, high_full, low_empty, high_empty = VOLTS[chemistry]
    data = [ABSENT] * FIELDS
    data[FULL] = draw(st.integers(low_full, high_full))
    data[EMPTY] = draw(st.integers(low_empty, high_empty))
    data[OV] = data[FULL] + draw(st.integers(10, 200))
    data[UV] = data[EMPTY] - draw(st.integers(10, 400))
    data[CAPACITY] = draw(st.integers(10, 500)) * 1000
    data[CELLS] = draw(st.integers(4, 16))
    data[TAIL] = draw(st.integers(100, 5000))
    data[DISBALANCE] = draw(st.integers(15, 100))
    data[TRIP] = draw(st.integers(1, 750)) * 1000
    data[TRIP_CHARGE] = draw(st.integers(1, 750)) * 1000
    data[PEAK] = draw(st.sampled_from([ABSENT, 0, 5000, 200_000]))
    data[HOT] = draw(st.integers(20, 90)) * 10
    data[COLD] = draw(st.integers(-40, 10)) * 10
    own = st.sampled_from([0, 0, 1000, 20_000])
    config = {
        "chemistry": draw(st.sampled_from(["auto", chemistry, "lfp"])),
        "absorption_mv": draw(st.sampled_from([0, 0, 2600, 3500, 4500])),
        "float_mv": draw(st.sampled_from([0, 0, 2400, 3350, 4500])),
        "ccl_max_ma": draw(own),
        "dcl_max_ma": draw(own),
        "tail_current_ma": draw(st.sampled_from([0, 3000])),
        "temperature_source": draw(st.sampled_from(["auto", "auto", "external", "internal", "none"])),
    }
    return config, data, chemistry


@st.composite
def moments(draw, data, chemistry):
    """The settings of `data` with random measurements."""
    data = list(data)
    count = data[CELLS]
    edges = [data[OV] - 20, data[OV] - 16, data[OV] - 50, data[FULL], data[EMPTY], data[UV] + 50, data[FULL] - 100]
    base = draw(st.one_of(st.integers(*RANGE[chemistry]), st.sampled_from(edges)))
    spread = draw(st.sampled_from([0, 5, 60, 300]))
    cells = [min(max(base + draw(st.integers(-spread, spread)), 500), 5000) for _ in range(count)]
    data[CELL : CELL + count] = cells
    data[VOLTAGE], data[CELL_MIN], data[CELL_MAX] = sum(cells), min(cells), max(cells)
    data[CURRENT] = draw(st.sampled_from([0, 0, 50, 1500, 40_000, -1500, -90_000]))
    data[SOC] = draw(st.sampled_from([ABSENT, 0, 5000, 8900, 9900, 10_000]))
    edges = [
        data[HOT] - 20,
        data[HOT] - 21,
        data[HOT] - 11,
        data[COLD],
        data[COLD] + 60,
        -401,
        1001,
        ABSENT,
        200,
        200,
        200,
    ]
    temperature = st.one_of(st.integers(150, 250), st.sampled_from(edges))
    for sensor in range(3):
        data[TEMP_INT + sensor] = draw(temperature)
    data[STATUS] = draw(st.sampled_from([0x91, 0x92, 0x93, 0x96, 0x97, 0x9B]))
    data[FAULTS] = draw(st.sampled_from([ABSENT, 0, 1 << 2, 1 << 3, 1 << 4, 1 << 7, 1 << 3 | 1 << 5, 1 << 9]))
    data[WARNINGS] = draw(st.sampled_from([ABSENT, 0, 1 << 1, 1 << 7]))
    for field in draw(st.lists(st.sampled_from([VOLTAGE, CURRENT, CELL, CELL + count - 1, OV, CAPACITY]), max_size=1)):
        if draw(st.integers(0, 5)) == 0:
            data[field] = ABSENT
    return data, draw(st.sampled_from([250, 1000, 1000, 5000]))


def most(config, data):
    """Highest CVL (mV), CCL and DCL (mA) that the settings and the user allow."""
    cvl = min(data[CELLS] * min(data[FULL], data[OV] - 50), 64_000)
    ccl = min(data[TRIP], data[TRIP_CHARGE]) * 9 // 10
    dcl = min(data[TRIP], data[PEAK] if data[PEAK] not in (0, ABSENT) else data[TRIP]) * 9 // 10
    return cvl, min(ccl, config["ccl_max_ma"] or ccl), min(dcl, config["dcl_max_ma"] or dcl)


def check_fixed_points(data, result):
    """The rows that hold at every moment, by what is measured now."""
    _, ccl, dcl, _, _, _, _ = result
    crawl = data[CAPACITY] // 20
    highest, lowest = data[CELL_MAX], data[CELL_MIN]
    external = [t for t in data[5:7] if t != ABSENT and -400 <= t <= 1000]
    hottest = max(external + [t for t in data[4:5] if t != ABSENT and -400 <= t <= 1000], default=0)
    assert ccl == 0 or highest < data[OV] - 20
    assert dcl == 0 or lowest > data[EMPTY]
    assert ccl <= crawl or lowest >= data[UV] + 50
    assert hottest < data[HOT] - 20 or (ccl == 0 and dcl == 0)
    if any(t != ABSENT and not -400 <= t <= 1000 for t in data[4:7]):
        assert ccl <= crawl
    if data[STATUS] == 0x9B:
        faults = [n for n in range(30) if data[FAULTS] != ABSENT and data[FAULTS] >> n & 1]
        known = faults or (data[WARNINGS] not in (ABSENT, 0))
        if any(n in CHARGE_FAULTS for n in faults) or not known:
            assert ccl == 0
        if any(n in DISCHARGE_FAULTS for n in faults) or not known:
            assert dcl == 0 and ccl <= crawl
        if any(n not in CHARGE_FAULTS + DISCHARGE_FAULTS for n in faults):
            assert ccl == dcl == 0


@settings(max_examples=80, deadline=None, derandomize=True, **QUICK)
@given(st.data())
def test_invariants(process, given_data):
    config, base, chemistry = given_data.draw(packs())
    process.new(**config)
    top, ccl_most, dcl_most = most(config, base)
    if config["chemistry"] != "auto":
        cell_most = min(base[FULL], base[OV] - 50, CAP[config["chemistry"]])
        top = min(top, base[CELLS] * cell_most) if config["absorption_mv"] == 0 else top
    last, since_rise, was_started = None, 10**9, False
    data = None
    for _ in range(20):
        if data is None or given_data.draw(st.booleans()):
            data, dt = given_data.draw(moments(base, chemistry))
        result = process.update(data, dt)
        cvl, ccl, dcl, state, _, ready, floating = result
        if (
            ABSENT in (data[VOLTAGE], data[CURRENT], data[OV], data[CAPACITY])
            or ABSENT in data[CELL : CELL + base[CELLS]]
        ):
            assert ccl == dcl == 0
            was_started = False
            continue
        assert ready and state in range(BULK, FAULT + 1)
        assert cvl % 100 == ccl % 100 == dcl % 100 == 0
        assert 0 < floating <= cvl <= max(top, floating) and cvl <= most(config, base)[0]
        assert 0 <= ccl <= ccl_most and 0 <= dcl <= dcl_most
        check_fixed_points(data, result)
        since_rise += dt
        if was_started:
            assert ccl <= last[1] + 100 + max(1, ccl_most * dt // 20_000)
            if cvl > last[0]:
                assert cvl == last[0] + 100 and since_rise >= 20_000
        if not was_started or cvl != last[0]:
            since_rise = 0
        last, was_started = result, True


@settings(max_examples=12, deadline=None, derandomize=True, **QUICK)
@given(st.data())
def test_limits_settle_when_nothing_changes(process, given_data):
    config, base, chemistry = given_data.draw(packs())
    process.new(**config)
    data, _ = given_data.draw(moments(base, chemistry))
    for _ in range(4 * 720):  # 4 hours: absorption by time, the way to float, a doubted sensor
        process.update(data, 5000)
    seen = [process.update(data, 5000)[:3] for _ in range(360)]
    assert len({result[1:] for result in seen}) == 1
    changes = [i for i in range(1, 360) if seen[i][0] != seen[i - 1][0]]
    assert all(b - a >= 120 for a, b in zip(changes, changes[1:])), changes  # one step in 10 minutes


@settings(max_examples=30, deadline=None, derandomize=True, **QUICK)
@given(st.data())
def test_full_and_resting_may_be_charged(process, given_data):
    config, data, _ = given_data.draw(packs())
    process.new(**(config | {"temperature_source": "auto", "ccl_max_ma": 0}))
    top = min(data[FULL], data[OV] - 50)
    count = data[CELLS]
    data[CELL : CELL + count] = [top] * count
    data[VOLTAGE], data[CELL_MIN], data[CELL_MAX], data[CURRENT], data[SOC], data[STATUS] = (
        top * count,
        top,
        top,
        0,
        10_000,
        0x92,
    )
    warm = (data[HOT] + max(data[COLD], -40)) // 2
    data[4:7] = [warm, warm, ABSENT]
    if not data[COLD] + 20 < warm < data[HOT] - 40 or data[UV] + 150 > top:
        return
    for _ in range(30):
        ccl = process.update(data, 1000)[1]
    assert ccl > 0
