"""What exact values are, and the supports over which they are summed."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from functools import cached_property
from math import sqrt
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from sim.laws.pmf import MOST_WORK

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


LEVELS = (0.05, 0.25, 0.5, 0.75, 0.95)
"""Of the quantiles of an estimate, exact ones and those of trials."""

ULP = 2.0**-52
"""What rounding changes of a number near 1: an error is told to four of them."""


@dataclass(frozen=True)
class Exact:
    """Exact values in nats; mean and sd over finite estimates; None where not known.

    `coverage` is the chance that the interval, where there is one, holds the truth;
    `quantiles` are those at LEVELS over all estimates, infinite ones last; `whole` is their
    distribution.
    """

    mean: float | None = None
    sd: float | None = None
    p_infinite: float | None = None
    coverage: float | None = None
    quantiles: tuple[float, ...] | None = field(default=None, compare=False)
    whole: Distribution | None = field(default=None, compare=False, repr=False)


UNKNOWN = Exact()


@dataclass(frozen=True, eq=False)
class Distribution:
    """The exact distribution of an estimate: `values` ascending, nats, and their chances.

    Infinite values stand last. Shapes (m,).
    """

    values: Floats
    weights: Floats

    @classmethod
    def of(cls, values: Floats, weights: Floats) -> Self:
        """Return the distribution of values in any order."""
        order = np.argsort(values, kind="stable")
        return cls(values[order], weights[order])

    def quantile(self, level: float) -> float:
        """Return the smallest value with F(value) ≥ level."""
        place = int(np.searchsorted(self._below, level * (1 - 1e-14)))
        return float(self.values[min(place, len(self.values) - 1)])

    def cdf(self, x: float) -> float:
        """Return P(estimate ≤ x)."""
        place = int(np.searchsorted(self.values, x, side="right"))
        return float(self._below[place - 1]) if place else 0.0

    def within(self, truth: float, error: float) -> float:
        """Return P(|estimate − truth| ≤ error), all three in nats; the truth is finite."""
        near = is_within(self.values - truth, truth, error)
        return min(1.0, float(self.weights[near].sum()))

    @property
    def mean(self) -> float:
        """The mean; infinite where an infinite value has a chance."""
        return float(np.sum(self.values * self.weights))

    @cached_property
    def _below(self) -> Floats:
        return np.cumsum(self.weights)


def is_within(errors: Floats, truth: float, most: float) -> NDArray[np.bool_]:
    """Return which errors of a finite truth are at most so large, those rounded up to it too."""
    return np.abs(errors) <= rounded_up(truth, most)


def rounded_up(truth: float, most: float) -> float:
    """Return the largest error of a finite truth that rounding may have made of `most`."""
    return most * (1 + ULP) + 4 * ULP * max(1.0, abs(truth))


def reaches(chances: Floats, confidence: float) -> NDArray[np.bool_]:
    """Return which chances reach a confidence, those that are rounded down too; NaN does not."""
    return np.asarray(chances >= confidence - 1e-12)


def moments(values: Floats, weights: Floats) -> Exact:
    """Return the exact values of an estimate that is listed with its chances, both (m,)."""
    values, weights = values[weights > 0], weights[weights > 0]
    if np.isnan(values).any():
        return UNKNOWN
    whole = Distribution.of(values, weights)
    quantiles = tuple(map(whole.quantile, LEVELS))
    finite = np.isfinite(values)
    p_infinite = float(weights[~finite].sum())
    if not finite.any():
        return Exact(p_infinite=1.0, quantiles=quantiles, whole=whole)
    values, weights = values[finite], weights[finite] / weights[finite].sum()
    mean = float(np.sum(weights * values))
    sd = sqrt(np.sum(weights * (values - mean) ** 2))
    return Exact(mean, sd, p_infinite, quantiles=quantiles, whole=whole)


@dataclass(frozen=True, eq=False)
class Support:
    """Every colour's possible counts, one after the other in flat arrays."""

    colour: Ints
    count: Ints
    starts: Ints

    @classmethod
    def of(cls, low: Ints, high: Ints) -> Support | None:
        """Return the counts low … high of each colour; None where they are too many."""
        width = high - low + 1
        if int(width.sum()) > MOST_WORK:
            return None
        starts = np.cumsum(width) - width
        colour = np.repeat(np.arange(len(width)), width)
        return cls(colour, np.arange(len(colour)) - starts[colour] + low[colour], starts)

    @classmethod
    def pieces(cls, low: Ints, high: Ints, most: int) -> Iterator[Support]:
        """Yield the same for some colours after the others, about so many counts at a time."""
        ends = np.cumsum(high - low + 1)
        begin, before = 0, 0
        while begin < len(ends):
            end = max(begin + 1, int(np.searchsorted(ends, before + most, side="right")))
            piece = cls.of(low[begin:end], high[begin:end])
            assert piece is not None
            yield replace(piece, colour=piece.colour + begin)
            begin, before = end, int(ends[end - 1])

    def sums(self, values: NDArray[Any]) -> NDArray[Any]:
        """Return the sum over each colour's counts; (support, …) to (K, …)."""
        return np.asarray(np.add.reduceat(values, self.starts, axis=0))
