"""firmware/bms agrees with every frame and register dump that this project did not make, and refuses the damaged ones."""

import json
import subprocess

from tests.integration.test_bms_noise import ROOT, micropython


def test_every_frame_of_the_file():
    with open(ROOT / "tests" / "data" / "tinybms_frames.json") as file:
        every = json.load(file)
    bad = sum(1 for frame in every["frames"] if not frame["crc_valid"])
    run = "import sys; sys.path.insert(0, '.'); import tests.integration.bms_frames_driver"
    done = subprocess.run([micropython(), "-c", run], cwd=ROOT, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stdout + done.stderr
    expected = f"frames {len(every['frames'])} refused {bad} dumps {len(every['register_dumps'])}"
    assert done.stdout.strip() == expected
    assert bad == 3
