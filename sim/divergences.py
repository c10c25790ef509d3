"""Divergences of two known distributions: a term for each colour, and how the sum finishes."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache, partial
from math import log, sqrt
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from sim.special import rel_entr, xlogy

Array = NDArray[np.float64]
Unit = Literal["nats", "bits"]

_LN2 = log(2)


@dataclass(frozen=True)
class Divergence:
    """A divergence D(p, q) = finish(Σ terms(p, q)).

    `terms` takes two arrays that broadcast, elementwise, and gives nats where the divergence
    has a unit; `bit` is what one bit is worth then, 1 where it has no unit. `finish` is None
    where the sum is the divergence. `separable` says that a term is a(p) + b(q) + s(p) h(q)
    where both are above 0: then means over two samples come apart.
    """

    name: str
    about: str
    terms: Callable[[Array, Array], Array]
    finish: Callable[[Array], Array] | None = None
    bit: float = _LN2
    separable: bool = False

    def __call__(self, p: Array, q: Array) -> Array:
        """Return D(p, q) over the last axis, in nats where it has a unit."""
        total = np.sum(self.terms(p, q), axis=-1)
        return total if self.finish is None else self.finish(total)

    def per_unit(self, unit: Unit) -> float:
        """Return what one unit is worth in nats; 1 for a divergence without a unit."""
        return self.bit if unit == "bits" else 1.0


def _kl(p: Array, q: Array) -> Array:
    return np.asarray(rel_entr(p, q))


def _reverse(p: Array, q: Array) -> Array:
    return np.asarray(rel_entr(q, p))


def _jeffreys(p: Array, q: Array) -> Array:
    return np.asarray(rel_entr(p, q) + rel_entr(q, p))


def _js(p: Array, q: Array) -> Array:
    middle = (p + q) / 2
    return np.asarray((rel_entr(p, middle) + rel_entr(q, middle)) / 2)


def _root(total: Array) -> Array:
    return np.sqrt(np.maximum(total, 0.0))  # rounding may leave a little below 0


def _chi_square(p: Array, q: Array) -> Array:
    away = p - q
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(away == 0, 0.0, away * away / q)


def _hellinger(p: Array, q: Array) -> Array:
    away = np.sqrt(p) - np.sqrt(q)
    return np.asarray(away * away / 2)


def _total_variation(p: Array, q: Array) -> Array:
    return np.abs(p - q) / 2


def _cross_entropy(p: Array, q: Array) -> Array:
    return np.asarray(-xlogy(p, q))


def _entropy(p: Array, q: Array) -> Array:
    return np.asarray(-xlogy(p, p) + np.zeros_like(q))


def _renyi_terms(order: float, p: Array, q: Array) -> Array:
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(p == 0, 0.0, p**order * q ** (1 - order))


def _renyi_finish(order: float, total: Array) -> Array:
    with np.errstate(divide="ignore"):
        return np.asarray(np.log(total) / (order - 1))


KL = Divergence("kl", "D(P‖Q) = Σ p ln(p/q); Kullback & Leibler 1951", _kl, separable=True)
KL_LOSS = Divergence("kl_loss", "D(P‖P̃), from the truth to what a learner learned", _kl)
ENTROPY = Divergence(
    "entropy", "H(P) = −Σ p ln p; Q takes no part; Shannon 1948", _entropy, separable=True
)

_PLAIN = (
    KL,
    Divergence("reverse_kl", "D(Q‖P)", _reverse, separable=True),
    Divergence("jeffreys", "D(P‖Q) + D(Q‖P), also called PSI; Jeffreys 1946", _jeffreys),
    Divergence("js", "Jensen–Shannon: half of D(P‖M) + D(Q‖M), M = (P + Q)/2; Lin 1991", _js),
    Divergence("js_distance", "√ of Jensen–Shannon, a metric", _js, _root, sqrt(_LN2)),
    Divergence("chi_square", "Σ (p − q)²/q; Pearson 1900", _chi_square, None, 1.0, True),
    Divergence("hellinger_squared", "1 − Σ √(pq); Hellinger 1909", _hellinger, None, 1.0, True),
    Divergence("total_variation", "half of Σ |p − q|", _total_variation, None, 1.0),
    Divergence("cross_entropy", "−Σ p ln q", _cross_entropy, separable=True),
    ENTROPY,
)
TARGETS: dict[str, Divergence] = {divergence.name: divergence for divergence in _PLAIN}
NAMES = (*TARGETS, "renyi(2)")
RENYI = r"renyi\(\d(\.\d{1,6})?\)"
"""`renyi(a)` as a name, a above 0, below 10 and not 1: higher powers overflow."""


@lru_cache
def divergence(name: str) -> Divergence | None:
    """Return the divergence of a name; `renyi(a)` for any order a. None if unknown."""
    if not re.fullmatch(RENYI, name, re.ASCII):
        return TARGETS.get(name)
    a = float(name[len("renyi(") : -1])
    if a in (0, 1):
        return None
    plain = f"{a:.6f}".rstrip("0").rstrip(".")
    about = f"ln(Σ p^{plain} q^(1−{plain}))/({plain} − 1); Rényi 1961"
    return Divergence(f"renyi({plain})", about, partial(_renyi_terms, a), partial(_renyi_finish, a))
