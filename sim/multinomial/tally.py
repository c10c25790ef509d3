"""Cumulative multinomial counts of many trials at once, size by size."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from sim.multinomial.alias import Floats, Ints, Whole
from sim.multinomial.ways import Split, ways

_FOUR_BYTES = 2**31
"""Where sizes end that fit four bytes."""


def multinomial_tally(
    p: Floats, sizes: Sequence[int], trials: int, rng: np.random.Generator
) -> Iterator[Ints]:
    """Yield cumulative multinomial counts, (trials, K), at each of the ascending sizes.

    `p` has shape (K,), or (trials, K) where each trial has its own.
    """
    for counts in narrow_tally(p, sizes, trials, rng):
        yield counts.astype(np.int64)


def narrow_tally(
    p: Floats, sizes: Sequence[int], trials: int, rng: np.random.Generator
) -> Iterator[Whole]:
    """Yield the same in four bytes a count, half of what must come from memory.

    The array is changed by the next step.
    """
    increments = tuple(size - before for before, size in zip((0, *sizes), sizes, strict=False))
    if p.ndim == 1:
        made = ways(p.astype(np.float64).tobytes(), increments)
    else:
        made = tuple(Split(m, p) for m in increments)
    counts = _zeros(trials, p.shape[-1], np.int32 if sizes[-1] < _FOUR_BYTES else np.int64)
    for way in made:
        way.add(counts, rng)
        yield counts


def _zeros(trials: int, colours: int, kind: type[np.signedinteger[Any]]) -> Whole:
    """Return counts of nothing; of two colours one column lies behind the other."""
    if colours == 2:
        return np.zeros((2, trials), dtype=kind).T
    return np.zeros((trials, colours), dtype=kind)
