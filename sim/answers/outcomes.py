"""Every outcome of a few draws, of any number of colours: each estimate with its exact chance.

Up to two colours `sim.exact` lists them. Beyond, counts are independent variables given their
sum (`JointLaw`): the chance of an outcome is the product of theirs, over the sum of all.
"""

from __future__ import annotations

from collections.abc import Iterator
from math import comb, prod

import numpy as np

from sim.asked import InputFault
from sim.contracts.arrays import Counts, Reference, Values
from sim.contracts.interval import Listable
from sim.divergences import Divergence
from sim.errors import first_line
from sim.exact.listing import MOST_SLOW, listed_values
from sim.exact.values import Floats, Ints
from sim.laws.counts import JointLaw

MOST_OUTCOMES = 5_000_000
"""So many outcomes of three colours or more are listed: one to two seconds of work."""

_TOGETHER = 2**15


def estimates(estimator: Listable, counts: Counts, q: Reference, target: Divergence) -> Values:
    """Return the estimates of rows of counts, nats; InputFault where the estimator raises."""
    with np.errstate(all="ignore"):
        try:
            return estimator.estimate(counts, q, target)
        except Exception as error:  # an estimator may be anybody's
            kind = getattr(estimator, "kind", "the estimator")
            raise InputFault(f"{kind} fails on counts that may come: {first_line(error)}") from None


def number_of(law: JointLaw) -> int:
    """Return at most how many outcomes have any chance."""
    low, high = law.window()
    widths = sorted((high - low + 1).tolist())[:-1]
    return min(comb(law.size + law.colours - 1, law.colours - 1), prod(map(int, widths)))


def every_value(
    law: JointLaw, estimator: Listable, q: Reference | JointLaw, target: Divergence
) -> tuple[Floats, Floats] | None:
    """Return the estimate of each outcome, nats, and its exact chance; None where too many."""
    if law.colours <= 2:
        with np.errstate(all="ignore"):
            return listed_values(law, estimator, q, target)
    second = 1 if isinstance(q, Reference) else number_of(q)
    if number_of(law) * second > (MOST_SLOW if estimator.slow else MOST_OUTCOMES):
        return None
    parts = [
        (estimates(estimator, counts, known, target), weights)
        for counts, known, weights in _beside(law, q)
    ]
    values, weights = (np.concatenate(column) for column in zip(*parts, strict=True))
    return values, weights / weights.sum()


def _beside(law: JointLaw, q: Reference | JointLaw) -> Iterator[tuple[Counts, Reference, Floats]]:
    if isinstance(q, Reference):
        yield from ((counts, q, weights) for counts, weights in listed(law))
        return
    d, v = (np.concatenate(column) for column in zip(*listed(q), strict=True))
    step = max(1, _TOGETHER // len(d))
    for counts, weights in listed(law):
        for begin in range(0, len(counts), step):
            some, w = counts[begin : begin + step], weights[begin : begin + step]
            of_q = Reference.counted(np.tile(d, (len(some), 1)))
            yield np.repeat(some, len(d), axis=0), of_q, np.outer(w, v).ravel()


def listed(law: JointLaw) -> Iterator[tuple[Counts, Floats]]:
    """Yield all outcomes of two colours or more in pieces: counts, (m, K), and their weights.

    The widest colour takes what the others leave.
    """
    low, high = law.window()
    order = np.argsort(high - low, kind="stable")
    back = np.argsort(order)
    law, low, high = _picked(law, order), low[order], high[order]
    counts, weights = np.zeros((1, 0), dtype=np.int64), np.ones(1)
    for colour in range(law.colours - 2):
        counts, weights = _longer(law, (counts, weights), low[colour], high[colour])
    last = law.colours - 2
    step = max(1, _TOGETHER // int(high[last] - low[last] + 1))
    for begin in range(0, len(counts), step):
        part = counts[begin : begin + step], weights[begin : begin + step]
        some, w = _longer(law, part, low[last], high[last])
        left = law.size - some.sum(axis=1)
        w = w * law.free_pmf(np.full_like(left, last + 1), left)
        yield np.column_stack([some, left])[:, back], w


def _picked(law: JointLaw, order: Ints) -> JointLaw:
    picked = law.picked(order)
    assert isinstance(picked, JointLaw)
    return picked


def _longer(
    law: JointLaw, begun: tuple[Counts, Floats], low: int, high: int
) -> tuple[Counts, Floats]:
    """Return every outcome that is begun with every count of the next colour beside it."""
    counts, weights = begun
    colour = counts.shape[1]
    most = np.minimum(high, law.size - counts.sum(axis=1))
    width = np.maximum(most - low + 1, 0)
    rows = np.repeat(np.arange(len(counts)), width)
    start: Ints = np.cumsum(width) - width
    each = np.arange(len(rows)) - start[rows] + low
    choices = np.arange(low, high + 1)
    chance = law.free_pmf(np.full_like(choices, colour), choices)
    return np.column_stack([counts[rows], each]), weights[rows] * chance[each - low]
