"""Central moments of a stream, batch by batch, without loss of digits."""

from __future__ import annotations

from dataclasses import dataclass
from math import isfinite, nan, sqrt

import numpy as np
from numpy.typing import NDArray


@dataclass
class Moments:
    """Number, mean and sums of powers of deviations (Pébay 2008, pairwise update)."""

    number: int = 0
    mean: float = 0.0
    second: float = 0.0
    third: float = 0.0
    fourth: float = 0.0

    def add(self, values: NDArray[np.float64]) -> None:
        """Take a batch of finite values."""
        if len(values) == 0:
            return
        start = float(values[0])  # equal values have a spread of exactly 0
        with np.errstate(over="ignore", invalid="ignore"):
            mean = start + float((values - start).mean())
            deviations = values - mean
            squares = deviations * deviations
            second, third = float(squares.sum()), float((squares * deviations).sum())
            fourth = float((squares * squares).sum())
        self.merge(Moments(len(values), mean, second, third, fourth))

    def merge(self, other: Moments) -> None:
        """Take the moments of further values."""
        if other.number == 0:
            return
        a, b = self.number, other.number
        n = a + b
        d = other.mean - self.mean
        square = d * d  # products, not powers: these overflow to infinity, never to an exception
        m2, m3 = self.second, self.third
        self.fourth += (
            other.fourth
            + square * square * a * b * (a * a - a * b + b * b) / n**3
            + 6 * square * (a * a * other.second + b * b * m2) / n**2
            + 4 * d * (a * other.third - b * m3) / n
        )
        self.third += other.third + d * square * a * b * (a - b) / n**2
        self.third += 3 * d * (a * other.second - b * m2) / n
        self.second += other.second + square * a * b / n
        self.mean += d * (b / n)  # in this order: a first batch keeps its mean to the bit
        self.number = n

    @property
    def sd(self) -> float:
        """The sample standard deviation, divisor n − 1; NaN below two values."""
        return sqrt(self.second / (self.number - 1)) if self.number > 1 else nan

    @property
    def mean_mcse(self) -> float:
        """The Monte Carlo standard error of the mean, S/√R."""
        return self.sd / sqrt(self.number) if self.number else nan

    @property
    def sd_mcse(self) -> float:
        """The Monte Carlo standard error of the sd, (S/2)√((k−1)/R), k the kurtosis.

        Robust: it follows the fourth moment that was seen, not that of a normal.
        """
        if self.number < 2 or self.second == 0:
            return nan
        kurtosis = self.number * (self.fourth / self.second) / self.second
        if not isfinite(kurtosis):
            return nan
        return self.sd / 2 * sqrt(max(0.0, kurtosis - 1) / self.number)
