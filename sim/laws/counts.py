"""Exact laws of the count of each colour among n draws; the ground of every exact value."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass, replace
from math import ceil, pi, sqrt

import numpy as np

from sim.laws.pmf import Floats, Ints, binomial_pmf, poisson_pmf, window

LEAST_ANGLES = 26
"""No law given the sum of its counts is turned back from fewer (see `JointLaw.grid`)."""


class CountLaw(ABC):
    """The exact law of how often each of K colours is drawn in n draws, one at a time."""

    @property
    @abstractmethod
    def size(self) -> int:
        """The number of draws, n."""

    @property
    @abstractmethod
    def colours(self) -> int:
        """The number of colours, K."""

    @abstractmethod
    def picked(self, order: Ints) -> CountLaw:
        """Return the law of the same counts with the colours in this order, shape (K,)."""

    @abstractmethod
    def window(self) -> tuple[Ints, Ints]:
        """Return each colour's first and last count with any probability; shapes (K,)."""

    @abstractmethod
    def pmf(self, colour: Ints, count: Ints) -> Floats:
        """Return P(the colour's count is `count`), elementwise."""


class JointLaw(CountLaw, ABC):
    """A law of all counts together: that of independent variables, given that they sum to n.

    `pmf` is the law of one count, `free_pmf` that of the independent variable behind it.
    """

    @abstractmethod
    def free_window(self) -> tuple[Ints, Ints]:
        """Return the window of the independent variables."""

    @abstractmethod
    def free_pmf(self, colour: Ints, count: Ints) -> Floats:
        """Return P(the colour's independent variable is `count`), elementwise."""

    @abstractmethod
    def free_variance(self) -> float:
        """Return the variance of the sum of the independent variables."""

    def grid(self, variance: float) -> tuple[Floats, Floats]:
        """Return the angles of the half circle that matter, and the weight of each.

        The generating function of the sum is below e^−45 beyond 9.5 standard deviations, and
        20 standard deviations of room keep its laps apart. An odd number of points leaves out
        π, where a factor may vanish. `variance` is that of another sum to be turned back.
        """
        narrow, wide = sorted((self.free_variance(), variance))
        angles, weights = half_circle(2 * ceil(10 * sqrt(wide) + 25) + 1)
        if narrow < 200:
            return angles, weights
        near = angles * sqrt(narrow) <= 9.5
        return angles[near], weights[near]


def half_circle(points: int) -> tuple[Floats, Floats]:
    """Return the angles from 0 to π of an odd number of points on the circle, with weights."""
    angles = 2 * pi * np.arange(points // 2 + 1) / points
    return angles, np.where(angles == 0, 1.0, 2.0)


@dataclass(frozen=True, eq=False)
class Multinomial(JointLaw):
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

    def picked(self, order: Ints) -> Multinomial:
        """Return the law with the colours in this order."""
        return replace(self, p=self.p[order])

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
class Hypergeometric(JointLaw):
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

    def picked(self, order: Ints) -> Hypergeometric:
        """Return the law with the colours in this order."""
        return replace(self, balls=self.balls[order])

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
