"""The counted KL of two samples, with a little added to Q."""

from __future__ import annotations

from typing import ClassVar, Literal

import numpy as np
from pydantic import Field

from sim.contracts.arrays import Terms
from sim.contracts.entropy import AdditiveEntropy
from sim.special import xlogy


class BuPlugIn(AdditiveEntropy):
    """Σ p̂ ln(p̂ m/(d + amount)): `amount` is added to Q's counts, its shares then exceed 1.

    The augmented plug-in of Bu, Zou, Liang & Veeravalli 2018, "Estimation of KL divergence:
    optimal minimax rate". Always finite; lower than the KL of proper shares by
    ln(1 + K·amount/m), so negative at P = Q. Good for m ≫ K.

    Example:
        kind: bu_plug_in
        amount: 1
    """

    kind: Literal["bu_plug_in"] = "bu_plug_in"
    amount: float = Field(default=1.0, gt=0, le=1e6)
    serves: ClassVar[frozenset[str] | None] = frozenset({"kl", "cross_entropy"})
    one_sample: ClassVar[bool] = False
    two_samples: ClassVar[bool] = True
    assumes: ClassVar[str] = "n ≫ K and m ≫ K"

    def part(self, c: Terms, n: Terms, colours: int) -> Terms:
        """Return −p̂ ln p̂."""
        return np.asarray(-xlogy(c / n, c / n))

    def surprise(self, d: Terms, m: Terms, colours: int) -> Terms:
        """Return −ln((d + amount)/m)."""
        return np.asarray(-np.log((d + self.amount) / m))
