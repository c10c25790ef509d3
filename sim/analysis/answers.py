"""The answers of a cell go in, batch by batch; quantiles of them and of their errors come out."""

from __future__ import annotations

from dataclasses import dataclass, field
from math import isfinite

import numpy as np
from numpy.typing import NDArray

from sim.analysis.quantiles import Quantiles, distinct, ordered, values_of


@dataclass
class Answers:
    """The estimates of a cell, and how far each is off its truth: `add`, `narrow` until `done`.

    Nothing is off a truth that is not finite.
    """

    truth: float
    level: float
    confidence: float
    estimates: Quantiles = field(init=False)
    errors: Quantiles = field(init=False)

    def __post_init__(self) -> None:
        self.estimates = Quantiles(self.level)
        self.errors = Quantiles(self.level, levels=(self.confidence,))

    def add(self, known: NDArray[np.float64]) -> None:
        """Take a batch: every answer, infinite ones too, the same in each pass."""
        keys, numbers = distinct(known)  # often few: of few counts
        if not self.estimates.done:
            self.estimates.take(keys, numbers)
        if isfinite(self.truth) and not self.errors.done:
            self.errors.take(ordered(np.abs(values_of(keys) - self.truth)), numbers)

    def narrow(self) -> None:
        """Close a pass."""
        self.estimates.narrow()
        self.errors.narrow()

    @property
    def done(self) -> bool:
        """Whether all of them are found."""
        return self.estimates.done and self.errors.done

    def empty(self) -> Answers:
        """Return one that looks for the same in this pass, and has seen nothing yet."""
        other = Answers(self.truth, self.level, self.confidence)
        other.estimates, other.errors = self.estimates.empty(), self.errors.empty()
        return other

    def merge(self, other: Answers) -> None:
        """Take what another found of further trials in the same pass."""
        if not self.estimates.done:
            self.estimates.merge(other.estimates)
        if not self.errors.done:
            self.errors.merge(other.errors)
