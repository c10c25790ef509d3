"""The size from which on the confidence is always reached, for two colours: exact and proved.

Beyond some size it is proved to be reached where the estimate is never far from the counted
divergence; up to there every size is worked out.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from math import inf

import numpy as np

from sim.exact.listing import listed_values
from sim.exact.stretches import Stretches
from sim.exact.task import Task
from sim.exact.windows import is_unimodal
from sim.laws.counts import CountLaw

MOST_SIZES = 10_000_000
"""Up to so many draws every size is worked out."""

_CORRECTED = "miller_madow"
_NEAR_COUNTED = {"plug_in/relative_frequency", "plug_in/add_constant", _CORRECTED}
"""Estimators that are never far from a counted divergence of two colours."""

_ALIKE = 1.5
"""Sizes whose corrections are as near as this are looked at together."""


def every_size(task: Task) -> EverySize | None:
    """Return what knows the chance at every size; None where too little is proved."""
    last = proved_from(task)
    return EverySize(task, int(last)) if last <= MOST_SIZES else None


@dataclass(frozen=True)
class EverySize:
    """The chance to be near at every size up to a last one, beyond which it is proved."""

    task: Task
    last: int

    def last_failing(self, known: int = 0) -> int:
        """Return the last size at which the confidence is missed; 0 for none.

        `known` is one that misses it, 0 where none is known.
        """
        found = (each.last_failing() for each in self._blocks(known + 1))
        return next(filter(None, found), known)

    def first_holding(self) -> int:
        """Return the first size at which the confidence is reached."""
        found = ((each.ends[1], each.first_holding()) for each in reversed([*self._blocks(1)]))
        return next((first for last, first in found if first <= last), self.last + 1)

    def _blocks(self, least: int) -> Iterator[Stretches]:
        """Yield stretches of sizes, the largest first, over which the windows are much alike."""
        end = self.last
        while end >= least:
            begin = least
            if self.task.kind == _CORRECTED:
                begin = max(least, int(end / _ALIKE) + 1)
            few, many = (_correction(self.task, n) for n in (end, begin))
            outer = self.task.window(few, many)
            assert outer is not None, "it is wider than the one that a proof begins with"
            inner = outer if few == many == 0 else self.task.window(many, few)
            yield Stretches(self.task, inner, outer, (begin, end))
            end = begin - 1


def proved_from(task: Task) -> float:
    """Return a size from which on the confidence is proved to be reached; inf where none is known.

    There |estimate − D(p̃, q)| ≤ v and |p̃ − p̂| ≤ s, with v and s falling with n: what suffices
    for those of a smaller size does for all that follow.
    """
    if len(task.p) != 2 or not is_unimodal(task.target) or task.kind not in _NEAR_COUNTED:
        return inf
    n = _enough(task, inf)
    while n <= MOST_SIZES:
        more = _enough(task, n)
        if more < inf:
            return max(n, more)
        n *= 2
    return inf


def _enough(task: Task, n: float) -> float:
    """Return how many draws are enough if v and s are those of n; inf for never."""
    value, shift = (0.0, 0.0) if n == inf else (_correction(task, n), _shift(task, n))
    window = task.window(value, -value)
    window = None if window is None else window.narrowed(shift)
    return inf if window is None else window.proved(task.confidence)


def _correction(task: Task, n: float) -> float:
    return 1 / (2 * n) if task.kind == _CORRECTED else 0.0


def _shift(task: Task, n: float) -> float:
    """Return what is learned of a colour that is not drawn."""
    learner = getattr(task.estimator, "learner", None)
    return 0.0 if learner is None else float(learner.share(np.zeros(1), n, 2)[0])


def listed_chance(task: Task, law: CountLaw) -> float | None:
    """Return P(|estimate − truth| ≤ error) by all outcomes of a law.

    None where they are too many, and of an estimator that raises on one of them.
    """
    with np.errstate(all="ignore"):
        try:
            found = listed_values(law, task.estimator, task.reference, task.target)
        except Exception:  # anybody's estimator
            return None
    if found is None:
        return None
    values, weights = found
    return float(min(1.0, weights[task.within(values)].sum()))
