"""Every outcome of up to two colours, one after the other; what is made of them is exact."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from sim.contracts.arrays import Counts, Reference
from sim.contracts.interval import Interval, Listable, Sample, covers
from sim.divergences import Divergence
from sim.exact.values import Distribution, Floats, Ints
from sim.laws.counts import CountLaw
from sim.laws.pmf import MOST_WORK

MOST_PAIRS = 2_000_000
MOST_SLOW = 300
"""Outcomes that a slow estimator is asked for, here and in all exact values."""

MOST_BOUNDED = 2**17
"""Outcomes that are given bounds: an interval is more work than an estimate."""

_TOGETHER = 2**16

_FEW = 2**12
"""Outcomes that are kept for who asks next."""


@dataclass(frozen=True, eq=False)
class Outcomes:
    """The outcomes of one sample, or of two: counts, what is known of Q, and their chances."""

    counts: Counts
    reference: Reference
    weights: Floats


def listed(
    law: CountLaw, q: Reference | CountLaw, most: int = MOST_WORK
) -> Iterator[Outcomes] | None:
    """Return all outcomes, in pieces; None beyond two colours, or `most` outcomes."""
    number = outcomes(law, q)
    if number is None or number > most:
        return None
    return _one_sample(law, q) if isinstance(q, Reference) else _pairs(law, q)


def outcomes(law: CountLaw, q: Reference | CountLaw) -> int | None:
    """Return how many outcomes there are to list; None beyond two colours."""
    if law.colours > 2:
        return None
    return _width(law) * (1 if isinstance(q, Reference) else _width(q))


def _width(law: CountLaw) -> int:
    low, high = law.window()
    return int(high[0] - low[0] + 1)


def _one_sample(law: CountLaw, reference: Reference) -> Iterator[Outcomes]:
    counts, weights = _of(law)
    for begin in range(0, len(counts), _TOGETHER):
        part = slice(begin, begin + _TOGETHER)
        yield Outcomes(counts[part], reference, weights[part])


def _pairs(law: CountLaw, second: CountLaw) -> Iterator[Outcomes]:
    (c, w), (d, v) = _of(law), _of(second)
    step = max(1, _TOGETHER // len(d))
    for begin in range(0, len(c), step):
        some = c[begin : begin + step]
        of_q = Reference.counted(np.tile(d, (len(some), 1)))
        weights = np.outer(w[begin : begin + step], v).ravel()
        yield Outcomes(np.repeat(some, len(d), axis=0), of_q, weights)


def _of(law: CountLaw) -> tuple[Ints, Floats]:
    return _few_of(law) if _width(law) <= _FEW else _all_of(law)


def _all_of(law: CountLaw) -> tuple[Ints, Floats]:
    low, high = law.window()
    first = np.arange(low[0], high[0] + 1)
    weights = law.pmf(np.zeros_like(first), first)
    counts = np.stack([first, law.size - first][: law.colours], axis=1)
    counts.flags.writeable = False  # all estimators see the same
    return counts, weights / weights.sum()


_few_of = lru_cache(maxsize=256)(_all_of)
"""A law is asked for by every cell of its bag and size."""


def listed_values(
    law: CountLaw, estimator: Listable, q: Reference | CountLaw, target: Divergence
) -> tuple[Floats, Floats] | None:
    """Return the estimate of each outcome and its chance; None where they are too many."""
    most = MOST_WORK if isinstance(q, Reference) else MOST_PAIRS
    found = listed(law, q, MOST_SLOW if estimator.slow else most)
    if found is None:
        return None
    parts = [(estimator.estimate(o.counts, o.reference, target), o.weights) for o in found]
    values, weights = (np.concatenate(column) for column in zip(*parts, strict=True))
    return values, weights


def listed_distribution(
    law: CountLaw, estimator: Listable, q: Reference | CountLaw, target: Divergence
) -> Distribution | None:
    """Return the distribution of an estimate; None where there are too many outcomes.

    And where an undefined estimate has a chance.
    """
    found = listed_values(law, estimator, q, target)
    if found is None:
        return None
    values, weights = (column[found[1] > 0] for column in found)
    if np.isnan(values).any():
        return None
    return Distribution.of(values, weights)


@dataclass(frozen=True)
class Stated:
    """What is said of an error: an estimator, its interval, of which target, at which level."""

    estimator: Listable
    interval: Interval
    target: Divergence
    level: float


def listed_coverage(
    law: CountLaw, q: Reference | CountLaw, stated: Stated, truth: float
) -> float | None:
    """Return the chance of bounds that hold the truth; None where outcomes are too many.

    And for an interval that draws.
    """
    found = listed(law, q, MOST_SLOW if stated.estimator.slow else MOST_BOUNDED)
    if found is None or stated.interval.random:
        return None
    unused = np.random.Generator(np.random.SFC64(0))
    total = 0.0
    for one in found:
        sample = Sample(one.counts, one.reference, stated.target)
        bounds = stated.interval.bounds(stated.estimator, sample, stated.level, unused)
        total += float(one.weights[covers(bounds.lower, bounds.upper, truth)].sum())
    return min(total, 1.0)
