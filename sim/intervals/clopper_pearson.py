"""The exact interval of one proportion, seen through the divergence."""

from __future__ import annotations

from typing import ClassVar, Literal

import numpy as np

from sim.contracts.arrays import Values
from sim.contracts.interval import Bounds, Estimates, Interval, Sample, each_once, without_error
from sim.divergences import Divergence
from sim.extremes import projected
from sim.special import betaincinv


class ClopperPearson(Interval):
    """The divergences of all p₁ in the interval of Clopper & Pearson 1934; two colours only.

    It holds the truth in at least a share `level` of trials at any p and n, so it is wide:
    the one to take where too little coverage costs more than width. Serves every target that
    is 0 at p = q and grows away from it. Follows the counts, whatever the estimator.

    Example:
        kind: clopper_pearson
    """

    kind: Literal["clopper_pearson"] = "clopper_pearson"
    serves: ClassVar[frozenset[str] | None] = frozenset(
        {
            "kl",
            "reverse_kl",
            "jeffreys",
            "js",
            "js_distance",
            "renyi(a)",
            "chi_square",
            "hellinger_squared",
            "total_variation",
        }
    )
    two_samples: ClassVar[bool] = False

    def misfit(self, target: Divergence, colours: int, *, counted: bool) -> str | None:
        """Say also that it takes two colours."""
        fault = super().misfit(target, colours, counted=counted)
        if fault is None and colours != 2:
            return f"{self.kind} takes two colours only; got {colours}"
        return fault

    def bounds(
        self, estimator: Estimates, sample: Sample, level: float, rng: np.random.Generator
    ) -> Bounds:
        """Return the least and the greatest divergence of p₁ in its interval."""

        def found(counts: Values) -> tuple[Values, Values]:
            low, high = _proportion(counts[:, 0], counts[:, 1], (1 - level) / 2)
            return projected(sample.target, low, high, sample.reference.q)

        return without_error(*each_once(sample.counts.astype(np.float64), found))


def _proportion(one: Values, other: Values, tail: float) -> tuple[Values, Values]:
    """Return the ends of p₁ after so many draws of one colour and of the other."""
    low = betaincinv(np.maximum(one, 1), other + 1, tail)
    high = betaincinv(one + 1, np.maximum(other, 1), 1 - tail)
    return np.where(one == 0, 0.0, low), np.where(other == 0, 1.0, high)
