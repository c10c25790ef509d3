"""A bag that likes to give the same colour again."""

from __future__ import annotations

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
