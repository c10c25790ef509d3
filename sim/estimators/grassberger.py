"""Grassberger's entropy, and the KL from it."""

from __future__ import annotations

from typing import Any, ClassVar, Literal

import numpy as np

from sim.asymptotics import PowerLaw, Quantity
from sim.contracts.arrays import Mix, Terms
from sim.contracts.entropy import AdditiveEntropy
from sim.divergences import Divergence
from sim.special import psi


class Grassberger(AdditiveEntropy):
    """−Ĥ − Σ p̂ ln q with Grassberger's entropy of 2003, or of 1988, as `year` says.

    1988 (Phys. Lett. A 128): Σ p̂ (ln n − ψ(c) − (−1)^c/(c+1)). 2003 (arXiv physics/0307138):
    ln n − Σ p̂ G(c), G(c) = ψ(c) + (−1)^c (ψ((c+1)/2) − ψ(c/2))/2. For large K with most
    colours seen seldom; both correct too much where K is small: their bias is −1/(2n) then.

    Example:
        kind: grassberger
        year: 2003
    """

    kind: Literal["grassberger"] = "grassberger"
    year: Literal[2003, 1988] = 2003
    assumes: ClassVar[str] = "many colours, most seen seldom"

    @classmethod
    def customary(cls) -> tuple[dict[str, Any], ...]:
        """Return both years."""
        return {}, {"year": 1988}

    def part(self, c: Terms, n: Terms, colours: int) -> Terms:
        """Return p̂ (ln n − G(c)), 0 for a colour that was not drawn."""
        some = np.maximum(c, 1)
        sign = 1 - 2 * (c % 2)
        step = 1 / (c + 1) if self.year == 1988 else (psi((some + 1) / 2) - psi(some / 2)) / 2
        return np.asarray(c / n * (np.log(n) - psi(some) - sign * step))

    def theory(self, quantity: Quantity, p: Mix, q: Mix, target: Divergence) -> PowerLaw | None:
        """Return the law of counting; None where its first order vanishes: (−1)^c has its own."""
        law = super().theory(quantity, p, q, target)
        return None if law and quantity != "bias" and law.rate == -1 else law

    def limit_bias(self, p: Mix, q: Mix) -> float:
        """Return −1/2: K/(2n) is taken off, where counting is (K−1)/(2n) too high."""
        return -0.5
