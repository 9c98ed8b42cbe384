"""The decode tables against frames of real systems that we did not make (see the sources in the data file)."""

import json
from pathlib import Path

import pytest

from tools import victron

FRAMES = json.loads((Path(__file__).parents[1] / "data" / "victron_can_frames.json").read_text())["frames"]


@pytest.mark.parametrize("frame", FRAMES, ids=lambda f: f"{f['can_id']}-{f['data'].replace(' ', '')}")
def test_expected_decode(frame):
    can_id, data = int(frame["can_id"], 16), bytes.fromhex(frame["data"])
    assert len(data) == frame["dlc"]
    got = victron.decode(can_id, data)
    for key, want in frame["expect"].items():
        if key == "text" and key not in got:  # the table gives each text its own name
            key = victron.FRAMES[can_id].text
        assert got[key] == (pytest.approx(want) if isinstance(want, float) else want), key


def test_every_identifier_of_the_facts_is_known():
    ours = [0x351, 0x355, 0x356, 0x35A, 0x35E, 0x35F, *range(0x370, 0x37A), 0x380, 0x381, 0x382]
    assert set(ours) <= set(victron.FRAMES)
    assert victron.FROM_GX == (0x305, 0x306, 0x307)


def test_short_frames_and_unsupported_modules():
    assert victron.decode(0x351, b"\x48\x02\x00") == {"cvl_V": 58.4}
    assert victron.decode(0x35A, b"\xaa") == {}
    assert victron.decode(0x372, bytes.fromhex("0100ffff0000ffff"))["blocking_charge"] is None
    assert victron.decode(0x123, b"\x00") == {}


def test_negative_numbers_and_text():
    assert victron.decode(0x356, bytes.fromhex("BE14F9FFCEFF"))["temperature_C"] == -5.0
    assert victron.decode(0x374, b"C05\0\0\0\0\0") == {"min_cell_id": "C05"}
    active = victron.active(victron.pairs(b"\x05\x00\x40\x01"))
    assert active == ["general", "high_voltage", "bms_internal", "cell_imbalance"]
