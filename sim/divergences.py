"""Divergences of two known distributions: a term for each colour, and how the sum finishes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from math import log
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from scipy.special import rel_entr

Array = NDArray[np.float64]
Unit = Literal["nats", "bits"]


@dataclass(frozen=True)
class Divergence:
    """A divergence D(p, q) = finish(Σ terms(p, q)).

    `terms` takes two arrays that broadcast, elementwise, and gives nats where the divergence
    is `entropic` (only these have a unit). `finish` is None where the sum is the divergence.
    """

    name: str
    about: str
    terms: Callable[[Array, Array], Array]
    finish: Callable[[Array], Array] | None = None
    entropic: bool = True

    def __call__(self, p: Array, q: Array) -> Array:
        """Return D(p, q) over the last axis, in nats where it has a unit."""
        total = np.sum(self.terms(p, q), axis=-1)
        return total if self.finish is None else self.finish(total)

    def per_unit(self, unit: Unit) -> float:
        """Return what one unit is worth in nats; 1 for a divergence without a unit."""
        return log(2) if self.entropic and unit == "bits" else 1.0


def _kl(p: Array, q: Array) -> Array:
    return np.asarray(rel_entr(p, q))


KL = Divergence("kl", "D(P‖Q) = Σ p ln(p/q); Kullback & Leibler 1951", _kl)
KL_LOSS = Divergence("kl_loss", "D(P‖P̃), from the truth to what a learner learned", _kl)

TARGETS: dict[str, Divergence] = {divergence.name: divergence for divergence in (KL,)}
