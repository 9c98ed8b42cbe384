"""The short form of `make chaos`: rows that no other test has, a random pair, five kills. See tools/chaos."""

import os
import time

import pytest

from tools.chaos.__main__ import chaos

pytestmark = pytest.mark.usefixtures("host_build")


def test_chaos():
    seed = int(os.environ.get("TINYBMS_SEED", time.time_ns() % 1_000_000))
    print("seed", seed)
    said = []
    failed = chaos(("can_garbage", "can_partial", "disk_bad"), pairs=1, kill=5, seed=seed, say=said.append)
    print("\n".join(said))
    assert not failed, "\n".join([f"seed {seed}", *said])
