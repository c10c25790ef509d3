"""The counted KL of two samples, never infinite."""

from __future__ import annotations

from typing import ClassVar, Literal

import numpy as np

from sim.contracts.arrays import Terms
from sim.contracts.entropy import AdditiveEntropy
from sim.special import xlogy


class AugmentedPlugIn(AdditiveEntropy):
    """Counting two samples, with 1/m for the share of a colour that Q's sample lacks.

    Always finite, but where many colours lack the repair decides the answer (Zhang & Grabchak
    2014, "Nonparametric estimation of Kullback–Leibler divergence"). Good for m ≫ K.

    Example:
        kind: augmented_plug_in
    """

    kind: Literal["augmented_plug_in"] = "augmented_plug_in"
    serves: ClassVar[frozenset[str] | None] = frozenset({"kl", "cross_entropy"})
    one_sample: ClassVar[bool] = False
    two_samples: ClassVar[bool] = True
    assumes: ClassVar[str] = "n ≫ K, and m large enough to see every colour"

    def part(self, c: Terms, n: Terms, colours: int) -> Terms:
        """Return −p̂ ln p̂."""
        return np.asarray(-xlogy(c / n, c / n))

    def surprise(self, d: Terms, m: Terms, colours: int) -> Terms:
        """Return −ln(max(d, 1)/m)."""
        return np.asarray(-np.log(np.maximum(d, 1) / m))
