"""Exact values where Q is only known through counts with a law of their own.

Up to two colours every pair of outcomes is listed. Beyond, the mean of an additive estimator
is a sum over each colour's pairs of counts, or where it is `separable`, over a cross of them.
The chance of a finite estimate, and the mean given that, come from the generating function of
independent counts in both samples, given both sums.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from sim.contracts.arrays import Reference
from sim.contracts.estimator import Estimator
from sim.divergences import Divergence
from sim.exact.crosses import Complex, Cross, Term
from sim.exact.listing import listed_values
from sim.exact.values import UNKNOWN, Exact, Floats, Ints, Support, moments
from sim.laws.counts import CountLaw, JointLaw
from sim.laws.pmf import MOST_WORK

_LEAST_FINITE = 1e-4
_RESOLVED = 1e-12  # a smaller chance, as 1 less another, would be rounding
_TOGETHER = 2**20


def two_samples(law: CountLaw, second: CountLaw, estimator: Estimator, target: Divergence) -> Exact:
    """Return what is exactly known of an estimate of two samples with these laws."""
    found = listed_values(law, estimator, second, target)
    if found is not None:
        return moments(*found)
    return _additive(law, second, estimator, target)


def _additive(law: CountLaw, second: CountLaw, estimator: Estimator, target: Divergence) -> Exact:
    term = _term(law, second, estimator, target)
    pair = _Pair.of(law, second)
    if term is None or pair is None:
        return UNKNOWN
    cross = Cross.of(term, pair.first, pair.other)
    if np.isnan(cross.edges).any() or not cross.inside_known:
        return UNKNOWN
    if not np.isfinite(cross.edges).all():
        return _given_finite(law, second, term, estimator.separable(target))
    if not estimator.separable(target):
        return Exact(_mean_of_pairs(term, pair), None, 0.0)
    one, two = cross.first.sums(pair.w[:, np.newaxis]), cross.other.sums(pair.v[:, np.newaxis])
    return Exact(float(cross.sums(one, two)[1].sum().real), None, 0.0)


@dataclass(frozen=True, eq=False)
class _Pair:
    """The counts of both samples that have any probability, and these."""

    first: Support
    other: Support
    w: Floats
    v: Floats

    @classmethod
    def of(cls, law: CountLaw, second: CountLaw) -> _Pair | None:
        first, other = Support.of(*law.window()), Support.of(*second.window())
        if first is None or other is None:
            return None
        chances = law.pmf(first.colour, first.count), second.pmf(other.colour, other.count)
        return cls(first, other, *chances)


def _term(law: CountLaw, second: CountLaw, estimator: Estimator, target: Divergence) -> Term | None:
    """Return the estimator's terms as a function of both counts; None where not additive."""

    def found(c: Ints, d: Ints) -> Floats | None:
        seen = Reference(colours=law.colours, counts=d[np.newaxis], size=second.size)
        terms = estimator.terms(c[np.newaxis], law.size, seen, target)
        return None if terms is None else np.asarray(np.broadcast_to(terms[0], c.shape))

    def term(c: Ints, d: Ints) -> Floats:
        values = found(c, d)
        assert values is not None
        return values

    one = np.ones(1, dtype=np.int64)
    return None if found(one, one) is None else term


def _mean_of_pairs(term: Term, pair: _Pair) -> float | None:
    """Return the mean over each colour's pairs of counts; None where they are too many."""
    (low, wide), (start, long) = (_spans(each) for each in (pair.first, pair.other))
    if int(np.sum(wide * long)) > MOST_WORK:
        return None
    total = 0.0
    for a, b, i, j in zip(low, low + wide, start, start + long, strict=True):
        d, v = pair.other.count[i:j], pair.v[i:j]
        step = max(1, _TOGETHER // len(d))
        for begin in range(a, b, step):
            part = slice(begin, min(b, begin + step))
            c, w = pair.first.count[part], pair.w[part]
            terms = term(np.repeat(c, len(d)), np.tile(d, len(c)))
            total += float(w @ terms.reshape(len(c), len(d)) @ v)
    return total if np.isfinite(total) else None


def _spans(support: Support) -> tuple[Ints, Ints]:
    """Return where each colour's counts start, and how many there are."""
    return support.starts, np.diff(support.starts, append=len(support.count))


def _given_finite(law: CountLaw, second: CountLaw, term: Term, separable: bool) -> Exact:
    """Return the chance of infinity, and the mean of what is finite.

    With Ψ_k(θ, φ) = E e^{iθX+iφY} over finite terms and W = ΠΨ_k e^{−iθn−iφm}: the chance of a
    finite estimate is ΣW over the same with all terms, its mean ΣWA/ΣW, A = Σ E[g e^…]/Ψ.
    """
    if not (isinstance(law, JointLaw) and isinstance(second, JointLaw)):
        return UNKNOWN
    first, other = (_free_support(each) for each in (law, second))
    if first is None or other is None:
        return UNKNOWN
    theta, theta_weight = law.grid(law.free_variance())
    half, _ = second.grid(second.free_variance())
    phi = np.concatenate([half, -half[half > 0]])
    work = len(first.count) * len(theta) + len(other.count) * len(phi)
    if max(work, law.colours * len(theta) * len(phi)) > MOST_WORK:
        return UNKNOWN
    cross = Cross.of(term, first, other)
    if np.isnan(cross.edges).any() or not cross.inside_known:
        return UNKNOWN
    turned = law.free_pmf(first.colour, first.count)[:, np.newaxis] * _turn(first, theta)
    one = cross.first.sums(turned)
    turned = second.free_pmf(other.colour, other.count)[:, np.newaxis] * _turn(other, phi)
    two = cross.other.sums(turned)
    back = np.exp(-1j * law.size * theta) * theta_weight, np.exp(-1j * second.size * phi)
    whole = [
        float((np.prod(each.none + each.above, axis=0) * turn).sum().real)
        for each, turn in zip((one, two), back, strict=True)
    ]
    weight, part = cross.sums(one, two)
    mean_of = np.where(weight == 0, 0, part / np.where(weight == 0, 1, weight)).sum(axis=0)
    some = np.prod(weight, axis=0) * np.outer(*back)
    kept = float(some.sum().real) / (whole[0] * whole[1])
    mean = None
    if separable and kept > _LEAST_FINITE:
        mean = float((some * mean_of).sum().real / some.sum().real)
    return Exact(mean, None, _lost(kept))


def _lost(kept: float) -> float | None:
    return 1 - kept if 1 - kept > _RESOLVED else None


def _free_support(law: JointLaw) -> Support | None:
    low, high = law.free_window()
    return Support.of(low, np.minimum(high, law.size))


def _turn(support: Support, angles: Floats) -> Complex:
    return np.asarray(np.exp(1j * np.outer(support.count, angles)))
