"""Estimates that fall and then rise with a count: P(near) at many sizes at once.

A divergence of two colours falls up to Q and rises beyond, and so does an estimate that is less
by the same at every count (by no more where only one colour was seen). So the counts that are
near enough are one stretch on each side of Q, and bisection finds their ends.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from sim.contracts.arrays import Counts
from sim.exact.windows import Window, above, below
from sim.laws.pmf import Floats, Ints

Errors = Callable[[Counts], Floats]
Within = tuple[Window, Window]
Holds = Callable[[Ints], NDArray[np.bool_]]


def chances(
    errors: Errors, n: Ints, shares: tuple[float, float], most: float, within: Within
) -> Floats:
    """Return P(|error| ≤ most) at each size, exact; `errors` are those of rows of counts.

    `shares` are those of the first colour in P and in Q. The ends of what is near lie between
    those of two windows, `within`.
    """
    p, q = shares

    def off(c: Ints) -> Floats:
        return errors(np.column_stack([c, n - c]))

    with np.errstate(all="ignore"):
        turn = np.floor(q * n).astype(np.int64)
        turn = np.where(turn / n > q, turn, turn + 1)  # the first count beyond Q
        left, right = (np.zeros_like(n), turn), (turn, n + 1)
        ends: tuple[tuple[Holds, list[float], tuple[Ints, Ints]], ...] = (
            (lambda c: off(c) <= most, [w.falls[0] for w in within], left),
            (lambda c: off(c) < -most, [w.falls[1] for w in within], left),
            (lambda c: off(c) >= -most, [w.rises[0] for w in within], right),
            (lambda c: off(c) > most, [w.rises[1] for w in within], right),
        )
        a, b, c, d = (_first(holds, *_bracket(n, at, side)) for holds, at, side in ends)
    return _from_to(n, a, b, p) + _from_to(n, c, d, p)


def anything(p: float) -> Within:
    """Return two windows between which any ends lie."""
    low, high = (Window(p, 0.0, 1.0, None, (at, at), (at, at)) for at in (0.0, 1.0))
    return low, high


def _bracket(n: Ints, shares: Sequence[float], side: tuple[Ints, Ints]) -> tuple[Ints, Ints]:
    """Return between which counts of a side the first one lies that is beyond some share."""
    blur = 1 + 1e-11 * n
    low = np.floor(min(shares) * n - blur).astype(np.int64)
    high = np.ceil(max(shares) * n + blur).astype(np.int64)
    return np.clip(low, *side), np.clip(high, *side)


def _first(holds: Holds, begin: Ints, end: Ints) -> Ints:
    """Return the first count from `begin` on for which it holds; `end` for none before."""
    while (open_ := begin < end).any():
        middle = (begin + end) // 2
        found = holds(middle)
        begin, end = np.where(open_ & ~found, middle + 1, begin), np.where(found, middle, end)
    return begin


def _from_to(n: Ints, first: Ints, end: Ints, p: float) -> Floats:
    return between(n, first.astype(np.float64), (end - 1).astype(np.float64), p)


def between(n: Ints, first: Floats, last: Floats, p: float) -> Floats:
    """Return P(first ≤ X ≤ last), X binomial(n, p)."""
    inside = 1 - below(n, first, p) - above(n, last, p)
    return np.where(first <= last, np.maximum(inside, 0.0), 0.0)
