"""The short form of `make soak`: hours of the whole gateway on a simulated clock, with faults; a fixed seed."""

import pytest

from tools.soak.__main__ import rows, soak


@pytest.mark.parametrize(("days", "seed", "words"), [(0.06, 1, ()), (0.01, 2, ("nofaults", "mqtt"))])
def test_hours_of_everything(tmp_path, days, seed, words):
    lines = []
    result = soak(days, seed, tmp_path, words, lines.append)
    broken = [row for row in rows(result, days) if not row[3]]
    assert not broken, (broken, result["errors"], result["answers_wrong"], lines[-20:])
    assert result["wraps"] >= 1 and result["frames"] > 300_000 * days
