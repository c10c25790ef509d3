"""What trials say of a chance and of a quantile, each with an interval; and what χ² says."""

from __future__ import annotations

from math import ceil

import numpy as np

from sim.exact.values import Floats
from sim.special import betainc, betaincc, betaincinv, chdtrc, chdtri


def proportion(hits: int, trials: int, level: float) -> tuple[float, float]:
    """Return the interval of Clopper & Pearson 1934 for a chance; one-sided at no hit, or all.

    No hit in R trials is a chance below about 3/R, at 95 %.
    """
    if hits == 0:
        return 0.0, float(-np.expm1(np.log1p(-level) / trials))
    if hits == trials:
        return float(np.exp(np.log1p(-level) / trials)), 1.0
    tail = (1 - level) / 2
    low = betaincinv(hits, trials - hits + 1, tail)
    return float(low), float(betaincinv(hits + 1, trials - hits, 1 - tail))


def order_statistics(
    ascending: Floats, share: float, level: float
) -> tuple[float, float | None, float | None]:
    """Return a quantile of trials and the values that hold the true one between them.

    With B ~ binomial(trials, share): the largest rank l with P(B < l) ≤ (1 − level)/2 and the
    smallest u with P(B ≥ u) ≤ (1 − level)/2, for any law, one with atoms included (David &
    Nagaraja 2003, Order Statistics, 7.1). None where the trials are too few.
    """
    trials, tail = len(ascending), (1 - level) / 2
    middle, reach = share * trials, 8 * np.sqrt(trials * share * (1 - share)) + 20
    first, last = max(1, int(middle - reach)), min(trials, int(middle + reach))
    ranks = np.arange(first, last + 1)
    below = betaincc(ranks, trials - ranks + 1, share)  # P(B < rank)
    above = betainc(ranks, trials - ranks + 1, share)  # P(B ≥ rank)
    low, high = ranks[below <= tail], ranks[above <= tail]
    return (
        float(ascending[max(1, ceil(middle - 1e-9)) - 1]),
        float(ascending[low[-1] - 1]) if len(low) else None,
        float(ascending[high[0] - 1]) if len(high) else None,
    )


def chi_square_quantile(freedom: int, share: float, scale: float) -> float:
    """Return the quantile of scale · χ²."""
    return float(scale * chdtri(freedom, 1 - share))


def chi_square_tail(freedom: int, observed: float, scale: float) -> float:
    """Return P(scale · χ² ≥ observed)."""
    return float(chdtrc(freedom, max(observed, 0.0) / scale))
