"""Probabilities of counts to full double precision.

They come in saddle-point form (C. Loader, "Fast and Accurate Computation of Binomial
Probabilities", 2000): full double precision where differences of log-gammas lose 7 digits.
"""

from __future__ import annotations

from math import factorial, log, pi

import numpy as np
from numpy.typing import NDArray

from sim.special import xlog1py, xlogy

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

MOST_WORK = 10_000_000
"""Support × points beyond which an exact value is left out (docs/measures.md)."""

# counts beyond a window have a probability below e^-50 in all (Bernstein's inequality)
_TAIL = 50.0
_SMALL = 16
_STIRLING = np.array(
    [0.0] + [log(factorial(n)) - 0.5 * log(2 * pi * n) - n * log(n) + n for n in range(1, _SMALL)]
)


def stirling_error(n: Floats) -> Floats:
    """Return ln n! less Stirling's ½ ln 2πn + n ln n − n; elementwise, n ≥ 1 whole."""
    large = np.maximum(n, _SMALL)
    square = large * large
    series = np.full_like(large, 1 / 1188.0)
    for coefficient in (1 / 1680.0, 1 / 1260.0, 1 / 360.0, 1 / 12.0):
        series = coefficient - series / square
    table = _STIRLING[np.minimum(n, _SMALL - 1).astype(np.int64)]
    return np.where(n < _SMALL, table, series / large)


def deviance(x: Floats, mean: Floats) -> Floats:
    """Return x ln(x/mean) + mean − x without cancellation; elementwise, x > 0, mean > 0."""
    v = (x - mean) / (x + mean)
    power = v * v
    series = np.zeros_like(v)
    for odd in range(21, 2, -2):  # |v| < 0.1: the next term is below 1e-17 of the first
        series = (series + 2 / odd) * power
    near = (x - mean) * v + x * v * series
    with np.errstate(over="ignore"):
        far = x * np.log(x / mean) + mean - x
    return np.where(np.abs(v) < 0.1, near, far)


def poisson_pmf(x: Floats, mean: Floats) -> Floats:
    """Return the Poisson probabilities e^−mean mean^x / x!; arrays that broadcast."""
    x, mean = np.broadcast_arrays(x, mean)
    inner = (x > 0) & (mean > 0)
    safe, rate = np.where(inner, x, 1.0), np.where(inner, mean, 1.0)
    body = np.exp(-stirling_error(safe) - deviance(safe, rate)) / np.sqrt(2 * pi * safe)
    return np.where(inner, body, np.where(x == 0, np.exp(-mean), 0.0))


def poisson_totals(means: Floats) -> Floats:
    """Return Σ over the means, shape (m,), of P(j), for j = 0, 1, … as far as there is any."""
    most = int(means.max() + 12 * np.sqrt(means.max()) + 30)
    totals = np.zeros(most + 1)
    step = max(1, 2**20 // (most + 1))
    for begin in range(0, len(means), step):
        part = means[begin : begin + step, np.newaxis]
        totals += poisson_pmf(np.arange(most + 1.0), part).sum(axis=0)
    return totals


def binomial_pmf(x: Floats, n: Floats, p: Floats, q: Floats) -> Floats:
    """Return the probabilities of x in n draws, each p (q = 1 − p); 0 beyond 0 … n."""
    x, n, p, q = np.broadcast_arrays(x, n, p, q)
    inner = (x > 0) & (x < n) & (p > 0) & (q > 0)
    a, size = np.where(inner, x, 1.0), np.where(inner, n, 2.0)
    b, p_, q_ = size - a, np.where(inner, p, 0.5), np.where(inner, q, 0.5)
    exponent = stirling_error(size) - stirling_error(a) - stirling_error(b)
    exponent -= deviance(a, size * p_) + deviance(b, size * q_)
    body = np.exp(exponent) * np.sqrt(size / (2 * pi * a * b))
    # an end, x = 0 or x = n: one factor only; xlogy takes 0 ln 0 as 0
    low = np.exp(np.where(p < 0.5, xlog1py(n, -p), xlogy(n, q)))
    high = np.exp(np.where(q < 0.5, xlog1py(n, -q), xlogy(n, p)))
    edge = np.where(x == 0, low, np.where(x == n, high, 0.0))
    return np.where(inner, body, edge)


def window(mean: Floats, variance: Floats, most: Floats) -> tuple[Ints, Ints]:
    """Return the first and last count, colour by colour, that carry any probability."""
    reach = _TAIL / 3 + np.sqrt((_TAIL / 3) ** 2 + 2 * _TAIL * variance)
    reach = np.where(variance > 0, reach, 0.0)
    low = np.clip(np.floor(mean - reach + 1e-9), 0, most)
    high = np.clip(np.ceil(mean + reach - 1e-9), 0, most)
    return low.astype(np.int64), high.astype(np.int64)
