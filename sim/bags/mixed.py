"""A bag that is another one in each trial."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import cached_property
from typing import Annotated, Literal

import numpy as np
from pydantic import Field, model_validator

from sim.checks import Amount, Value, placed
from sim.compositions import Balls, aligned
from sim.contracts.arrays import Counts, Mix
from sim.contracts.bag import Bag
from sim.kernels import dirichlet
from sim.laws.counts import CountLaw
from sim.laws.tables import dirichlet_multinomial, multinomial_mixture
from sim.multinomial import multinomial_tally


class Weighted(Value):
    """A composition and how often it is picked."""

    weight: Amount = 1
    balls: Balls


class Mixed(Bag):
    """Each trial first picks its composition, then draws from it with replacement.

    Either Dirichlet(`concentration` · P) around the `balls`, equal in law to `polya` with
    added = N/concentration; or one of a list of `compositions`, by their weights. Truth is
    the mean composition. Exact law: beta-binomial counts, or a mixture of binomial ones.

    Example:
        kind: mixed
        balls: {red: 10, blue: 15}
        concentration: 25
    """

    kind: Literal["mixed"] = "mixed"
    balls: Balls | None = None
    concentration: Annotated[float, Field(gt=0, le=1e12)] | None = None
    compositions: Annotated[tuple[Weighted, ...], Field(min_length=1)] | None = None

    @model_validator(mode="after")
    def _one_of_two(self) -> Mixed:
        around = (self.balls is not None, self.concentration is not None)
        listed = self.compositions is not None
        if around != (not listed, not listed):
            fault = "expected either `balls` with `concentration`, or `compositions` alone"
            placed([((), fault)], self.kind)
        for place, one in enumerate(self._listed):
            aligned(one.balls, self.colours, ("compositions", place, "balls"))
        if listed and not any(one.weight for one in self._listed):
            placed([(("compositions",), "expected a weight above 0; got none")], self.kind)
        return self

    @cached_property
    def colours(self) -> tuple[str, ...]:
        """The names of the colours, as the first composition has them."""
        return self.balls.colours if self.balls else self._listed[0].balls.colours

    @property
    def _listed(self) -> tuple[Weighted, ...]:
        return self.compositions or ()

    @cached_property
    def _components(self) -> tuple[Mix, Mix]:
        """The weights, (C,), and compositions, (C, K), of the list."""
        weights = np.array([one.weight for one in self._listed], dtype=np.float64)
        rows = [aligned(one.balls, self.colours) for one in self._listed]
        return weights / weights.sum(), np.stack(rows)

    def truth(self, n: int) -> Mix:
        """Return the mean composition."""
        if self.balls:
            return self.balls.probabilities
        weights, rows = self._components
        return np.asarray((weights[:, np.newaxis] * rows).sum(axis=0))

    def tally(
        self, sizes: Sequence[int], trials: int, rng: np.random.Generator
    ) -> Iterator[Counts]:
        """Yield cumulative multinomial increments of each trial's own composition."""
        if self.balls:
            p = dirichlet(np.tile(self._shapes, (trials, 1)), rng)
        else:
            weights, rows = self._components
            p = rows[rng.choice(len(rows), size=trials, p=weights)]
        return multinomial_tally(p, sizes, trials, rng)

    @property
    def _shapes(self) -> Mix:
        return np.asarray(self.truth(0) * (self.concentration or 1))

    def count_law(self, n: int) -> CountLaw | None:
        """Return the law of each count over trials."""
        if self.balls:
            return dirichlet_multinomial(n, self._shapes)
        return multinomial_mixture(n, *self._components)

    def count_variance(self, n: int) -> Mix:
        """Return E n p(1 − p) + n² Var p over the compositions p."""
        if self.balls:
            p, total = self.truth(n), self.concentration or 1
            return np.asarray(n * p * (1 - p) * ((total + n) / (total + 1)))
        weights, rows = self._components
        away = rows - self.truth(n)
        each = n * rows * (1 - rows) + (n * away) ** 2
        return np.asarray((weights[:, np.newaxis] * each).sum(axis=0))
