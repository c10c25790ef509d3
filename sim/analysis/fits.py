"""A power law fitted to a quantity by size: weighted least squares on logarithms."""

from __future__ import annotations

from dataclasses import dataclass
from math import nan

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

LEAST_SIZES = 3
SEEN = 3.0
"""Monte Carlo errors that a value must be away from 0 to take part in a fit."""

SURE = 6.0
"""Monte Carlo errors from which on it is no matter of chance that a value takes part."""

BY_CHANCE = "errors not told: most of the fit lies on sizes that barely show it (below 6 errors)"


@dataclass(frozen=True)
class Fit:
    """value ≈ constant · size^rate over a window of sizes, with errors by resampling.

    Where chance decides which sizes take part, these would be wrong: NaN, and `reason` says so.
    """

    rate: float
    rate_se: float
    constant: float
    constant_se: float
    from_size: int
    to_size: int
    reason: str | None = None


def usable(values: Floats, mcse: Floats) -> NDArray[np.bool_]:
    """Return which sizes show the quantity: at least SEEN errors away from 0."""
    return np.isfinite(values) & (mcse > 0) & (np.abs(values) >= SEEN * mcse)


def fit(sizes: Floats, values: Floats, mcse: Floats, replicates: Floats) -> Fit | str:
    """Return the fit of one line, or the reason why there is none.

    `sizes`, `values`, `mcse` have shape (S,), `replicates` (R, S): the same values from
    resampled trials. Weights (value/mcse)², so that each ln value counts by its precision.
    """
    seen = usable(values, mcse)
    number = int(seen.sum())
    if number < LEAST_SIZES:
        return f"{number} of {len(sizes)} sizes show it (3 errors away from 0); 3 are needed"
    if len(np.unique(np.sign(values[seen]))) > 1:
        return "the sign changes: not a power of n"
    x, y = np.log(sizes[seen]), np.log(np.abs(values[seen]))
    weights = (values[seen] / mcse[seen]) ** 2
    rate, constant = _line(x, y[np.newaxis], weights)
    slopes, heights = _resampled(sizes, values, mcse, replicates)
    sign = float(np.sign(values[seen][0]))
    size = float(np.exp(constant[0]))
    by_chance = float(weights[weights < SURE**2].sum()) > float(weights.sum()) / 2
    return Fit(
        rate=float(rate[0]),
        rate_se=nan if by_chance else _spread(slopes),
        constant=sign * size,
        constant_se=nan if by_chance else size * _spread(heights),
        from_size=int(sizes[seen][0]),
        to_size=int(sizes[seen][-1]),
        reason=BY_CHANCE if by_chance else None,
    )


def rates(sizes: Floats, values: Floats, mcse: Floats, replicates: Floats) -> Floats:
    """Return the rate of the same fit in each replicate, shape (R,)."""
    return _resampled(sizes, values, mcse, replicates)[0]


def _resampled(
    sizes: Floats, values: Floats, mcse: Floats, replicates: Floats
) -> tuple[Floats, Floats]:
    """Return slope and height in each replicate: the sizes and weights are those of the values."""
    seen = usable(values, mcse)
    same_sign = replicates[:, seen] * np.sign(values[seen])
    with np.errstate(invalid="ignore", divide="ignore"):
        return _line(np.log(sizes[seen]), np.log(same_sign), (values[seen] / mcse[seen]) ** 2)


def _line(x: Floats, y: Floats, weights: Floats) -> tuple[Floats, Floats]:
    """Return slope and height at ln n = 0 of each row of y; shapes (rows,)."""
    centre = np.sum(weights * x) / weights.sum()
    away = x - centre
    slope = (y * (weights * away)).sum(axis=1) / np.sum(weights * away**2)
    return slope, (y * weights).sum(axis=1) / weights.sum() - slope * centre


def _spread(values: Floats) -> float:
    known = values[np.isfinite(values)]
    return float(known.std(ddof=1)) if len(known) > 1 else float("nan")
