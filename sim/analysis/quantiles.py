"""Exact quantiles of a stream too long to hold, by reading it three times.

Each pass narrows every wanted rank to the values that share more leading bits of their
floating-point form (a radix selection), so the memory does not grow with the stream.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from sim.analysis.ranks import interval_ranks, quantile_ranks

_BITS = (20, 42, 64)
PASSES = len(_BITS)

Keys = NDArray[np.uint64]
_TOP = np.uint64(1 << 63)


def ordered(values: NDArray[np.float64]) -> Keys:
    """Return whole numbers that sort as the values do; infinities take part."""
    bits = (values + 0.0).view(np.uint64)  # −0 becomes 0
    return np.where(bits & _TOP, ~bits, bits | _TOP)


def value_of(key: int) -> float:
    """Return the value of an ordered key."""
    bits = key & ~(1 << 63) if key >> 63 else ~key & (2**64 - 1)
    return float(np.array([bits], dtype=np.uint64).view(np.float64)[0])


class Quantiles:
    """The quantiles of one stream: `add` every batch, then `narrow`; PASSES times over.

    With a `level`, also an interval for each of them.
    """

    def __init__(self, level: float | None = None) -> None:
        self._level = level
        self._pass = 0
        self._prefixes = np.zeros(0, dtype=np.uint64)
        self._within: list[int] = []
        self._keys = np.zeros(0, dtype=np.uint64)
        self._numbers = np.zeros(0, dtype=np.int64)
        self._ranks: list[int] = []
        self._points: list[int] = []
        self._ends: tuple[tuple[int | None, int | None], ...] = ()

    def add(self, values: NDArray[np.float64]) -> None:
        """Take a batch: every value that is not NaN, the same in each pass."""
        keys = ordered(values)
        if self._pass:
            before = keys >> np.uint64(64 - _BITS[self._pass - 1])
            keys = keys[np.isin(before, np.unique(self._prefixes))]
        shorter = keys >> np.uint64(64 - _BITS[self._pass])
        unique, numbers = np.unique(shorter, return_counts=True)
        self._keys, place = np.unique(np.concatenate([self._keys, unique]), return_inverse=True)
        weights = np.concatenate([self._numbers, numbers])
        self._numbers = np.bincount(place, weights, len(self._keys)).astype(np.int64)

    def narrow(self) -> None:
        """Close a pass: find the prefix that holds each rank."""
        total = int(self._numbers.sum())
        if total == 0:
            return
        if self._pass == 0:
            self._ranks = self._wanted(total)
            self._within = self._ranks
        found, within = [], []
        for number, rank in enumerate(self._within):
            keys, numbers = self._under(number)
            below = np.cumsum(numbers)
            place = int(np.searchsorted(below, rank))
            found.append(keys[place])
            within.append(rank - int(below[place] - numbers[place]))
        self._prefixes, self._within = np.array(found, dtype=np.uint64), within
        self._pass += 1
        self._keys, self._numbers = self._keys[:0], self._numbers[:0]

    def _wanted(self, total: int) -> list[int]:
        """Return the ranks of the quantiles and of the ends of their intervals, each once."""
        self._points = quantile_ranks(total)
        self._ends = () if self._level is None else interval_ranks(total, self._level)
        ends = [rank for pair in self._ends for rank in pair if rank is not None]
        return sorted({*self._points, *ends})

    def _under(self, number: int) -> tuple[Keys, NDArray[np.int64]]:
        if self._pass == 0:
            return self._keys, self._numbers
        step = np.uint64(_BITS[self._pass] - _BITS[self._pass - 1])
        mine = (self._keys >> step) == self._prefixes[number]
        return self._keys[mine], self._numbers[mine]

    @property
    def values(self) -> list[float]:
        """The quantiles at LEVELS, the smallest value with F(value) ≥ level; [] without data."""
        return [self._at(rank) for rank in self._points] if self._pass == PASSES else []

    @property
    def intervals(self) -> list[tuple[float, float]]:
        """The interval of each quantile; NaN at an end for which there are too few values."""
        if self._pass < PASSES:
            return []
        return [(self._at(low), self._at(high)) for low, high in self._ends]

    def _at(self, rank: int | None) -> float:
        if rank is None:
            return float("nan")
        return value_of(int(self._prefixes[self._ranks.index(rank)]))
