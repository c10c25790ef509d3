"""The replicates of one cell: sums over resampled trials, and the measures that they give."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

REPLICATES = 200

Floats = NDArray[np.float64]


@dataclass
class Replicate:
    """Sums over resampled trials, one for each replicate; d = estimate − pivot."""

    pivot: float
    weight: Floats
    first: Floats
    second: Floats

    def merge(self, other: Replicate) -> None:
        """Take the sums over further trials; these keep their pivot once they have any."""
        if not self.weight.any():
            self.pivot = other.pivot
        apart = other.pivot - self.pivot
        self.second += other.second + apart * (2 * other.first + apart * other.weight)
        self.first += other.first + apart * other.weight
        self.weight += other.weight

    def errors(self, truth: float) -> dict[str, Floats]:
        """Return bias, sd and rmse in each replicate; shapes (REPLICATES,)."""
        with np.errstate(divide="ignore", invalid="ignore"):
            mean = self.first / self.weight
            variance = (self.second - self.first * mean) / (self.weight - 1)
            off = self.pivot - truth
            square = (self.second + 2 * off * self.first) / self.weight + off * off
            bias = mean + off
            return {"bias": bias, "sd": np.sqrt(variance), "rmse": np.sqrt(square)}
