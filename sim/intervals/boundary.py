"""The χ² law that holds where P is Q, or near it."""

from __future__ import annotations

from typing import ClassVar, Literal

import numpy as np

from sim.contracts.arrays import Values
from sim.contracts.interval import (
    Bounds,
    Estimates,
    Interval,
    Sample,
    counted_kl,
    each_once,
    without_error,
)
from sim.laws.noncentral import noncentrality


class Boundary(Interval):
    """All δ ≥ 0 for which 2n·KL(p̂‖q) is no rare value of χ²_{K−1}(2nδ), noncentral.

    The law of the likelihood ratio at and near P = Q (Wilks 1938; Wald 1943), inverted. K counts
    the colours that Q holds possible; the counted KL is taken, whatever the estimator. Its
    lower end is 0 as often as it must be, and both are 0 where even δ = 0 would give more. Good
    near P = Q, where a Wald interval fails; far from it too narrow or too wide, as V there is
    not 2δ. Infinite where a colour was drawn that Q holds impossible.

    Example:
        kind: boundary
    """

    kind: Literal["boundary"] = "boundary"
    serves: ClassVar[frozenset[str] | None] = frozenset({"kl"})
    two_samples: ClassVar[bool] = False

    def bounds(
        self, estimator: Estimates, sample: Sample, level: float, rng: np.random.Generator
    ) -> Bounds:
        """Return the least and the greatest δ with both tails above (1 − level)/2."""
        freedom = int(np.count_nonzero(sample.reference.q)) - 1
        size = sample.counts.sum(axis=-1).astype(np.float64)

        def ends(statistic: Values) -> tuple[Values, Values]:
            lower, upper = (np.where(np.isinf(statistic), np.inf, 0.0) for _ in range(2))
            some = np.isfinite(statistic) & (statistic > 0)
            if freedom:  # one possible colour leaves nothing to be found
                lower[some] = noncentrality(statistic[some], freedom, (1 + level) / 2)
                upper[some] = noncentrality(statistic[some], freedom, (1 - level) / 2)
            return lower, upper

        lower, upper = each_once(2 * size * counted_kl(sample), ends)
        return without_error(lower / (2 * size), upper / (2 * size))
