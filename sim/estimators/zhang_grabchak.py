"""Zhang and Grabchak's Z."""

from __future__ import annotations

from typing import ClassVar, Literal

import numpy as np

from sim.contracts.arrays import Mix, Terms
from sim.contracts.entropy import AdditiveEntropy
from sim.special import psi


class ZhangGrabchak(AdditiveEntropy):
    """Σ p̂ (ψ(c) − ψ(n) − ln q), or with ψ(d+1) − ψ(m+1) for ln q from a second sample.

    Its bias falls exponentially once every colour is seen: +Σ p Σ_{k≥n} (1−p)^k/k, and from
    two samples less Σ p Σ_{k>m} (1−q)^k/k (Zhang & Grabchak 2014, "Nonparametric estimation of
    Kullback–Leibler divergence"). Never infinite from two samples. Good wherever n is not far
    below K; its variance is that of counting. It may be negative.

    Example:
        kind: zhang_grabchak
    """

    kind: Literal["zhang_grabchak"] = "zhang_grabchak"
    serves: ClassVar[frozenset[str] | None] = frozenset({"kl", "entropy", "cross_entropy"})
    two_samples: ClassVar[bool] = True
    assumes: ClassVar[str] = "n not far below K"

    def part(self, c: Terms, n: Terms, colours: int) -> Terms:
        """Return p̂ (ψ(n) − ψ(c)), 0 for a colour that was not drawn."""
        return np.asarray(c / n * (psi(n) - psi(np.maximum(c, 1))))

    def surprise(self, d: Terms, m: Terms, colours: int) -> Terms:
        """Return ψ(m+1) − ψ(d+1)."""
        return np.asarray(psi(m + 1) - psi(d + 1))

    def limit_bias(self, p: Mix, q: Mix) -> float:
        """Return 0: no power of n is left."""
        return 0.0
