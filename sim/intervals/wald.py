"""The estimate and its standard error, as the delta method has them."""

from __future__ import annotations

from typing import ClassVar, Literal

import numpy as np

from sim.contracts.arrays import Mix, Reference, Values
from sim.contracts.interval import Bounds, Estimates, Interval, Sample
from sim.special import ndtri


class Wald(Interval):
    """Estimate ± z · standard error, the error by the delta method.

    √(V/n + χ²/m) with V = Σ p̂ ln²(p̂/q) − D² (divisor n) and χ² = Σ p̂²/q̂ − 1, the second only
    where Q is counted; for the entropy V = Σ p̂ ln² p̂ − H², for the cross-entropy
    Σ p̂ ln² q − C² (Basharin 1959; the two-sample form by the same expansion). Always of the
    counted p̂, whatever the estimator; not cut off at 0. Good for p far from q beside 1/√n.
    At p = q the error is of smaller order than it says: see `boundary`. None where the estimate
    or its error is not finite.

    Example:
        kind: wald
    """

    kind: Literal["wald"] = "wald"
    serves: ClassVar[frozenset[str] | None] = frozenset({"kl", "entropy", "cross_entropy"})

    def bounds(
        self, estimator: Estimates, sample: Sample, level: float, rng: np.random.Generator
    ) -> Bounds:
        """Return the estimate and so many standard errors on each side."""
        size = sample.counts.sum(axis=-1, keepdims=True)
        share, reference = sample.counts / size, sample.reference
        counted = reference.counts is not None
        q = reference.d / reference.size if counted else reference.q
        square = _spread(share, _scores(share, q, sample.target.name)) / size[:, 0]
        if counted and sample.target.name != "entropy":
            square = square + _of_reference(share, q, reference)
        estimates = estimator.estimate(sample.counts, reference, sample.target)
        se = np.where(np.isfinite(estimates) & np.isfinite(square), np.sqrt(square), np.nan)
        reach = float(ndtri((1 + level) / 2)) * se
        return Bounds(se, estimates - reach, estimates + reach)


def _scores(share: Mix, q: Mix, target: str) -> Mix:
    """Return each colour's ln(p̂/q), or its part in another target; 0 where p̂ is 0."""
    seen = share > 0
    p, q = np.where(seen, share, 1.0), np.where(seen, q, 1.0)
    with np.errstate(divide="ignore"):
        if target == "entropy":
            return np.log(p)
        return np.log(q) if target == "cross_entropy" else np.log(p / q)


def _spread(share: Mix, scores: Mix) -> Values:
    """Return Σ p̂ (score − mean)²: the same as Σ p̂ score² − mean², and it does not cancel."""
    mean = (share * scores).sum(axis=-1, keepdims=True)
    with np.errstate(invalid="ignore"):
        return np.asarray((share * (scores - mean) ** 2).sum(axis=-1))


def _of_reference(share: Mix, q: Mix, reference: Reference) -> Values:
    """Return χ²/m, with Σ p̂²/q̂ − 1 as Σ (p̂ − q̂)²/q̂."""
    with np.errstate(divide="ignore", invalid="ignore"):
        away = np.where(share == q, 0.0, (share - q) ** 2 / q)
    return np.asarray(away.sum(axis=-1) / np.broadcast_to(reference.size, (len(share), 1))[:, 0])
