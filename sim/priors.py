"""Means over what is believed of a Dirichlet prior's constant, given counts."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from scipy.special import gammaln, polygamma

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

_ZOOMS = 4
_POINTS = 17
_LARGE = 1e4


def spectrum(row: Ints) -> tuple[Floats, Floats]:
    """Return the counts that occur in a row, ascending, and how many colours have each."""
    values, number = np.unique(row, return_counts=True)
    return values.astype(np.float64), number.astype(np.float64)


def log_likelihood(counts: tuple[Floats, Floats], log_amount: Floats) -> Floats:
    """Return ln P(counts | Dirichlet with e^x a colour) up to a constant, for each x.

    Γ(Kβ)/Γ(n+Kβ) · Π Γ(c+β)/Γ(β); `counts` is a spectrum.
    """
    values, number = counts
    amount = np.exp(log_amount)
    each = log_rise(values[:, np.newaxis], amount)
    return np.asarray(number @ each - log_rise(values @ number, number.sum() * amount))


def log_rise(r: Floats, amount: Floats) -> Floats:
    """Return ln Γ(r + β) − ln Γ(β), elementwise, to full precision for any β > 0, r ≥ 0."""
    x = np.minimum(amount, _LARGE)
    near = gammaln(r + x) - gammaln(x)
    y = np.maximum(amount, _LARGE)
    grown = (y + r - 0.5) * np.log1p(r / y) - r + r * np.log(y)
    stirling = (1 / (y + r) - 1 / y) / 12 - (1 / (y + r) ** 3 - 1 / y**3) / 360
    return np.where(amount < _LARGE, near, grown + stirling)


def slope(amount: Floats, colours: float, *, of_cross_entropy: bool = False) -> Floats:
    """Return how fast the mean over a prior rises (or falls) with its constant, elementwise.

    Of the entropy, ψ(Kβ+1) − ψ(β+1): Kψ₁(Kβ+1) − ψ₁(β+1). Of the cross-entropy from another
    mean, ψ(Kβ) − ψ(β), with the sign turned: ψ₁(β) − Kψ₁(Kβ).
    """
    whole, sign = colours * amount, -1.0 if of_cross_entropy else 1.0
    x = np.minimum(amount, _LARGE)
    if of_cross_entropy:
        near = polygamma(1, x) - colours * polygamma(1, colours * x)
    else:
        near = colours * polygamma(1, colours * x + 1) - polygamma(1, x + 1)
    # beyond, the two cancel: ψ₁(x) = 1/x ± 1/(2x²) + 1/(6x³) − 1/(30x⁵) of their own difference
    second = (1 / amount**2 - colours / whole**2) / 2
    third = sign * (1 / amount**3 - colours / whole**3) / 6
    return np.where(amount < _LARGE, near, second - third)


def nodes(
    f: Callable[[Floats], Floats], low: float, high: float, points: int
) -> tuple[Floats, Floats]:
    """Return nodes x from low to high and the weights of ∫ e^{f(x)} (·) dx, which sum to 1.

    Gauss–Legendre after x = top + s sinh t: dense at the top of f, wherever it is and
    however narrow, and out to the ends. f takes and gives an array; it has one top.
    """
    top, width = _top(f, low, high)
    ends = np.arcsinh((np.array([low, high]) - top) / width)
    unit, weight = _legendre(points)
    t = ends.mean() + unit * np.ptp(ends) / 2
    x = np.clip(top + width * np.sinh(t), low, high)
    log_weight = f(x) + np.log(weight * np.cosh(t))
    chance = np.exp(log_weight - log_weight.max())
    return x, chance / chance.sum()


def _top(f: Callable[[Floats], Floats], low: float, high: float) -> tuple[float, float]:
    """Return where f is highest, and how far from there it has lost a half."""
    x = np.linspace(low, high, 6 * _POINTS)
    known_x, known = x, f(x)
    for _ in range(_ZOOMS):
        best = int(known.argmax())
        ends = known_x[max(best - 1, 0)], known_x[min(best + 1, len(known_x) - 1)]
        x = np.linspace(*ends, _POINTS)
        known_x, known = np.concatenate([known_x, x]), np.concatenate([known, f(x)])
        order = known_x.argsort()
        known_x, known = known_x[order], known[order]
    best = int(known.argmax())
    lost = np.abs(known_x - known_x[best])[known < known[best] - 0.5]
    return float(known_x[best]), float(lost.min(initial=high - low))


@lru_cache
def _legendre(points: int) -> tuple[Floats, Floats]:
    return np.polynomial.legendre.leggauss(points)
