"""Exact laws of the count of each colour among n draws; the ground of every exact value.

Probabilities come in saddle-point form (C. Loader, "Fast and Accurate Computation of Binomial
Probabilities", 2000): full double precision where differences of log-gammas lose 7 digits.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from math import factorial, log, pi

import numpy as np
from numpy.typing import NDArray
from scipy.special import xlog1py, xlogy

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

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


class CountLaw(ABC):
    """The exact law of how often each of K colours is drawn in n draws.

    Counts are those of independent variables given that they sum to n: `pmf` is the law of
    one count, `free_pmf` that of the independent variable behind it.
    """

    @property
    @abstractmethod
    def size(self) -> int:
        """The number of draws, n."""

    @property
    @abstractmethod
    def colours(self) -> int:
        """The number of colours, K."""

    @abstractmethod
    def window(self) -> tuple[Ints, Ints]:
        """Return each colour's first and last count with any probability; shapes (K,)."""

    @abstractmethod
    def pmf(self, colour: Ints, count: Ints) -> Floats:
        """Return P(the colour's count is `count`), elementwise."""

    @abstractmethod
    def free_window(self) -> tuple[Ints, Ints]:
        """Return the same for the independent variables."""

    @abstractmethod
    def free_pmf(self, colour: Ints, count: Ints) -> Floats:
        """Return P(the colour's independent variable is `count`), elementwise."""

    @abstractmethod
    def free_variance(self) -> float:
        """Return the variance of the sum of the independent variables."""


@dataclass(frozen=True, eq=False)
class Multinomial(CountLaw):
    """Draws with replacement: Binomial(n, p_k); behind it Poisson(n p_k)."""

    n: int
    p: Floats

    @property
    def size(self) -> int:
        """The number of draws, n."""
        return self.n

    @property
    def colours(self) -> int:
        """The number of colours, K."""
        return len(self.p)

    def window(self) -> tuple[Ints, Ints]:
        """Return each colour's first and last count with any probability."""
        variance = self.n * self.p * (1 - self.p)
        return window(self.n * self.p, variance, np.full(len(self.p), float(self.n)))

    def pmf(self, colour: Ints, count: Ints) -> Floats:
        """Return the binomial probabilities."""
        p, n = self.p[colour], np.asarray(float(self.n))
        return binomial_pmf(count.astype(np.float64), n, p, 1 - p)

    def free_window(self) -> tuple[Ints, Ints]:
        """Return the window of the Poisson variables."""
        mean = self.n * self.p
        return window(mean, mean, np.full(len(self.p), np.inf))

    def free_pmf(self, colour: Ints, count: Ints) -> Floats:
        """Return the Poisson probabilities."""
        return poisson_pmf(count.astype(np.float64), self.n * self.p[colour])

    def free_variance(self) -> float:
        """Return n."""
        return float(self.n)


@dataclass(frozen=True, eq=False)
class Hypergeometric(CountLaw):
    """Draws without replacement from `balls`, (K,) whole; behind it Binomial(N_k, n/N)."""

    n: int
    balls: Floats

    @property
    def size(self) -> int:
        """The number of draws, n."""
        return self.n

    @property
    def colours(self) -> int:
        """The number of colours, K."""
        return len(self.balls)

    @property
    def _share(self) -> tuple[Floats, Floats]:
        total = self.balls.sum()
        return self.n / total, (total - self.n) / total

    def window(self) -> tuple[Ints, Ints]:
        """Return each colour's first and last count with any probability."""
        total = self.balls.sum()
        p = self.balls / total
        left = (total - self.n) / max(total - 1, 1)
        most = np.minimum(self.balls, self.n)
        low, high = window(self.n * p, self.n * p * (1 - p) * left, most)
        return np.maximum(low, (self.n + self.balls - total).astype(np.int64)), high

    def pmf(self, colour: Ints, count: Ints) -> Floats:
        """Return the hypergeometric probabilities, as a ratio of three binomial ones."""
        f, rest = self._share
        balls, total, x = self.balls[colour], self.balls.sum(), count.astype(np.float64)
        own = binomial_pmf(x, balls, f, rest)
        others = binomial_pmf(self.n - x, total - balls, f, rest)
        return own * others / binomial_pmf(np.asarray(float(self.n)), total, f, rest)

    def free_window(self) -> tuple[Ints, Ints]:
        """Return the window of the independent binomial variables."""
        f, rest = self._share
        return window(self.balls * f, self.balls * f * rest, self.balls)

    def free_pmf(self, colour: Ints, count: Ints) -> Floats:
        """Return the probabilities of the independent binomial variables."""
        f, rest = self._share
        return binomial_pmf(count.astype(np.float64), self.balls[colour], f, rest)

    def free_variance(self) -> float:
        """Return N (n/N)(1 − n/N)."""
        f, rest = self._share
        return float(self.balls.sum() * f * rest)
