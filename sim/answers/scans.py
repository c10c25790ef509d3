"""Any estimator at every size of a range, by all its outcomes; and how far such a scan proves.

Beyond the last size of a scan it is proved that the confidence is reached where P = Q is counted.
"""

from __future__ import annotations

from collections.abc import Callable
from math import exp, inf

import numpy as np

from sim.answers.outcomes import every_value, number_of
from sim.exact.task import Task

MOST_SCANNED = 6_000_000
"""Outcomes that a scan of all sizes lists: one to two seconds of work."""

_MOST_SLOW = 3_000


def chance(task: Task, n: int) -> float:
    """Return P(|estimate − truth| ≤ error) of n draws; exact."""
    found = every_value(task.law(n), task.estimator, task.reference, task.target)
    assert found is not None, "whoever scans has counted the outcomes"
    values, weights = found
    return float(min(1.0, weights[task.within(values)].sum()))


def affordable(task: Task, sizes: tuple[int, float]) -> bool:
    """Return whether all outcomes of all sizes, from the first to the last, can be listed."""
    first, last = sizes
    if last > 1e7:
        return False
    most = _MOST_SLOW if task.estimator.slow else MOST_SCANNED
    few = np.unique(np.linspace(first, last, 20).astype(np.int64)).tolist()
    each = [min(number_of(task.law(n)), most + 1) for n in few]
    return bool(np.mean(each) * (last - first + 1) <= most)


def counted_from(task: Task) -> float:
    """Return a size from which on three colours or more are proved; inf where none is known.

    Of the counted KL at P = Q: P(KL ≥ ε) ≤ e^−x (e·x/(K−1))^(K−1), x = nε > K−1 (Agrawal 2020),
    which falls with n.
    """
    is_counted = task.kind == "plug_in/relative_frequency" and task.target.name == "kl"
    if is_counted and len(task.p) > 2 and np.array_equal(task.p, task.q):
        freedom = len(task.p) - 1
        return _least(lambda n: _agrawal(n * task.error, freedom) <= 1 - task.confidence)
    return inf


def _least(holds: Callable[[float], bool]) -> float:
    """Return the least whole number, to a few in a thousand, that holds, and all beyond it."""
    high = 1.0
    while not holds(high):
        high *= 2
        if high > 1e12:
            return inf
    low = high / 2
    while high - low > max(1.0, high / 512):
        middle = float((low + high) // 2)
        low, high = (low, middle) if holds(middle) else (middle, high)
    return high


def _agrawal(x: float, freedom: int) -> float:
    return 1.0 if x <= freedom else exp(-x + freedom * (1 + np.log(x / freedom)))
