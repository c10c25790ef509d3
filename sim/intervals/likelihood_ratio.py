"""The divergences of all distributions that the likelihood does not rule out."""

from __future__ import annotations

from typing import ClassVar, Literal

import numpy as np

from sim.contracts.arrays import Counts, Values
from sim.contracts.interval import Bounds, Estimates, Interval, Sample, each_once, without_error
from sim.divergences import KL
from sim.extremes import ends, highest, lowest, projected
from sim.special import chdtri


class LikelihoodRatio(Interval):
    """{KL(p‖q): 2n·KL(p̂‖p) ≤ c}, c the quantile of χ²₁: the likelihood of p is not too low.

    The profile likelihood of one number (Wilks 1938; Owen 2001): the least and the greatest
    KL(p‖q) of such p, where colours that were not drawn may have a part in p. Follows the
    counts, whatever the estimator. Good at any p, at small n too; at P = Q and K > 2 it is
    short, as c is that of one number and the divergence there hangs on K − 1. Infinite where
    Q holds a colour impossible, as it may come yet. Slower than the others that draw nothing
    where there are many colours: a search for each row.

    Example:
        kind: likelihood_ratio
    """

    kind: Literal["likelihood_ratio"] = "likelihood_ratio"
    serves: ClassVar[frozenset[str] | None] = frozenset({"kl"})
    two_samples: ClassVar[bool] = False

    def bounds(
        self, estimator: Estimates, sample: Sample, level: float, rng: np.random.Generator
    ) -> Bounds:
        """Return the least and the greatest divergence in the region."""
        q, limit = sample.reference.q, float(chdtri(1, 1 - level)) / 2

        def found(counts: Counts) -> tuple[Values, Values]:
            size = counts.sum(axis=1)
            shares, radius = counts / size[:, np.newaxis], limit / size
            if len(q) == 2:
                return projected(KL, *ends(shares[:, 0], radius), q)
            return lowest(shares, q, radius), highest(shares, q, radius)

        return without_error(*each_once(sample.counts, found))
