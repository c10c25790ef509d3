"""The quantiles of the bootstrap, moved by what bias and skewness ask for."""

from __future__ import annotations

from typing import Literal

import numpy as np

from sim.contracts.arrays import Counts, Reference, Values
from sim.contracts.interval import Estimates, Sample
from sim.contracts.replicates import BootstrapInterval, Shares
from sim.special import ndtr, ndtri

_TOGETHER = 2**19


class BootstrapBCa(BootstrapInterval):
    """The bias-corrected and accelerated bootstrap interval (Efron 1987).

    Other quantiles of the same resampled estimates as `bootstrap_percentile`: z₀ from the share
    of them below the estimate (ties by half, at least half a resample on each side), the
    acceleration from leaving out each draw, of both samples (Davison & Hinkley 1997). Good
    for n ≫ K, where it mends the lean of the percentiles; no interval where leaving a draw
    out leaves no finite estimate. Slow: as many estimates for each trial as there are
    resamples and colours.

    Example:
        kind: bootstrap_bca
        resamples: 999
    """

    kind: Literal["bootstrap_bca"] = "bootstrap_bca"

    def shares(
        self, estimator: Estimates, sample: Sample, ordered: Values, level: float
    ) -> tuple[Shares, Shares]:
        """Return the two shares that bias and acceleration ask for."""
        estimates = estimator.estimate(sample.counts, sample.reference, sample.target)
        own = estimates[:, np.newaxis]
        number = ordered.shape[1]
        below = ((ordered < own).sum(axis=1) + (ordered <= own).sum(axis=1)) / (2 * number)
        middle = ndtri(np.clip(below, 0.5 / number, 1 - 0.5 / number))
        bend = _acceleration(estimator, sample)
        place = float(ndtri((1 + level) / 2))
        low, high = (_moved(middle, bend, z) for z in (-place, place))
        unknown = np.isnan(estimates)
        return np.where(unknown, np.nan, low), np.where(unknown, np.nan, high)


def _moved(middle: Values, bend: Values, z: float) -> Values:
    """Return Φ(z₀ + (z₀ + z)/(1 − a(z₀ + z))); beyond its pole, the end that it runs to."""
    away = middle + z
    under = 1 - bend * away
    with np.errstate(divide="ignore", invalid="ignore"):
        share = ndtr(middle + away / under)
    return np.where(under > 0, share, np.where(np.isnan(under), np.nan, away > 0))


def _acceleration(estimator: Estimates, sample: Sample) -> Values:
    """Return a = Σ l³/n³ / (6 (Σ l²/n²)^1.5), summed over samples, l = (n−1)(mean − left out)."""
    square, cube = _influence(estimator, sample, of_reference=False)
    if sample.reference.counts is not None:
        other = _influence(estimator, sample, of_reference=True)
        square, cube = square + other[0], cube + other[1]
    with np.errstate(divide="ignore", invalid="ignore"):
        bend = cube / (6 * square**1.5)
    return np.where(square == 0, 0.0, bend)


def _influence(
    estimator: Estimates, sample: Sample, *, of_reference: bool
) -> tuple[Values, Values]:
    """Return Σ l²/n² and Σ l³/n³ over the draws of one sample; 0 where it has only one."""
    counts = sample.reference.d if of_reference else sample.counts
    size = counts.sum(axis=1)
    square, cube = np.zeros(len(counts)), np.zeros(len(counts))
    step = max(1, _TOGETHER // counts.shape[1] ** 2)
    for begin in range(0, len(counts), step):
        rows = slice(begin, begin + step)
        some = Sample(sample.counts[rows], sample.reference.rows(rows), sample.target)
        weight = counts[rows] / size[rows, np.newaxis]
        left_out = _left_out(estimator, some, of_reference=of_reference)
        with np.errstate(invalid="ignore"):
            mean = np.where(weight > 0, weight * left_out, 0.0).sum(axis=1, keepdims=True)
            away = np.where(weight > 0, mean - left_out, 0.0)
        inner = size[rows] - 1.0
        square[rows] = (weight * away**2).sum(axis=1) * inner**2 / size[rows]
        cube[rows] = (weight * away**3).sum(axis=1) * inner**3 / size[rows] ** 2.0
    alone = size == 1
    return np.where(alone, 0.0, square), np.where(alone, 0.0, cube)


def _left_out(estimator: Estimates, sample: Sample, *, of_reference: bool) -> Values:
    """Return the estimate without one draw of each colour; 0 where it was not drawn; (trials, K).

    Where a sample has one draw only, the estimate without it is not asked for.
    """
    reference = sample.reference
    counts = reference.d if of_reference else sample.counts
    trial, colour = np.nonzero((counts > 0) & (counts.sum(axis=1, keepdims=True) > 1))
    less: Counts = counts[trial]
    less[np.arange(len(trial)), colour] -= 1
    if of_reference:
        values = estimator.estimate(sample.counts[trial], Reference.counted(less), sample.target)
    else:
        if reference.counts is not None:
            reference = Reference.counted(reference.d[trial])
        values = estimator.estimate(less, reference, sample.target)
    found = np.zeros(counts.shape)
    found[trial, colour] = values
    return found
