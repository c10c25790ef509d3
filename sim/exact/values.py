"""What exact values are, and the supports over which they are summed."""

from __future__ import annotations

from dataclasses import dataclass
from math import sqrt
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sim.laws.pmf import MOST_WORK

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


@dataclass(frozen=True)
class Exact:
    """Exact values in nats; mean and sd over finite estimates; None where not known."""

    mean: float | None = None
    sd: float | None = None
    p_infinite: float | None = None


UNKNOWN = Exact()


def moments(values: Floats, weights: Floats) -> Exact:
    """Return the exact values of an estimate that is listed with its chances, both (m,)."""
    if np.isnan(values[weights > 0]).any():
        return UNKNOWN
    finite = np.isfinite(values)
    p_infinite = float(weights[~finite].sum())
    if not weights[finite].any():
        return Exact(p_infinite=1.0)
    values, weights = values[finite], weights[finite] / weights[finite].sum()
    mean = float(np.sum(weights * values))
    return Exact(mean, sqrt(np.sum(weights * (values - mean) ** 2)), p_infinite)


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

    def sums(self, values: NDArray[Any]) -> NDArray[Any]:
        """Return the sum over each colour's counts; (support, …) to (K, …)."""
        return np.asarray(np.add.reduceat(values, self.starts, axis=0))
