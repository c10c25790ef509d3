"""A bag whose composition moves while it is drawn from."""

from __future__ import annotations

from typing import Literal

import numpy as np
from pydantic import model_validator

from sim.checks import Draws
from sim.compositions import Balls, aligned
from sim.contracts.arrays import Colours, Mix, Values
from sim.contracts.bag import SequentialBag
from sim.kernels import pick
from sim.laws.counts import CountLaw
from sim.laws.tables import MOST_ENTRIES, poisson_binomial


class Drifting(SequentialBag):
    """The composition moves from `balls` to `later` over `span` draws, then stays.

    `linear`: draw t = 0, 1, … comes from `later` with probability t/span; `step`: the first
    `span` draws come from `balls`, all others from `later`. Truth is the average composition
    over the n draws. Exact law of each count: Poisson-binomial (draws are independent).

    Example:
        kind: drifting
        balls: {red: 10, blue: 15}
        later: {red: 15, blue: 10}
        span: 100
        shape: linear
    """

    kind: Literal["drifting"] = "drifting"
    balls: Balls
    later: Balls
    span: Draws
    shape: Literal["linear", "step"] = "linear"

    @model_validator(mode="after")
    def _same_colours(self) -> Drifting:
        aligned(self.later, self.balls.colours, ("later",))
        return self

    @property
    def colours(self) -> tuple[str, ...]:
        """The names of the balls' colours."""
        return self.balls.colours

    def _weights(self, n: int) -> Values:
        """Return the probability that each draw comes from `later`; shape (n,)."""
        if self.shape == "step":
            return np.asarray(np.arange(n) >= self.span, dtype=np.float64)
        return np.minimum(np.arange(n) / self.span, 1.0)

    def _later(self) -> Mix:
        return aligned(self.later, self.balls.colours)

    def truth(self, n: int) -> Mix:
        """Return the average composition over n draws."""
        weight = float(self._weights(n).mean())
        return np.asarray((1 - weight) * self.balls.probabilities + weight * self._later())

    def draw(self, n: int, rng: np.random.Generator) -> Colours:
        """Return n draws, each from one of the two compositions."""
        uniform = rng.random((n, 2))
        moved = uniform[:, 0] < self._weights(n)
        before = pick(self.balls.probabilities, uniform[:, 1])
        return np.where(moved, pick(self._later(), uniform[:, 1]), before)

    def count_law(self, n: int) -> CountLaw | None:
        """Return the Poisson-binomial law of each count."""
        both = np.stack([self.balls.probabilities, self._later()])
        columns, which = np.unique(both, axis=1, return_inverse=True)
        if columns.shape[1] * (n + 1) > MOST_ENTRIES:  # as the law would say, but after the work
            return None
        weights = self._weights(n)[:, np.newaxis]
        law = poisson_binomial((1 - weights) * columns[0] + weights * columns[1])
        return None if law is None else law.picked(np.ravel(which))

    def count_variance(self, n: int) -> Mix:
        """Return Σ p_t(1 − p_t) over the draws t: they are independent."""
        p, weights = self.truth(n), self._weights(n)
        apart = self._later() - self.balls.probabilities
        return np.asarray(n * (p * (1 - p) - apart**2 * weights.var()))
