"""Two colours: P(near) at every size at once, by stretches of sizes.

A binomial count grows with n, so over a stretch n₁ … n₂ of sizes P(X < y), y at most y₂, is at
most that of n₁ draws below y₂, and so on. A stretch that this does not settle is halved, down to
single sizes, where the chance is exact.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sim.exact.edges import anything, between
from sim.exact.task import Task
from sim.exact.windows import Window, above, below
from sim.laws.pmf import Floats, Ints


def _blur(n: Ints) -> Floats:
    """Return how near to an edge a count is held to the estimator itself."""
    return np.asarray(1e-9 + 1e-11 * n)


_AT_FIRST = 32
"""Stretches to begin with."""

Span = tuple[Ints, Ints]
Chances = tuple[Floats, Floats]
Flags = NDArray[np.bool_]


@dataclass(frozen=True)
class Stretches:
    """The chance to be near at sizes from a first one to a last one.

    Shares in the `inner` window are near at each of them, those that are near are in the
    `outer` one; both are of what is learned, and the same where near is in the window.
    """

    task: Task
    inner: Window | None
    outer: Window
    ends: tuple[int, int]

    def chance(self, n: Ints) -> Floats:
        """Return P(|estimate − truth| ≤ error) at each size; exact."""
        w = self.outer
        if self.inner is not w:
            return self.task.chances(n, (self.inner, w) if self.inner else anything(w.p))
        stretches = [(w.low, w.high), *([w.other] if w.other else [])]
        return np.asarray(sum(self._inside(n, low, high) for low, high in stretches))

    def last_failing(self) -> int:
        """Return the last size at which the confidence is missed; 0 for none."""
        return self._settle(0, self._fails, lambda span, found: span[1] > found, max)

    def first_holding(self) -> int:
        """Return the first size that reaches the confidence; one beyond the last for none."""
        none = self.ends[1] + 1
        return self._settle(none, self._holds, lambda span, found: span[0] < found, min)

    def _settle(
        self,
        found: int,
        verdict: Callable[[Span, Chances], tuple[Flags, Flags, Ints]],
        matters: Callable[[Span, int], Flags],
        better: Callable[[int, int], int],
    ) -> int:
        begin, end = self.ends
        first = np.unique(np.linspace(begin, end, _AT_FIRST, dtype=np.int64))
        last = np.append(first[1:] - 1, end)
        while len(first):
            span = first, last
            sure, never, told = verdict(span, self._bounds(span))
            for one in (told[sure].min(), told[sure].max()) if sure.any() else ():
                found = better(found, int(one))
            left = ~sure & ~never & matters(span, found)
            first, last = _halved(first[left], last[left])
        return found

    def _fails(self, span: Span, found: Chances) -> tuple[Flags, Flags, Ints]:
        least, most = map(self.task.reached, found)
        return ~most, least, span[1]

    def _holds(self, span: Span, found: Chances) -> tuple[Flags, Flags, Ints]:
        least, most = map(self.task.reached, found)
        return least, ~most, span[0]

    def _bounds(self, span: Span) -> Chances:
        """Return the least and the greatest chance that a stretch may hold; exact for one size."""
        least, most = self._least(span), self._most(span)
        alone = span[0] == span[1]
        if alone.any():
            least[alone] = most[alone] = self.chance(span[0][alone])
        return least, most

    def _least(self, span: Span) -> Floats:
        (n, m), w = span, self.inner
        if w is None:
            return np.zeros(len(n))
        missed = self._unlike(n)
        if w.low > 0:
            missed += below(n, self._at_most(w.low, span), w.p)
        if w.high < 1:
            missed += above(m, self._at_least(w.high, span), w.p)
        return 1 - missed

    def _most(self, span: Span) -> Floats:
        (n, m), w = span, self.outer
        more = self._unlike(n)
        if w.low > 0:
            more -= below(m, self._at_least(w.low, span), w.p)
        if w.high < 1:
            more -= above(n, self._at_most(w.high, span), w.p)
        if w.other is not None and w.other[0] > w.high:
            more += above(m, self._at_least(w.other[0], span) - 1, w.p)
        elif w.other is not None:
            more += below(n, self._at_most(w.other[1], span) + 1, w.p)
        return np.minimum(1.0, 1 + more)

    def _unlike(self, n: Ints) -> Floats:
        """Return how often one colour is not seen, where the windows may not hold for that."""
        if self.inner is self.outer:
            return np.zeros(len(n))
        return np.asarray(self.outer.p**n + (1 - self.outer.p) ** n)

    def _at_most(self, share: float, span: Span) -> Floats:
        """Return at most which count has this share learned of it, over a stretch."""
        more = np.maximum(*(self.task.pulled(share, n) for n in span))
        return np.asarray(share * span[1] + more + _blur(span[1]))

    def _at_least(self, share: float, span: Span) -> Floats:
        less = np.minimum(*(self.task.pulled(share, n) for n in span))
        return np.asarray(share * span[0] + less - _blur(span[1]))

    def _inside(self, n: Ints, low: float, high: float) -> Floats:
        """Return P(low ≤ learned ≤ high), a count at an edge held to the estimator."""
        blur = _blur(n)
        begin, end = (share * n + self.task.pulled(share, n) for share in (low, high))
        first = np.maximum(np.ceil(begin - blur), 0.0)
        last = np.minimum(np.floor(end + blur), n)
        first += (first <= begin + blur) & ~self._near(n, first)
        last -= (last >= end - blur) & ~self._near(n, last)
        return between(n, first, last, self.outer.p)

    def _near(self, n: Ints, count: Floats) -> Flags:
        one = np.clip(count, 0, n).astype(np.int64)
        return self.task.near(np.column_stack([one, n - one]))


def _halved(first: Ints, last: Ints) -> Span:
    middle = (first + last) // 2
    return np.concatenate([first, middle + 1]), np.concatenate([middle, last])
