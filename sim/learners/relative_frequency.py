"""Counting, and nothing else."""

from __future__ import annotations

from typing import ClassVar, Literal

import numpy as np

from sim.contracts.arrays import Counts, Mix, Sizes
from sim.contracts.learner import ElementwiseLearner


class RelativeFrequency(ElementwiseLearner):
    """The share of each colour among the draws, p̂ = c/n: the maximum likelihood estimate.

    Good for n ≫ K; a colour that was not drawn is held impossible.

    Example:
        kind: relative_frequency
    """

    kind: Literal["relative_frequency"] = "relative_frequency"
    assumes: ClassVar[str] = "n ≫ K"

    def share(self, counts: Counts, size: Sizes | int, colours: int) -> Mix:
        """Return c/n."""
        return np.asarray(counts / size)

    def drift(self, p: Mix) -> Mix:
        """Return 0: p̂ has no bias."""
        return np.zeros_like(p)
