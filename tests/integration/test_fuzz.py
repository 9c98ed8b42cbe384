"""A thousand hostile cases for each reader of what strangers send; the long run is `make chaos ARGS=--fuzz`."""

import os

import pytest

from tools.fuzz.host import CASES
from tools.fuzz.run import fuzz


@pytest.mark.parametrize("target", CASES)
def test_fuzz(target):
    done = fuzz(target, 1000, int(os.environ.get("TINYBMS_SEED", 9)))
    assert done.cases >= 1000
