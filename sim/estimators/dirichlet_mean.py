"""The mean of KL over what is believed after a Dirichlet prior."""

from __future__ import annotations

from typing import ClassVar, Literal

import numpy as np
from pydantic import Field

from sim.contracts.arrays import Counts, Mix, Sizes, Terms
from sim.contracts.entropy import AdditiveEntropy
from sim.special import psi


class DirichletMean(AdditiveEntropy):
    """The posterior mean of D(P‖Q) under a symmetric Dirichlet prior with `amount` a colour.

    Σ (x/X)(ψ(x+1) − ψ(X+1) − ln q), x = c + amount, X = n + K amount (Wolpert & Wolf 1995 for
    entropy); from two samples with ψ(Y) − ψ(y) for −ln q, y = d + amount. The prior decides
    where n ≲ K·amount; then twice as biased as counting. Good where the prior is believed.

    Example:
        kind: dirichlet_mean
        amount: 1
    """

    kind: Literal["dirichlet_mean"] = "dirichlet_mean"
    amount: float = Field(default=1.0, gt=0, le=1e6)
    serves: ClassVar[frozenset[str] | None] = frozenset({"kl", "entropy", "cross_entropy"})
    two_samples: ClassVar[bool] = True
    assumes: ClassVar[str] = "all distributions alike likely before (amount 1)"

    def part(self, c: Terms, n: Terms, colours: int) -> Terms:
        """Return (x/X)(ψ(X+1) − ψ(x+1))."""
        x, whole = c + self.amount, n + colours * self.amount
        return np.asarray(x / whole * (psi(whole + 1) - psi(x + 1)))

    def share(self, counts: Counts, size: Sizes | int, colours: int) -> Mix:
        """Return x/X."""
        return np.asarray((counts + self.amount) / (size + colours * self.amount))

    def surprise(self, d: Terms, m: Terms, colours: int) -> Terms:
        """Return ψ(Y) − ψ(y)."""
        return np.asarray(psi(m + colours * self.amount) - psi(d + self.amount))

    def limit_bias(self, p: Mix, q: Mix) -> float | None:
        """Return K − 1, and what the prior draws towards the uniform distribution."""
        if np.any(p == 0) or np.any(q == 0):
            return None
        colours = len(p)
        drift = self.amount * (1 - colours * p)
        return colours - 1 + float(np.sum(drift * np.log(p / q)))
