"""Sums over colours of what follows from colour and count alone: each pair is worked out once."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Whole = NDArray[np.signedinteger[Any]]

Term = Callable[[Ints, Ints], Floats]
"""From counts and their colours, shapes alike, the number that each adds; elementwise."""

_FEW_COLOURS = 16
"""Up to so many, sums go column by column."""

_AT_ONCE = 2**15
"""Counts looked up at once: a few arrays of them stay in a core's own cache."""

_SEARCHED = 2**18
"""Counts of which most are 0 that are searched at once."""

_SPARSE = 16
"""So many more colours than draws: then only those that were drawn are looked at."""

_RARE = 8
"""Draws a colour below which a table begins at 0: to look for the least count would cost more."""


@dataclass(frozen=True, eq=False)
class Cells:
    """Counts, shape (trials, K), of `size` draws in each row; they may be held in few bytes.

    A row's sum is the same to the last bit whatever rows stand beside it.
    """

    held: Whole
    size: int
    _known: list[tuple[object, Floats]] = field(default_factory=list, init=False, repr=False)

    @cached_property
    def counts(self) -> Ints:
        """The counts as whoever is not a sum over colours reads them; nobody may write."""
        counts = self.held.astype(np.int64, copy=False).view()
        counts.flags.writeable = False
        return counts

    @classmethod
    def of(cls, counts: Ints) -> Cells | None:
        """Return the cells of counts; None where rows differ in their number of draws."""
        sizes = counts.sum(axis=-1)
        return cls(counts, int(sizes[0])) if len(sizes) and np.all(sizes == sizes[0]) else None

    def sums(self, term: Term, name: object = None) -> Floats:
        """Return Σ over colours of the term of each row, shape (trials,).

        What has a name is worked out once, whoever asks; names are compared, and nobody may
        write to their sums.
        """
        if name is None:
            return self._sums(term)
        for known, values in self._known:
            if known == name:
                return values
        values = self._sums(term)
        values.flags.writeable = False
        self._known.append((name, values))
        return values

    def _sums(self, term: Term) -> Floats:
        colours = self.held.shape[1]
        if colours == 2:
            return self._by_pair(term)
        if colours <= _FEW_COLOURS:
            return self._by_column(term)
        if _SPARSE * self.size < colours:
            zero = term(np.zeros(colours, dtype=np.int64), np.arange(colours))
            if np.isfinite(zero).all():
                parts = (_of_the_drawn(rows, zero, term) for rows in self._pieces(_SEARCHED))
                return np.concatenate([np.zeros(0), *parts])
        return np.concatenate([np.zeros(0), *self._by_table(term)])

    def _pieces(self, at_once: int) -> Iterator[Whole]:
        step = max(1, at_once // self.held.shape[1])
        for begin in range(0, len(self.held), step):
            yield self.held[begin : begin + step]

    def _by_pair(self, term: Term) -> Floats:
        """Of two colours the first count says both: one table of the sums."""
        first = self.held[:, 0]
        least, most = _ends(first)
        if most - least < len(first):
            return self._pairs(np.arange(least, most + 1), term).take(first - least)
        return self._pairs(first.astype(np.int64), term)

    def _pairs(self, first: Ints, term: Term) -> Floats:
        second, none = self.size - first, np.zeros_like(first)
        return np.asarray(term(first, none) + term(second, none + 1))

    def _by_column(self, term: Term) -> Floats:
        total = np.zeros(len(self.held))
        for colour, count in enumerate(self.held.T):
            least, most = _ends(count)
            if most - least < len(count):
                cells = np.arange(least, most + 1)
                total += term(cells, np.full_like(cells, colour)).take(count - least)
            else:
                cells = count.astype(np.int64)
                total += term(cells, np.full_like(cells, colour))
        return total

    def _by_table(self, term: Term) -> Iterator[Floats]:
        if self._ranges is None:
            colours = np.arange(self.held.shape[1])
            for rows in self._pieces(_AT_ONCE):
                terms = term(rows.astype(np.int64), np.broadcast_to(colours, rows.shape))
                yield np.ascontiguousarray(terms).sum(axis=1)
            return
        least, most = self._ranges
        table, first = _table(term, least, most)
        shift = (first - least).astype(self.held.dtype)
        for rows in self._pieces(_AT_ONCE):
            yield table.take(rows + shift).sum(axis=1)

    @cached_property
    def _ranges(self) -> tuple[Ints, Ints] | None:
        """Each colour's least and greatest count, shapes (K,); None where these are far apart."""
        if len(self.held) == 0:
            return None
        most = self.held.max(axis=0).astype(np.int64)
        rare = self.size < _RARE * len(most)
        least = np.zeros_like(most) if rare else self.held.min(axis=0).astype(np.int64)
        return (least, most) if np.sum(most - least + 1) <= self.held.size else None


def _ends(count: Whole) -> tuple[int, int]:
    return (int(count.min()), int(count.max())) if len(count) else (0, 0)


def _table(term: Term, least: Ints, most: Ints) -> tuple[Floats, Ints]:
    """Return the terms of all counts from least to most, and where those of a colour begin."""
    many = most - least + 1
    first = np.cumsum(many) - many
    colour = np.repeat(np.arange(len(many)), many)
    return term(np.arange(len(colour)) + (least - first)[colour], colour), first


def _of_the_drawn(rows: Whole, zero: Floats, term: Term) -> Floats:
    """Return the sums of rows in which few colours are drawn; `zero` is the term of no draw."""
    place = np.flatnonzero(rows != 0)  # of truths: ten times as fast as of counts
    row = place // rows.shape[1]
    colour = place - row * rows.shape[1]
    count = rows.reshape(-1).take(place).astype(np.int64)
    most = np.zeros(len(zero), dtype=np.int64)
    np.maximum.at(most, colour, count)
    table, first = _table(term, np.ones_like(most), most)
    more = table.take(first.take(colour) + (count - 1)) - zero.take(colour)
    return np.asarray(zero.sum() + np.bincount(row, more, minlength=len(rows)))


def sums_alike(terms: Floats, counts: Ints, size: Ints, zero: Callable[[], Floats]) -> Floats:
    """Return the sums of terms of rows of differing sizes, (trials, 1), added as `Cells` adds.

    `zero` gives the terms of the same rows were nothing drawn.
    """
    if counts.shape[1] <= _FEW_COLOURS:
        return np.asarray(0.0 + np.cumsum(terms, axis=1)[:, -1])  # as from 0: never −0
    total = np.ascontiguousarray(terms).sum(axis=1)
    sparse = np.flatnonzero(_SPARSE * size[:, 0] < counts.shape[1])
    if len(sparse):
        none = zero()[sparse]
        row, colour = np.nonzero(counts[sparse])
        more = (terms[sparse] - none)[row, colour]
        sums = none.sum(axis=1) + np.bincount(row, more, minlength=len(sparse))
        total[sparse] = np.where(np.isfinite(none).all(axis=1), sums, total[sparse])
    return np.asarray(total)
