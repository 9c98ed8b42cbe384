"""Runs under MicroPython: every frame of tests/data/tinybms_frames.json through firmware/bms. See test_bms_frames.py."""

import binascii
import json
from array import array

from firmware import live
from firmware.bms import decode, frames, plausible, registers, requests
from firmware.bms.crc import copy, crc16
from tests.unit.bms_fakes import FakeBms, fast_reply


def parsed(frame, code, third):
    """What the parser makes of `frame` between noise, or None."""
    parser = frames.Parser(frames.Counters())
    parser.expect(code, code, third, 8 if code == 0x10 else 0)
    stream = b"\xff\xaa" + frame + b"\xaa\x03"
    if not parser.feed(stream, 0, len(stream)):
        return None
    return bytes(parser.buf[parser.at : parser.at + parser.length])


def check_reply(frame, told):
    code = frame[1]
    assert parsed(frame, code, frame[2]) == frame
    if code != 3:
        return
    words = [frames.word(frame, n) for n in range(frame[2] // 2)]
    assert sorted(told["registers"].values()) == sorted(words)
    start = min(int(register) for register in told["registers"])
    for n, value in enumerate(words):
        assert told["registers"][str(start + n)] == value
    if "as_f32_low_word_first" in told:
        assert decode.milli(words[1], words[0]) == round(told["as_f32_low_word_first"] * 1000)


def check_request(frame, told):
    assert bytes(requests.request(*frame[1:-2])) == frame
    if frame[1] == 3:
        assert bytes(requests.read_words(told["start_register"], told["register_count"])) == frame


def check_dump(words):
    """The 14-cell unit: what /api/status and the telemetry must show."""
    dump = {int(register): word for register, word in words.items()}
    bms = FakeBms(dump)
    data = array("i", (live.ABSENT for _ in range(live.FIELDS)))
    registers.version(bms.answer(requests.read_words(500, 10)), data)
    assert registers.settings(bms.answer(requests.read_words(300, 44)), data) == 0
    registers.statistics(bms.answer(requests.read_words(100, 18)), data)
    poll = array("i", (0 for _ in range(decode.SIZE)))
    decode.fast(fast_reply(dump), poll, data[live.SET_CELLS], registers.has_soh(data))
    assert plausible.check(poll) == 0
    copy(poll, 0, data, 0, decode.BYTES)
    assert data[live.CELL_COUNT] == 14 and data[live.VOLTAGE] == 55780 and data[live.CURRENT] == 0
    assert data[live.STATUS] == live.IDLE and data[live.SOC] == 8355 and data[live.TEMP_INT] == 97
    for field in (live.SOH, live.TEMP_EXT1, live.TEMP_EXT2, live.SET_PEAK_DISCHARGE):
        assert data[field] == live.ABSENT
    assert [data[live.CELL + n] for n in range(14)] == [dump[2 + n] // 10 for n in range(14)]


def main():
    with open("tests/data/tinybms_frames.json") as file:
        every = json.load(file)
    refused = 0
    for one in every["frames"]:
        frame = binascii.unhexlify(one["hex"].replace(" ", ""))
        good = crc16(frame, 0, len(frame)) == 0
        assert good is one["crc_valid"], one["id"]
        if not good:
            refused += 1
            assert parsed(frame, frame[1], frame[2]) is None, one["id"]
        elif one["direction"] == "response":
            check_reply(frame, one["decoded"])
        else:
            check_request(frame, one["decoded"])
    for dump in every["register_dumps"]:
        check_dump(dump["words"])
    print("frames", len(every["frames"]), "refused", refused, "dumps", len(every["register_dumps"]))


main()
