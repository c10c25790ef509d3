"""Which places in sorted trials a quantile and its interval stand at."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from math import ceil

import numpy as np
from numpy.typing import NDArray
from scipy.special import betainc, betaincc

from sim.exact.values import LEVELS


def quantile_ranks(total: int) -> list[int]:
    """Return for each of LEVELS the least rank whose share of `total` reaches it; from 1."""
    return [max(1, ceil(level * total - 1e-9)) for level in LEVELS]


@lru_cache(maxsize=1024)
def interval_ranks(total: int, level: float) -> tuple[tuple[int | None, int | None], ...]:
    """Return for each of LEVELS the ranks l, u whose values hold the true quantile between them.

    With B ~ binomial(total, p): the largest l with P(B < l) ≤ (1 − level)/2 and the smallest u
    with P(B ≥ u) ≤ (1 − level)/2, so that P(x₍l₎ ≤ ξ ≤ x₍u₎) ≥ level for any law, one with atoms
    included (David & Nagaraja 2003, Order Statistics, 7.1). None where `total` is too small.
    """
    p = np.array(LEVELS)
    tail = (1 - level) / 2
    lower = _last(total, lambda rank: betaincc(rank, total - rank + 1, p) <= tail)
    upper = _last(total, lambda rank: betainc(rank, total - rank + 1, p) > tail) + 1
    return tuple(
        (low if low >= 1 else None, high if high <= total else None)
        for low, high in zip(lower.tolist(), upper.tolist(), strict=True)
    )


def _last(total: int, holds: Callable[[NDArray[np.int64]], NDArray[np.bool_]]) -> NDArray[np.int64]:
    """Return the largest rank up to which each condition holds; 0 where it holds nowhere."""
    low = np.zeros(len(LEVELS), dtype=np.int64)
    high = np.full(len(LEVELS), total + 1, dtype=np.int64)
    while (high - low > 1).any():
        middle = (low + high) // 2
        inside = np.clip(middle, 1, total)
        good = holds(inside) & (middle >= 1) & (middle <= total)
        low, high = np.where(good, middle, low), np.where(good, high, middle)
    return low
