"""The counted KL less its bias, as the ideal bootstrap shows it."""

from __future__ import annotations

from functools import lru_cache
from math import comb
from typing import ClassVar, Literal

import numpy as np

from sim.contracts.arrays import Mix, Terms
from sim.contracts.entropy import AdditiveEntropy
from sim.laws.pmf import binomial_pmf
from sim.special import xlogy

_LARGE = 300.0
_ORDER = 16


class BootstrapCorrected(AdditiveEntropy):
    """The counted KL less Σᵢ E[(k/n) ln(k/(n p̂ᵢ))], k ~ Binomial(n, p̂ᵢ).

    What infinitely many bootstrap samples would show of the bias (Efron 1979), in closed form,
    without resampling. Takes about the 1/n term off where every colour was seen; a colour that
    was not drawn stays unseen, so too little for n ≲ K. Good for n > K.

    Example:
        kind: bootstrap_corrected
    """

    kind: Literal["bootstrap_corrected"] = "bootstrap_corrected"
    assumes: ClassVar[str] = "n > K, every colour seen"

    def part(self, c: Terms, n: Terms, colours: int) -> Terms:
        """Return −p̂ ln p̂ and E[(k/n) ln(k/c)]."""
        c, n = np.broadcast_arrays(c, n)
        large = (c >= _LARGE) & (c < n)
        near = (c > 0) & (c < n) & ~large
        bias = np.zeros(c.shape)
        bias[large] = _by_moments(c[large], n[large])
        for size in np.unique(n[near]):
            here = near & (n == size)
            bias[here] = _by_sum(float(size))[c[here].astype(np.int64)]
        return np.asarray(bias - xlogy(c / n, c / n))

    def limit_bias(self, p: Mix, q: Mix) -> float:
        """Return 0: what is left falls as 1/n²."""
        return 0.0


@lru_cache
def _by_sum(n: float) -> Terms:
    """Return E[(k/n) ln(k/c)] for c = 0, 1, … below n and _LARGE, by the sum over k."""
    c = np.arange(min(n, _LARGE))[:, np.newaxis]
    k = np.arange(1.0, min(n, _LARGE + 20 * _LARGE**0.5) + 1)
    with np.errstate(divide="ignore", invalid="ignore"):
        chance = binomial_pmf(k, np.asarray(n), c / n, 1 - c / n)
        terms = np.where(chance > 0, chance * k / n * np.log(k / c), 0.0)
    return np.asarray(terms.sum(axis=1))


def _by_moments(c: Terms, n: Terms) -> Terms:
    """Return the same for large c: k ln(k/c) = c Σ_{j≥2} (−1)^j x^j/(j(j−1)), x = k/c − 1."""
    moments = [np.ones_like(c), np.zeros_like(c)]
    cumulants = [n * polynomial(c / n) for polynomial in _cumulants()]
    for j in range(2, _ORDER + 1):
        inner = (comb(j - 1, i - 1) * cumulants[i] * moments[j - i] for i in range(2, j + 1))
        moments.append(np.asarray(sum(inner)))
    series = ((-1) ** j * moments[j] / c**j / (j * (j - 1)) for j in range(2, _ORDER + 1))
    return np.asarray(c / n * sum(series))


@lru_cache
def _cumulants() -> list[np.polynomial.Polynomial]:
    """Return the cumulants of one draw as polynomials in p: κ_{j+1} = p(1−p) dκ_j/dp."""
    spread = np.polynomial.Polynomial([0.0, 1.0, -1.0])
    found = [np.polynomial.Polynomial([1.0]), np.polynomial.Polynomial([0.0, 1.0])]
    while len(found) <= _ORDER:
        found.append(spread * found[-1].deriv())
    return found
