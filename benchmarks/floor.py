"""The floor: what a trial costs at least, however its counts are drawn and estimated.

Between two sizes a trial needs a random number for each draw (an alias table) or for each
colour but the last (splitting), whichever is fewer; and one look-up and one addition for
each count that can have changed (a table of c ln c). Memory traffic beyond the cache, calls
and everything else come on top: that is the gap.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from statistics import median

import numpy as np

from benchmarks.cases import SEED, Case
from benchmarks.timing import timed

_LENGTH = 4096
_CALLS = 500
_ROUNDS = 7


@dataclass(frozen=True)
class Prices:
    """Seconds of one random number, and of one look-up with its addition."""

    random: float
    look_up: float


def prices() -> Prices:
    """Measure both, in the nearest cache."""
    rng = np.random.Generator(np.random.SFC64(SEED))
    numbers = np.empty(_LENGTH)
    terms, places = rng.random(1024), rng.integers(1024, size=_LENGTH)

    def look_up() -> None:
        np.take(terms, places, out=numbers, mode="clip")
        numbers.sum()

    return Prices(_each(lambda: rng.random(out=numbers)), _each(look_up))


def _each(work: Callable[[], object]) -> float:
    def calls() -> None:
        for _ in range(_CALLS):
            work()

    return median(timed(calls) for _ in range(_ROUNDS)) / (_CALLS * _LENGTH)


def needs(case: Case) -> tuple[int, int]:
    """Return how many random numbers and how many look-ups one trial needs at least."""
    increments = np.diff(case.sizes, prepend=0)
    randoms = np.minimum(increments, case.colours - 1)
    return int(randoms.sum()), int(np.minimum(increments, case.colours).sum())


def floor(case: Case, price: Prices) -> float:
    """Return the seconds that one trial, counted at every size, costs at least."""
    randoms, look_ups = needs(case)
    return randoms * price.random + look_ups * price.look_up
