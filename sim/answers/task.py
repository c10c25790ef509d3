"""What a size is asked for: draws of P, a known Q, an estimator, and how near it has to come."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from sim.answers.outcomes import estimates
from sim.answers.windows import Window
from sim.contracts.arrays import Counts, Mix, Reference
from sim.contracts.estimator import Estimator
from sim.divergences import Divergence
from sim.exact.values import Floats
from sim.laws.counts import Multinomial

_ROUNDING = 1e-12


@dataclass(frozen=True, eq=False)
class Task:
    """|estimate − truth| ≤ error in a share `confidence` of all trials; nats."""

    p: Mix
    q: Mix
    estimator: Estimator
    target: Divergence
    error: float
    confidence: float

    @property
    def truth(self) -> float:
        """The true divergence."""
        return float(self.target(self.p, self.q))

    @property
    def reference(self) -> Reference:
        """What the estimator knows of Q."""
        return Reference.known(self.q)

    @property
    def kind(self) -> str:
        """The kind of the estimator, with that of its learner where it has one."""
        learner = getattr(self.estimator, "learner", None)
        name: str = getattr(self.estimator, "kind", "")
        return name if learner is None else f"{name}/{learner.kind}"

    def window(self, less: float = 0.0) -> Window | None:
        """Return which shares are near enough, two colours, the error so much `less`."""
        p, q = float(self.p[0]), float(self.q[0])
        return Window.of(p, q, self.target, self.error - less)

    def law(self, n: int) -> Multinomial:
        """Return the law of the counts of n draws."""
        return Multinomial(n, self.p)

    def near(self, counts: Counts) -> np.ndarray[tuple[int], np.dtype[np.bool_]]:
        """Return for each row of counts whether its estimate is within the error."""
        return self.within(estimates(self.estimator, counts, self.reference, self.target))

    def within(self, values: Floats) -> np.ndarray[tuple[int], np.dtype[np.bool_]]:
        """Return which estimates are within the error; an undefined one is not."""
        slack = _ROUNDING * max(self.error, abs(self.truth))
        return np.asarray(np.abs(values - self.truth) <= self.error + slack)
