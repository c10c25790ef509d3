"""What remains of an error however many draws: values by size go in, their limits come out.

value = L + c/n + d/n² + e/n³: so go bias and variance of a smooth function of counts, and so they
go to an L that is not 0 where a bag does not converge, or not to its truth.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import nan, sqrt

import numpy as np
from numpy.typing import NDArray

from sim.analysis.fits import LEAST_SIZES
from sim.asymptotics import Quantity
from sim.special import fdtrc

Floats = NDArray[np.float64]
Shown = tuple[Floats, Floats, Floats]
"""A quantity at each size, its error, and its replicates: shapes (S,), (S,), (R, S)."""

REMAINS = 4.0
"""Errors that a limit must be away from 0 to be told: sums of squares have heavy tails."""

STOPPED = 1 / 3
"""The most that may be left to fall, in limits: the quantity goes no faster than n^(−1/4) there."""

ADEQUATE = 0.05
"""A fit stands where chance alone is off by as much in so large a share of studies."""

_TERMS = 4


@dataclass(frozen=True)
class Limit:
    """What remains as n grows, and its standard error; NaN where nothing is seen to remain."""

    limit: float = nan
    limit_se: float = nan

    @property
    def told(self) -> bool:
        """Whether something is seen to remain."""
        return self.limit == self.limit


@dataclass(frozen=True, eq=False)
class Level:
    """A fitted L, the same in each replicate, and what the largest size shows."""

    value: float
    replicates: Floats
    last: float

    @property
    def error(self) -> float:
        """The standard error of L."""
        return float(self.replicates.std(ddof=1))

    @property
    def away(self) -> bool:
        """Whether L is not 0, and on the side of the quantity."""
        return self.value * self.last > 0 and abs(self.value) >= REMAINS * self.error

    @property
    def reached(self) -> bool:
        """Whether it has nearly come there."""
        return self.away and abs(self.last - self.value) <= STOPPED * abs(self.value)


@dataclass(frozen=True)
class Remains:
    """The limit of each quantity, and what the fit leaves of the rmse, reached or not; 0: none."""

    limits: Mapping[Quantity, Limit]
    left: float = 0.0


NOTHING = Remains({"bias": Limit(), "sd": Limit(), "rmse": Limit()})


def remains(sizes: Floats, shown: Mapping[Quantity, Shown]) -> Remains:
    """Return what remains of each quantity: of bias and sd² as fitted, the rmse from these two."""
    values, mcse, replicates = shown["sd"]
    bias = level(sizes, *shown["bias"])
    square = level(sizes, values**2, 2 * values * mcse, replicates**2)
    if bias is None or square is None or not (bias.away or square.away):
        return NOTHING
    total = bias.value**2 + square.value
    rmse = _root(total, 2 * bias.value * bias.replicates + square.replicates)
    limits: dict[Quantity, Limit] = {
        "bias": Limit(bias.value, bias.error) if bias.reached else Limit(),
        "sd": _root(square.value, square.replicates) if square.reached else Limit(),
        "rmse": rmse if bias.reached or square.reached else Limit(),
    }
    return Remains(limits, sqrt(max(total, 0.0)))


def _root(square: float, replicates: Floats) -> Limit:
    if not square > 0:
        return Limit()
    return Limit(sqrt(square), float(replicates.std(ddof=1)) / (2 * sqrt(square)))


def level(sizes: Floats, values: Floats, mcse: Floats, replicates: Floats) -> Level | None:
    """Return L from the largest sizes, as many as the law fits, less one; None where too few.

    The smallest of these may be off by less than can be seen, and would count most: it is
    left out where four are left.
    """
    known = np.isfinite(values) & (mcse > 0) & np.isfinite(replicates).all(axis=0)
    sizes, values, mcse, replicates = sizes[known], values[known], mcse[known], replicates[:, known]
    number = len(sizes)
    least = min(_TERMS, number)
    if number < LEAST_SIZES:
        return None
    for first in range(number - least + 1):
        here = slice(first, None)
        if _fits(sizes[here], values[here] / mcse[here], mcse[here], replicates[:, here]):
            here = slice(min(first + 1, number - least), None)
            weights = _weights(sizes[here], mcse[here])
            return Level(float(weights @ values[here]), replicates[:, here] @ weights, values[-1])
    return None


def _terms(sizes: Floats, mcse: Floats) -> Floats:
    """Return the terms of the law in errors: as many as leave one size to judge them by."""
    powers = np.arange(min(_TERMS, len(sizes) - 1))
    return np.asarray((sizes[0] / sizes)[:, np.newaxis] ** powers / mcse[:, np.newaxis])


def _weights(sizes: Floats, mcse: Floats) -> Floats:
    """Return what L takes of each value: weighted least squares."""
    return np.asarray(np.linalg.pinv(_terms(sizes, mcse))[0] / mcse)


def _fits(sizes: Floats, scaled: Floats, mcse: Floats, replicates: Floats) -> bool:
    """Return whether what no choice of terms explains is no larger than chance makes it.

    Hotelling's T² with the covariance of the replicates, for sizes share draws.
    """
    terms = _terms(sizes, mcse)
    beyond = np.linalg.qr(terms, mode="complete")[0][:, terms.shape[1] :]
    covariance = np.atleast_2d(np.cov(replicates / mcse @ beyond, rowvar=False))
    off = scaled @ beyond
    square = float(off @ np.linalg.pinv(covariance, hermitian=True) @ off)
    free, known = len(off), len(replicates) - 1
    ratio = square * (known - free + 1) / (free * known)
    return bool(fdtrc(free, known - free + 1, ratio) >= ADEQUATE)
