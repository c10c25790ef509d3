"""Which places in sorted trials a quantile and its interval stand at."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import lru_cache
from math import ceil

import numpy as np
from numpy.typing import NDArray

from sim.exact.values import LEVELS
from sim.special import betainc, betaincc


def quantile_ranks(total: int, levels: Sequence[float] = LEVELS) -> list[int]:
    """Return for each of `levels` the least rank whose share of `total` reaches it; from 1."""
    return [max(1, ceil(level * total - 1e-9)) for level in levels]


@lru_cache(maxsize=1024)
def interval_ranks(
    total: int, level: float, levels: tuple[float, ...] = LEVELS
) -> tuple[tuple[int | None, int | None], ...]:
    """Return for each of `levels` the ranks l, u whose values hold the true quantile between them.

    With B ~ binomial(total, p): the largest l with P(B < l) ≤ (1 − level)/2 and the smallest u
    with P(B ≥ u) ≤ (1 − level)/2, so that P(x₍l₎ ≤ ξ ≤ x₍u₎) ≥ level for any law, one with atoms
    included (David & Nagaraja 2003, Order Statistics, 7.1). None where `total` is too small.
    """
    p = np.array(levels)
    tail = (1 - level) / 2
    number = len(levels)
    lower = _last(total, number, lambda rank: betaincc(rank, total - rank + 1, p) <= tail)
    upper = _last(total, number, lambda rank: betainc(rank, total - rank + 1, p) > tail) + 1
    return tuple(
        (low if low >= 1 else None, high if high <= total else None)
        for low, high in zip(lower.tolist(), upper.tolist(), strict=True)
    )


def _last(
    total: int, number: int, holds: Callable[[NDArray[np.int64]], NDArray[np.bool_]]
) -> NDArray[np.int64]:
    """Return the largest rank up to which each condition holds; 0 where it holds nowhere."""
    low = np.zeros(number, dtype=np.int64)
    high = np.full(number, total + 1, dtype=np.int64)
    while (high - low > 1).any():
        middle = (low + high) // 2
        inside = np.clip(middle, 1, total)
        good = holds(inside) & (middle >= 1) & (middle <= total)
        low, high = np.where(good, middle, low), np.where(good, high, middle)
    return low
