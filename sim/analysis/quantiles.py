"""Exact quantiles of a stream too long to hold, by reading it three times.

Each pass narrows every wanted rank to the values that share more leading bits of their
floating-point form (a radix selection), so the memory does not grow with the stream.
"""

from __future__ import annotations

from math import ceil

import numpy as np
from numpy.typing import NDArray

LEVELS = (0.05, 0.25, 0.5, 0.75, 0.95)
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
    """The quantiles of one stream: `add` every batch, then `narrow`; PASSES times over."""

    def __init__(self) -> None:
        self._pass = 0
        self._prefixes = np.zeros(len(LEVELS), dtype=np.uint64)
        self._ranks = np.zeros(len(LEVELS), dtype=np.int64)
        self._keys = np.zeros(0, dtype=np.uint64)
        self._numbers = np.zeros(0, dtype=np.int64)
        self._values: list[float] = []

    def add(self, values: NDArray[np.float64]) -> None:
        """Take a batch: every value that is not NaN, the same in each pass."""
        keys = ordered(values)
        if self._pass:
            before = keys >> np.uint64(64 - _BITS[self._pass - 1])
            keys = keys[np.isin(before, self._prefixes)]
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
            self._ranks = np.array([max(1, ceil(level * total - 1e-9)) for level in LEVELS])
        found = np.zeros(len(LEVELS), dtype=np.uint64)
        for number, rank in enumerate(self._ranks.tolist()):
            keys, numbers = self._within(number)
            below = np.cumsum(numbers)
            place = int(np.searchsorted(below, rank))
            found[number] = keys[place]
            self._ranks[number] = rank - (below[place] - numbers[place])
        self._prefixes = found
        self._pass += 1
        self._keys, self._numbers = self._keys[:0], self._numbers[:0]
        if self._pass == PASSES:
            self._values = [value_of(key) for key in found.tolist()]

    def _within(self, number: int) -> tuple[Keys, NDArray[np.int64]]:
        if self._pass == 0:
            return self._keys, self._numbers
        step = np.uint64(_BITS[self._pass] - _BITS[self._pass - 1])
        mine = (self._keys >> step) == self._prefixes[number]
        return self._keys[mine], self._numbers[mine]

    @property
    def values(self) -> list[float]:
        """The quantiles at LEVELS, the smallest value with F(value) ≥ level; [] without data."""
        return self._values
