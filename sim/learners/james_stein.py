"""Counting, shrunk towards a guess."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

import numpy as np
from pydantic import AfterValidator, Field

from sim.checks import either, problem
from sim.contracts.arrays import Counts, Mix
from sim.contracts.learner import Learner


def _some(weights: tuple[float, ...]) -> tuple[float, ...]:
    if not any(weights):
        raise problem("expected at least one weight above 0")
    return weights


Weight = Annotated[float, Field(ge=0, le=1e15, strict=True)]
Weights = Annotated[tuple[Weight, ...], Field(min_length=1, strict=False), AfterValidator(_some)]


class JamesStein(Learner):
    """λ t + (1 − λ) p̂, λ chosen from the counts, t a guess (Hausser & Strimmer 2009).

    λ = (1 − Σ p̂²)/((n−1) Σ (t − p̂)²), kept within 0 and 1; 1 for n ≤ 1 or where p̂ is t.
    `towards` is uniform, or a list of weights in the order of the bag's colours. Good for
    n ≲ K near the guess; where the truth is far from it λ is small and little is gained.

    Example:
        kind: james_stein
        towards: uniform
    """

    kind: Literal["james_stein"] = "james_stein"
    assumes: ClassVar[str] = "a truth near the guess (uniform)"
    towards: Annotated[
        Literal["uniform"] | Weights,
        either("`uniform` or a list of weights", ((list, tuple), Weights)),
    ] = "uniform"

    def misfit(self, colours: int) -> str | None:
        """Say where `towards` has another number of weights."""
        if self.towards == "uniform" or len(self.towards) == colours:
            return None
        return f"`towards` has {len(self.towards)} weights, the bag {colours} colours"

    def fit(self, counts: Counts) -> Mix:
        """Return the shrunk distribution of each row."""
        size = counts.sum(axis=-1, keepdims=True)
        p, guess = counts / size, self._guess(counts.shape[-1])
        away = (size - 1) * ((guess - p) ** 2).sum(axis=-1, keepdims=True)
        spread = 1 - (p**2).sum(axis=-1, keepdims=True)
        ratio = np.divide(spread, away, out=np.ones_like(away), where=away > 0)
        weight = np.clip(ratio, 0.0, 1.0)
        return np.asarray(weight * guess + (1 - weight) * p)

    def _guess(self, colours: int) -> Mix:
        if self.towards == "uniform":
            return np.full(colours, 1 / colours)
        weights = np.array(self.towards, dtype=np.float64)
        return np.asarray(weights / weights.sum())
