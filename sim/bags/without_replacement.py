"""The bag whose balls stay out."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import cached_property
from typing import Literal

import numpy as np
from pydantic import model_validator

from sim.compositions import Balls, number_of_balls
from sim.contracts.arrays import Counts, Mix
from sim.contracts.bag import Bag
from sim.laws.counts import Hypergeometric

_MOST_BALLS = 10**9 - 1  # numpy's hypergeometric


class WithoutReplacement(Bag):
    """Each ball stays out: at n = N the bag is empty and the count is exact.

    Counts between two sizes are one multivariate hypergeometric increment of what is left.
    Exact law: hypergeometric counts. Needs whole numbers of balls, fewer than 10⁹.

    Example:
        kind: without_replacement
        balls: {red: 10, blue: 15}
        sizes: [5, 10, 20, 25]
    """

    kind: Literal["without_replacement"] = "without_replacement"
    balls: Balls

    @model_validator(mode="after")
    def _countable(self) -> WithoutReplacement:
        number_of_balls(self.balls, most=_MOST_BALLS)
        return self

    @cached_property
    def _number(self) -> Counts:
        return self.balls.weights.astype(np.int64)

    @property
    def colours(self) -> tuple[str, ...]:
        """The names of the balls' colours."""
        return self.balls.colours

    @property
    def limit(self) -> int:
        """The number of balls."""
        return int(self.balls.weights.sum())

    def truth(self, n: int) -> Mix:
        """Return the balls' proportions."""
        return self.balls.probabilities

    def tally(
        self, sizes: Sequence[int], trials: int, rng: np.random.Generator
    ) -> Iterator[Counts]:
        """Yield cumulative multivariate hypergeometric increments."""
        # numpy loops over one of the two axes in C: let Python have the shorter one
        increment = _by_colour if len(self.colours) <= trials else _by_trial
        left = np.tile(self._number, (trials, 1))
        before = 0
        for size in sizes:
            left -= increment(left, size - before, rng)
            before = size
            yield self._number - left

    def count_law(self, n: int) -> Hypergeometric:
        """Return the hypergeometric law of each count."""
        return Hypergeometric(n, self.balls.weights)

    def count_variance(self, n: int) -> Mix:
        """Return n p(1 − p)(N − n)/(N − 1)."""
        p, number = self.balls.probabilities, self.limit
        return n * p * (1 - p) * ((number - n) / max(number - 1, 1))


def _by_colour(left: Counts, draws: int, rng: np.random.Generator) -> Counts:
    """Draw from every trial's balls, one colour against all later ones at a time."""
    drawn = np.zeros_like(left)
    wanted = np.full(len(left), draws)
    others = left.sum(axis=1)
    for colour in range(left.shape[1]):
        others -= left[:, colour]
        drawn[:, colour] = rng.hypergeometric(left[:, colour], others, wanted)
        wanted -= drawn[:, colour]
    return drawn


def _by_trial(left: Counts, draws: int, rng: np.random.Generator) -> Counts:
    """Draw from one trial's balls after the other."""
    return np.stack([rng.multivariate_hypergeometric(balls, draws) for balls in left])
