"""No undamaged frame of the TinyBMS is lost in noise, whatever the noise and however the bytes arrive.

hypothesis makes the bytes, a MicroPython process with the gateway's own link finds the frame in them.
"""

import os
import random
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tools.tinybms_sim.protocol import seal

ROOT = Path(__file__).resolve().parents[2]


def micropython():
    beside = Path(sys.executable).parent / "micropython"
    return os.environ.get("MICROPYTHON") or (str(beside) if beside.exists() else "micropython")


class Driver:
    def __init__(self):
        self.process = subprocess.Popen(
            [micropython(), "-c", "import sys; sys.path.insert(0, '.'); import tests.integration.bms_noise_driver"],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def say(self, line):
        self.process.stdin.write(line + "\n")
        self.process.stdin.flush()
        return self.process.stdout.readline().strip()

    def ask(self, kind, stream, cuts):
        """The reply that the link finds in `stream`, cut at the positions `cuts`; None when it finds none."""
        edges = [0, *sorted({c for c in cuts if 0 < c < len(stream)}), len(stream)]
        chunks = [stream[a:b].hex() for a, b in zip(edges, edges[1:])]
        answer = self.say(f"{kind} {' '.join(chunks)}")
        return None if answer == "-" else bytes.fromhex(answer)

    def memory(self):
        return int(self.say("mem").split()[1])


@pytest.fixture(scope="module")
def driver():
    one = Driver()
    yield one
    one.process.stdin.close()
    assert one.process.wait(10) == 0


# What a reply begins with, what refuses, the beginning of a long event list: noise that misleads the most
MISLEADING = [b"\xaa", b"\xaa\x03", b"\xaa\x03\x04", b"\xaa\x00\x03", b"\xaa\x12", b"\xaa\x12\xc8", b"\xaa\x00\x12\x00"]
noise = st.lists(st.one_of(st.binary(max_size=400), st.sampled_from(MISLEADING)), max_size=8).map(b"".join)
cuts = st.lists(st.integers(0, 3000), max_size=30)
reads = st.binary(min_size=4, max_size=4).map(lambda data: (3, seal(b"\xaa\x03\x04" + data)))
events = st.integers(0, 49).flatmap(
    lambda n: st.binary(min_size=4 + 4 * n, max_size=4 + 4 * n).map(
        lambda data: (18, seal(bytes((0xAA, 0x12, len(data))) + data))
    )
)


@settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck), derandomize=True)
@given(reply=st.one_of(reads, events), before=noise, after=noise, cuts=cuts)
def test_a_frame_in_any_noise_at_any_split(driver, reply, before, after, cuts):
    kind, frame = reply
    assert driver.ask(kind, before + frame + after, cuts) == frame


def test_a_damaged_frame_is_never_taken(driver):
    frame = seal(b"\xaa\x03\x04\x1e\xb8\x42\x5f")
    for bit in range(0, 8 * len(frame), 5):
        damaged = bytearray(frame)
        damaged[bit // 8] ^= 1 << bit % 8
        assert driver.ask(3, bytes(damaged), []) is None


def test_100000_bytes_of_noise_lose_nothing_and_leave_no_memory(driver):
    rng = random.Random(6)
    memory = []
    for n in range(200):
        before = rng.randbytes(500)
        frame = seal(b"\xaa\x03\x04" + rng.randbytes(4))
        stream = before + frame
        assert driver.ask(3, stream, [rng.randrange(len(stream)) for _ in range(rng.randrange(12))]) == frame
        if n in (20, 199):
            memory.append(driver.memory())
    assert memory[1] - memory[0] <= 1024, memory
