"""The mean of KL over Dirichlet priors of all sizes for both samples."""

from __future__ import annotations

from math import log
from typing import ClassVar, Literal

import numpy as np
from pydantic import Field, model_validator

from sim.checks import placed
from sim.contracts.arrays import Counts, Reference, Values
from sim.contracts.estimator import Estimator
from sim.divergences import Divergence
from sim.priors import Floats, Ints, log_likelihood, nodes, slope, spectrum
from sim.special import psi

MOST_COLOURS = 1000


class DirichletMixture(Estimator):
    """The posterior mean of D(P‖Q) from two samples, over Dirichlet priors of all sizes.

    Priors with a, b a colour; the pair (a, b) is weighted by φ(D)/D |A'(a)| |B'(b)| and its
    likelihood, A(a) = ψ(Ka+1) − ψ(a+1), B(b) = ψ(Kb) − ψ(b), D = B − A, φ = 1/min(D, ln K)
    (Camaglia, Nemenman, Mora & Walczak 2024, Phys. Rev. E 109, 024305). The weight has no
    finite sum as D → 0: `low` and `high` bound a and b, and the answer depends on them.
    Good for n, m ≲ K; slow: an integral over a plane for each trial, K ≤ 1000.

    Example:
        kind: dirichlet_mixture
        low: 1.0e-3
        high: 100
    """

    kind: Literal["dirichlet_mixture"] = "dirichlet_mixture"
    low: float = Field(default=1e-3, ge=1e-9, le=1e6)
    high: float = Field(default=100.0, ge=1e-9, le=1e6)
    serves: ClassVar[frozenset[str] | None] = frozenset({"kl"})
    one_sample: ClassVar[bool] = False
    assumes: ClassVar[str] = "a, b within the box; ranks fall off no faster than exponentially"

    @model_validator(mode="after")
    def _ordered(self) -> DirichletMixture:
        if not self.low < self.high:
            placed([(("high",), f"expected more than low, {self.low:g}")], self.kind)
        return self

    @property
    def slow(self) -> bool:
        """Return True."""
        return True

    def misfit(self, colours: int) -> str | None:
        """Say where there are too many colours: time and memory grow with K."""
        if colours <= MOST_COLOURS:
            return None
        return f"dirichlet_mixture takes at most {MOST_COLOURS} colours; the bag has {colours}"

    def estimate(self, counts: Counts, reference: Reference, target: Divergence) -> Values:
        """Return the posterior mean for each pair of rows."""
        fault = self.misfit(reference.colours)
        if fault:
            raise ValueError(fault)
        if reference.colours == 1:
            return np.zeros(len(counts))
        pairs = zip(counts, reference.d, strict=True)
        return np.array([self._mean(c, d) for c, d in pairs])

    def _mean(self, c: Ints, d: Ints) -> float:
        colours = float(len(c))
        ends = log(self.low), log(self.high)
        first, second = spectrum(c), spectrum(d)

        def of_a(x: Floats) -> Floats:
            return np.log(slope(np.exp(x), colours)) + x + log_likelihood(first, x)

        def of_b(x: Floats) -> Floats:
            rise = slope(np.exp(x), colours, of_cross_entropy=True)
            return np.log(rise) + x + log_likelihood(second, x)

        points = max(128, min(512, 25_600 // len(c)))  # φ has a kink: many, where they cost little
        x, own = nodes(of_a, *ends, points)
        y, other = nodes(of_b, *ends, points)
        a, b = np.exp(x), np.exp(y)
        away = _cross_entropy(b, colours) - _entropy(a, colours)[:, np.newaxis]
        weight = np.outer(own, other) / (away * np.minimum(away, log(colours)))
        return float(np.sum(weight * _means(c, d, a, b)) / weight.sum())


def _entropy(a: Floats, colours: float) -> Floats:
    return np.asarray(psi(colours * a + 1) - psi(a + 1))


def _cross_entropy(b: Floats, colours: float) -> Floats:
    return np.asarray(psi(colours * b) - psi(b))


def _means(c: Ints, d: Ints, a: Floats, b: Floats) -> Floats:
    """Return the posterior mean of D(P‖Q) for each a and each b; shape (len(a), len(b))."""
    x = c[:, np.newaxis] + a
    y = d[:, np.newaxis] + b
    share = x / x.sum(axis=0)
    own = np.sum(share * (psi(x + 1) - psi(x.sum(axis=0) + 1)), axis=0)
    return np.asarray(own[:, np.newaxis] + share.T @ (psi(y.sum(axis=0)) - psi(y)))
