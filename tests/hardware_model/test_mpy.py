"""The CAN driver compiles for both instruction sets of the boards, viper included, and stays small."""

import os
import subprocess

import pytest

from tools.build import ROOT, find_mpy_cross

MPY_CROSS = os.environ.get("MPY_CROSS") or find_mpy_cross()
RESIDENT = ("twai", "twai_queue", "twai_recovery", "twai_regs")
RESIDENT_MAX = 8_000  # bytes of .mpy: a fifth of what the whole gateway may keep loaded


@pytest.mark.parametrize("march", ["xtensawin", "rv32imc"])
def test_compiles(march, tmp_path):
    size = 0
    for name in (*RESIDENT, "twai_chips", "twai_setup", "twai_selftest"):
        target = tmp_path / f"{name}.mpy"
        source = f"firmware/can/{name}.py"
        done = subprocess.run(
            [MPY_CROSS, f"-march={march}", "-o", target, source], cwd=ROOT, capture_output=True, text=True
        )
        assert done.returncode == 0, done.stderr
        if name in RESIDENT:
            size += target.stat().st_size
    assert size < RESIDENT_MAX
