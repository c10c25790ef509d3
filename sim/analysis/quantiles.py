"""Exact quantiles of a stream too long to hold, by reading it once where its values are few.

Where there are many, each pass narrows every wanted rank to the values that share more leading
bits of their floating-point form (a radix selection), so the memory does not grow with the
stream. Five passes are always enough.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from sim.analysis.ranks import interval_ranks, quantile_ranks
from sim.exact.values import LEVELS

_BITS = (20, 32, 44, 56, 64)
PASSES = len(_BITS)
"""The most that a stream has to be read."""

FEW = 2**11
"""So many different values are kept whole, 16 bytes each; more only by their leading bits."""

Keys = NDArray[np.uint64]
Numbers = NDArray[np.int64]
_TOP = np.uint64(1 << 63)


def ordered(values: NDArray[np.float64]) -> Keys:
    """Return whole numbers that sort as the values do; infinities take part."""
    bits = (values + 0.0).view(np.uint64)  # −0 becomes 0
    return np.where(bits & _TOP, ~bits, bits | _TOP)


def value_of(key: int) -> float:
    """Return the value of an ordered key."""
    return float(values_of(np.array([key], dtype=np.uint64))[0])


def values_of(keys: Keys) -> NDArray[np.float64]:
    """Return the values of ordered keys."""
    return np.where(keys & _TOP, keys & ~_TOP, ~keys).view(np.float64)


def distinct(values: NDArray[np.float64]) -> tuple[Keys, Numbers]:
    """Return the different keys of values, ascending, and how often each came."""
    keys = np.sort(ordered(values), kind="stable")  # of whole numbers, the fastest there is
    return _grouped(keys, np.ones(len(keys), dtype=np.int64))


class Quantiles:
    """The quantiles of one stream: `add` every batch, then `narrow`, until it is `done`.

    They stand at `levels`; with a `level`, also an interval for each of them. Parts of a stream
    may be added elsewhere and `merge`d: what is kept are whole numbers, so the order does not
    matter.
    """

    def __init__(
        self,
        level: float | None = None,
        few: int = FEW,
        levels: tuple[float, ...] = LEVELS,
    ) -> None:
        self.done = False
        self._level, self._few, self._levels = level, few, levels
        self._pass = 0
        self._prefixes = np.zeros(0, dtype=np.uint64)
        self._within = np.zeros(0, dtype=np.int64)
        self._ranks: list[int] = []
        self._points: list[int] = []
        self._ends: tuple[tuple[int | None, int | None], ...] = ()
        self._clear()

    def _clear(self) -> None:
        self._bits = 64
        self._keys = np.zeros(0, dtype=np.uint64)
        self._numbers = np.zeros(0, dtype=np.int64)

    def add(self, values: NDArray[np.float64]) -> None:
        """Take a batch: every value that is not NaN, the same in each pass."""
        self.take(*distinct(values))

    def take(self, keys: Keys, numbers: Numbers) -> None:
        """Take a batch as the keys of its values, in any order, and how often each came."""
        if self._pass:
            before = keys >> np.uint64(64 - _BITS[self._pass - 1])
            wanted = np.isin(before, self._prefixes)
            keys, numbers = keys[wanted], numbers[wanted]
        self._count(_cut(keys, 64, self._bits), numbers)
        if len(self._keys) > self._few:
            self._shorten(_BITS[self._pass])

    def empty(self) -> Quantiles:
        """Return one that looks for the same in this pass, and has seen nothing yet."""
        other = Quantiles(self._level, self._few, self._levels)
        other._pass, other._prefixes = self._pass, self._prefixes
        return other

    def merge(self, other: Quantiles) -> None:
        """Take what another found of other parts of the stream in the same pass."""
        self._shorten(min(self._bits, other._bits))
        other._shorten(self._bits)
        self._count(other._keys, other._numbers)
        if len(self._keys) > self._few:
            self._shorten(_BITS[self._pass])

    def _count(self, keys: Keys, numbers: Numbers) -> None:
        """Add to what is kept: keys in any order, and how often each came."""
        every = np.concatenate([self._keys, keys])
        order = np.argsort(every, kind="stable")
        numbers = np.concatenate([self._numbers, numbers])
        self._keys, self._numbers = _grouped(every[order], numbers[order])

    def _shorten(self, bits: int) -> None:
        """Keep no more than so many leading bits of the keys."""
        if bits < self._bits:
            cut = _cut(self._keys, self._bits, bits)
            self._keys, self._numbers = _grouped(cut, self._numbers)
            self._bits = bits

    def narrow(self) -> None:
        """Close a pass: find the key that holds each rank."""
        if self.done:
            return
        if self._pass == 0:
            self._ranks = self._wanted(int(self._numbers.sum()))
            self._within = np.array(self._ranks, dtype=np.int64)
        found, within = np.zeros(len(self._ranks), dtype=np.uint64), self._within.copy()
        for here, keys, numbers in self._under():
            below = np.cumsum(numbers)
            places = np.searchsorted(below, self._within[here])
            found[here] = keys[places]
            within[here] -= (below - numbers)[places]
        self._prefixes, self._within = found, within
        self._pass += 1
        self.done = self._bits == 64
        self._clear()

    def _wanted(self, total: int) -> list[int]:
        """Return the ranks of the quantiles and of the ends of their intervals, each once."""
        if total == 0:
            return []
        self._points = quantile_ranks(total, self._levels)
        self._ends = ()
        if self._level is not None:
            self._ends = interval_ranks(total, self._level, self._levels)
        ends = [rank for pair in self._ends for rank in pair if rank is not None]
        return sorted({*self._points, *ends})

    def _under(self) -> Iterator[tuple[NDArray[np.bool_], Keys, Numbers]]:
        """Yield which ranks lie among the same keys, these, and how often each came."""
        if self._pass == 0:
            yield np.ones(len(self._ranks), dtype=np.bool_), self._keys, self._numbers
            return
        before = _cut(self._keys, self._bits, _BITS[self._pass - 1])
        for prefix in np.unique(self._prefixes):
            mine = before == prefix
            yield self._prefixes == prefix, self._keys[mine], self._numbers[mine]

    @property
    def values(self) -> list[float]:
        """The quantiles at `levels`, the smallest value with F(value) ≥ level; [] without data."""
        return [self._at(rank) for rank in self._points] if self.done else []

    @property
    def intervals(self) -> list[tuple[float, float]]:
        """The interval of each quantile; NaN at an end for which there are too few values."""
        return [(self._at(low), self._at(high)) for low, high in self._ends] if self.done else []

    def _at(self, rank: int | None) -> float:
        if rank is None:
            return float("nan")
        return value_of(int(self._prefixes[self._ranks.index(rank)]))


def _cut(keys: Keys, bits: int, fewer: int) -> Keys:
    """Return the leading bits of keys that have so many."""
    return keys >> np.uint64(bits - fewer)


def _grouped(keys: Keys, numbers: Numbers) -> tuple[Keys, Numbers]:
    """Return the different ones of ascending keys, and how often each came in all."""
    if len(keys) == 0:
        return keys, numbers
    firsts = np.flatnonzero(np.append(True, keys[1:] != keys[:-1]))
    return keys[firsts], np.add.reduceat(numbers, firsts)
