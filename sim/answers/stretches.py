"""The counted divergence of two colours: P(near) at every size at once, by stretches of sizes.

A binomial count grows with n, so over a stretch n₁ … n₂ of sizes P(X < n·a) is at most that of
n₁ draws below n₂·a, and at least that of n₂ draws below n₁·a. A stretch that this does not
settle is halved, down to single sizes, where the chance is exact.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from sim.answers.task import Task
from sim.answers.windows import Window, above, below
from sim.exact.values import Floats, Ints


def _blur(n: Ints) -> Floats:
    """Return how near to an edge a count is held to the estimator itself."""
    return np.asarray(1e-9 + 1e-11 * n)


Span = tuple[Ints, Ints]
Chances = tuple[Floats, Floats]


class Stretches:
    """The chance to be near at sizes up to a last one, beyond which it is proved."""

    def __init__(self, task: Task, window: Window) -> None:
        self._task, self._window = task, window

    def chance(self, n: Ints) -> Floats:
        """Return P(|estimate − truth| ≤ error) at each size; exact."""
        w = self._window
        stretches = [(w.low, w.high), *([w.other] if w.other else [])]
        return np.asarray(sum(self._inside(n, low, high) for low, high in stretches))

    def last_failing(self, most: int) -> int:
        """Return the last size up to `most` at which the confidence is missed; 0 for none."""
        return self._settle(most, 0, self._fails, lambda span, found: span[1] > found, max)

    def first_holding(self, most: int) -> int:
        """Return the first size at which the confidence is reached; `most` + 1 for none."""
        return self._settle(most, most + 1, self._holds, lambda span, found: span[0] < found, min)

    def _settle(
        self,
        most: int,
        found: int,
        verdict: Callable[[Span, Chances], tuple[NDArray[np.bool_], NDArray[np.bool_], Ints]],
        matters: Callable[[Span, int], NDArray[np.bool_]],
        better: Callable[[int, int], int],
    ) -> int:
        first, last = np.array([1], dtype=np.int64), np.array([most], dtype=np.int64)
        while len(first):
            span = first, last
            sure, never, end = verdict(span, self._bounds(span))
            for one in (end[sure].min(), end[sure].max()) if sure.any() else ():
                found = better(found, int(one))
            left = ~sure & ~never & matters(span, found)
            first, last = _halved(first[left], last[left])
        return found

    def _fails(
        self, span: Span, chances: Chances
    ) -> tuple[NDArray[np.bool_], NDArray[np.bool_], Ints]:
        confidence = self._task.confidence
        return chances[1] < confidence, chances[0] >= confidence, span[1]

    def _holds(
        self, span: Span, chances: Chances
    ) -> tuple[NDArray[np.bool_], NDArray[np.bool_], Ints]:
        confidence = self._task.confidence
        return chances[0] >= confidence, chances[1] < confidence, span[0]

    def _bounds(self, span: Span) -> Chances:
        """Return the least and the greatest chance that a stretch may hold; exact for one size."""
        n, m = span
        w, p = self._window, self._window.p
        blur = _blur(m)
        missed, kept = np.zeros(len(n)), np.zeros(len(n))
        if w.low > 0:
            missed += below(n, w.low * m + blur, p)
            kept += below(m, w.low * n - blur, p)
        if w.high < 1:
            missed += above(m, w.high * n - blur, p)
            kept += above(n, w.high * m + blur, p)
        more = self._other(span)
        least, most = 1 - missed, np.minimum(1.0, 1 - kept + more)
        alone = n == m
        if alone.any():
            least[alone] = most[alone] = self.chance(n[alone])
        return least, most

    def _other(self, span: Span) -> Floats:
        """Return at most how often a stretch of sizes has p̂ near on the other side of q."""
        n, m = span
        w = self._window
        if w.other is None:
            return np.zeros(len(n))
        if w.other[0] > w.high:
            return above(m, w.other[0] * n - 1 - _blur(m), w.p)
        return below(n, w.other[1] * m + 1 + _blur(m), w.p)

    def _inside(self, n: Ints, low: float, high: float) -> Floats:
        """Return P(low ≤ p̂ ≤ high), a count at an edge held to the estimator."""
        p, blur = self._window.p, _blur(n)
        first, last = np.ceil(low * n - blur), np.floor(high * n + blur)
        first += (first <= low * n + blur) & ~self._near(n, first)
        last -= (last >= high * n - blur) & ~self._near(n, last)
        inside = 1 - below(n, first, p) - above(n, last, p)
        return np.where(first <= last, np.maximum(inside, 0.0), 0.0)

    def _near(self, n: Ints, count: Floats) -> NDArray[np.bool_]:
        one = np.clip(count, 0, n).astype(np.int64)
        return self._task.near(np.column_stack([one, n - one]))


def _halved(first: Ints, last: Ints) -> Span:
    middle = (first + last) // 2
    return np.concatenate([first, middle + 1]), np.concatenate([middle, last])
