"""The mean of entropy over Dirichlet priors of all sizes, and the KL from it."""

from __future__ import annotations

from typing import ClassVar, Literal

import numpy as np
from numpy.typing import NDArray

from sim.contracts.arrays import Counts, Values
from sim.contracts.entropy import EntropyEstimator
from sim.priors import Floats, Ints, log_likelihood, nodes, slope, spectrum
from sim.special import psi

_REACH = 35.0


class NSB(EntropyEstimator):
    """−Ĥ − Σ p̂ ln q with the entropy of Nemenman, Shafee & Bialek 2002.

    The posterior mean of the entropy under a Dirichlet prior with β a colour, averaged over β
    with the weight that makes all entropies about alike likely before:
    [Kψ₁(Kβ+1) − ψ₁(β+1)] Γ(Kβ)/Γ(n+Kβ) Π Γ(c+β)/Γ(β). Good for n well below K, where ranks
    fall off no faster than exponentially; slow: an integral for each trial.

    Example:
        kind: nsb
    """

    kind: Literal["nsb"] = "nsb"
    assumes: ClassVar[str] = "ranks fall off no faster than exponentially; K known"

    @property
    def slow(self) -> bool:
        """Return True."""
        return True

    def entropy(self, counts: Counts) -> Values:
        """Return the posterior mean of the entropy of each row."""
        if counts.shape[-1] == 1:
            return np.zeros(len(counts))
        return np.array([_mean(row) for row in counts])


def _mean(row: Ints) -> float:
    counts = spectrum(row)
    colours = float(len(row))

    def log_weight(x: Floats) -> Floats:
        prior = np.log(slope(np.exp(x), colours)) + x
        return np.asarray(prior + log_likelihood(counts, x))

    x, weight = nodes(log_weight, -_REACH, _REACH, 160)
    return float(weight @ _entropy(counts, np.exp(x)))


def _entropy(counts: tuple[Floats, Floats], beta: Floats) -> NDArray[np.float64]:
    """Return the posterior mean of the entropy for each β."""
    values, number = counts
    x = values[:, np.newaxis] + beta
    whole = values @ number + number.sum() * beta
    return np.asarray(number @ (x / whole * (psi(whole + 1) - psi(x + 1))))
