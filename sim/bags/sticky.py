"""A bag that likes to give the same colour again."""

from __future__ import annotations

from math import expm1, log1p
from typing import Literal

import numpy as np
from pydantic import Field

from sim.compositions import Balls
from sim.contracts.arrays import Colours, Mix
from sim.contracts.bag import SequentialBag
from sim.kernels import pick
from sim.laws.counts import CountLaw
from sim.laws.tables import sticky_counts


class Sticky(SequentialBag):
    """With probability `stay` the next ball has the last one's colour, else a fresh draw.

    A Markov chain whose stationary law is the bag's composition. n draws are worth about
    n(1 − stay)/(1 + stay) independent ones: the bias of a counted KL is that much larger.
    Exact law of each count: its two states, this colour or another, are a chain themselves.

    Example:
        kind: sticky
        balls: {red: 10, blue: 15}
        stay: 0.5
    """

    kind: Literal["sticky"] = "sticky"
    balls: Balls
    stay: float = Field(ge=0, lt=1)

    @property
    def colours(self) -> tuple[str, ...]:
        """The names of the balls' colours."""
        return self.balls.colours

    def truth(self, n: int) -> Mix:
        """Return the balls' proportions."""
        return self.balls.probabilities

    def draw(self, n: int, rng: np.random.Generator) -> Colours:
        """Return n draws: fresh ones, each held until the next fresh one."""
        uniform = rng.random((n, 2))
        fresh = uniform[:, 0] >= self.stay
        fresh[0] = True
        colours = pick(self.balls.probabilities, uniform[fresh, 1])
        return np.asarray(colours[np.cumsum(fresh) - 1])

    def count_law(self, n: int) -> CountLaw | None:
        """Return the exact law of each count."""
        return sticky_counts(n, self.balls.probabilities, self.stay)

    def count_variance(self, n: int) -> Mix:
        """Return n p(1 − p)(1 + 2 Σ_{h<n} (1 − h/n) stay^h)."""
        p = self.balls.probabilities
        return np.asarray(n * p * (1 - p) * (1 + 2 * _runs(n, self.stay)))


def _runs(n: int, stay: float) -> float:
    """Return Σ_{0<h<n} (1 − h/n) stay^h = stay/f · (1 − (1 − stay^n)/(n f)), f = 1 − stay."""
    fresh = 1 - stay
    if stay == 0:
        return 0.0
    if n * fresh > 1:
        return stay / fresh * (1 + expm1(n * log1p(-fresh)) / (n * fresh))
    total, term = 0.0, -1.0  # the bracket as a series in n f: it cancels where that is small
    for j in range(1, 25):
        term *= -fresh * (n - j) / (j + 1)
        total += term
    return stay / fresh * total
