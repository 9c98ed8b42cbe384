"""Draw, mutate, ask, check: `fuzz(target, cases, seed)`."""

from __future__ import annotations

import random
import time

from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import seed as with_seed
from hypothesis import strategies as st

from tools.fuzz.host import CASES, CHECKS, LEAST, mutant
from tools.fuzz.process import Finding, Process

MUTANTS = 9  # of each case that hypothesis draws
GROWTH = 40_000  # bytes of heap that all cases together may leave (modules loaded on the way, the collector's guesses)
_LOOK = 1000  # cases between two looks at the heap


class Fuzzer:
    """One target and what came of it: `cases`, `memory` (bytes at the looks), `seconds`."""

    def __init__(self, target):
        self.target = target
        self.process = Process(target)
        self.cases, self.memory, self.seconds = 0, [], 0.0

    def one(self, case):
        answer = self.process.ask(case)
        try:
            CHECKS[self.target](case, answer)
        except AssertionError as error:
            raise Finding(f"{self.target}: wrong answer {answer!r}: {error}\non {case!r}\nhex {case.hex()}") from None
        self.cases += 1
        if self.cases % _LOOK == 0:
            self.memory.append(self.process.memory())

    def drawn(self, case, number):
        """A drawn case and its mutants."""
        self.one(case or b"\0\0")
        dice = random.Random(number)
        keep = LEAST.get(self.target, 1 if self.target not in ("bundle", "captive", "ntp") else 0)
        for _ in range(MUTANTS):
            changed = case[:keep] + mutant(case[keep:], dice)
            if len(changed) > keep:
                self.one(changed)

    def check_memory(self):
        early = self.memory[: max(1, len(self.memory) // 3)]
        if self.memory and self.memory[-1] > max(early) + GROWTH:
            raise Finding(f"{self.target}: heap grows: {self.memory[:: max(1, len(self.memory) // 10)]}")


def fuzz(target, cases, seed):
    """At least `cases` cases for the target; gives the Fuzzer. Raises Finding with the smallest input that was found."""
    fuzzer = Fuzzer(target)
    began = time.monotonic()
    limit = settings(
        max_examples=cases // (1 + MUTANTS) + 1, deadline=None, database=None, suppress_health_check=list(HealthCheck),
        phases=(Phase.generate, Phase.shrink), report_multiple_bugs=False, print_blob=False,
    )  # fmt: skip

    @with_seed(seed)
    @limit
    @given(CASES[target], st.integers(0, 1 << 32))
    def run(case, number):
        fuzzer.drawn(case, number)

    try:
        turn = 0
        while fuzzer.cases < cases:  # hypothesis ends early when it has seen all that a strategy can draw
            with_seed(seed + turn)(run)()
            turn += 1
        fuzzer.check_memory()
    finally:
        fuzzer.process.stop()
        fuzzer.seconds = time.monotonic() - began
    return fuzzer
