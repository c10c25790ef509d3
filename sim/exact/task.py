"""What a size is asked for: draws of P, a known Q, an estimator, and how near it has to come."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from sim.contracts.arrays import Counts, Mix, Reference
from sim.contracts.interval import Listable
from sim.divergences import Divergence
from sim.exact.edges import Within, chances
from sim.exact.values import is_within, reaches, rounded_up
from sim.exact.windows import Window
from sim.laws.counts import Multinomial
from sim.laws.pmf import Floats, Ints


@dataclass(frozen=True, eq=False)
class Task:
    """|estimate − truth| ≤ error in a share `confidence` of all trials; nats.

    Draws are independent, from p; `of` is what the truth is of, None for p itself.
    """

    p: Mix
    q: Mix
    estimator: Listable
    target: Divergence
    error: float
    confidence: float
    of: Mix | None = None

    @cached_property
    def truth(self) -> float:
        """The true divergence."""
        return float(self.target(self.p if self.of is None else self.of, self.q))

    @cached_property
    def reference(self) -> Reference:
        """What the estimator knows of Q."""
        return Reference.known(self.q)

    @property
    def kind(self) -> str:
        """The kind of the estimator, with that of its learner where it has one."""
        learner = getattr(self.estimator, "learner", None)
        name: str = getattr(self.estimator, "kind", "")
        return name if learner is None else f"{name}/{learner.kind}"

    def window(self, bottom: float = 0.0, top: float = 0.0) -> Window | None:
        """Return which shares are near enough, two colours, its levels moved by so much."""
        return self._window(bottom, top) if bottom or top else self._unmoved

    @cached_property
    def _unmoved(self) -> Window | None:
        return self._window(0.0, 0.0)

    def _window(self, bottom: float, top: float) -> Window | None:
        p, q = float(self.p[0]), float(self.q[0])
        levels = self.truth - self.error + bottom, self.truth + self.error + top
        return Window.of(p, q, self.target, levels)

    def pulled(self, share: float, n: Ints) -> Floats:
        """Return how many counts the learner moves a share of n: (c + a)/(n + 2a) = share."""
        added = getattr(getattr(self.estimator, "learner", None), "added", None)
        balls = np.zeros(len(n)) if added is None else np.full(len(n), added(n, 2))
        return np.asarray((2 * share - 1) * balls)

    def law(self, n: int) -> Multinomial:
        """Return the law of the counts of n draws."""
        return Multinomial(n, self.p)

    def near(self, counts: Counts) -> NDArray[np.bool_]:
        """Return for each row of counts whether its estimate is within the error."""
        with np.errstate(all="ignore"):
            return self.within(self.estimator.estimate(counts, self.reference, self.target))

    def chances(self, n: Ints, within: Within) -> Floats:
        """Return P(|estimate − truth| ≤ error) at each size, by bisection (see `edges`)."""
        shares = float(self.p[0]), float(self.q[0])
        return chances(self._errors, n, shares, rounded_up(self.truth, self.error), within)

    def _errors(self, counts: Counts) -> Floats:
        return self.estimator.estimate(counts, self.reference, self.target) - self.truth

    def within(self, values: Floats) -> NDArray[np.bool_]:
        """Return which estimates are within the error; an undefined one is not."""
        return is_within(values - self.truth, self.truth, self.error)

    def reached(self, chances: Floats) -> NDArray[np.bool_]:
        """Return which chances reach the confidence."""
        return reaches(chances, self.confidence)
