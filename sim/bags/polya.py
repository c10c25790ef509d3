"""Pólya's urn."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Literal

import numpy as np
from pydantic import Field

from sim.compositions import Balls
from sim.contracts.arrays import Counts, Mix
from sim.contracts.bag import Bag
from sim.kernels import dirichlet
from sim.laws.counts import CountLaw
from sim.laws.tables import dirichlet_multinomial


class Polya(Bag):
    """Each drawn ball goes back with `added` more of its colour (Eggenberger & Pólya 1923).

    What was drawn is drawn more: the share of a colour converges, but to a random limit,
    Dirichlet(balls/added), so a counted KL does not go to 0. Given what was drawn, the next m
    counts are Dirichlet-multinomial: one such increment between two sizes. Exact law:
    beta-binomial counts. E p̂ is the bag's first composition.

    Example:
        kind: polya
        balls: {red: 10, blue: 15}
        added: 1
    """

    kind: Literal["polya"] = "polya"
    balls: Balls
    added: float = Field(ge=1e-9, le=1e9)

    @property
    def colours(self) -> tuple[str, ...]:
        """The names of the balls' colours."""
        return self.balls.colours

    def truth(self, n: int) -> Mix:
        """Return the proportions at the start."""
        return self.balls.probabilities

    def tally(
        self, sizes: Sequence[int], trials: int, rng: np.random.Generator
    ) -> Iterator[Counts]:
        """Yield cumulative Dirichlet-multinomial increments."""
        counts = np.zeros((trials, len(self.colours)), dtype=np.int64)
        before = 0
        for size in sizes:
            shares = dirichlet(self.balls.weights / self.added + counts, rng)
            counts += rng.multinomial(size - before, shares)
            before = size
            yield counts

    def count_law(self, n: int) -> CountLaw | None:
        """Return the beta-binomial law of each count."""
        return dirichlet_multinomial(n, self.balls.weights / self.added)

    def count_variance(self, n: int) -> Mix:
        """Return n p(1 − p)(α₀ + n)/(α₀ + 1), α₀ = Σ balls/added."""
        p, total = self.balls.probabilities, float(self.balls.weights.sum()) / self.added
        return np.asarray(n * p * (1 - p) * ((total + n) / (total + 1)))
