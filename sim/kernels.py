"""How draws are made: probabilities and a stream go in, colours or counts come out."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator
from itertools import accumulate

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

_TINY_SHAPE = 0.1


def dirichlet(shapes: Floats, rng: np.random.Generator) -> Floats:
    """Return one draw of Dirichlet(shapes[i]) for each row; (trials, K) to (trials, K).

    Where a shape is tiny all gamma variables may underflow: then by logarithms, with
    G(a) = G(a + 1) U^(1/a).
    """
    alive = shapes > 0
    if shapes[alive].min() >= _TINY_SHAPE:
        gammas = rng.standard_gamma(shapes)
    else:
        most = shapes.max(axis=1, keepdims=True)  # the unit of the shapes: none underflows
        boosted = np.log(rng.standard_gamma(shapes + 1))
        with np.errstate(divide="ignore", over="ignore"):
            ratio = most / np.where(alive, shapes, 1)
            logs = most * boosted + np.log(1 - rng.random(shapes.shape)) * ratio
            logs[~alive] = -np.inf
            gammas = np.exp((logs - logs.max(axis=1, keepdims=True)) / most)
    return np.asarray(gammas / gammas.sum(axis=1, keepdims=True))


def pick(p: Floats, uniform: Floats) -> Ints:
    """Return the colour that each uniform number of [0, 1) falls on; shapes alike."""
    edges = np.cumsum(p)
    last = int(np.flatnonzero(p)[-1])  # rounding may leave the last edge below 1
    place = np.searchsorted(edges, uniform * edges[-1], side="right")
    return np.asarray(np.minimum(place, last))


def take_ball(bag: list[int], uniform: float) -> int:
    """Take one ball out of a list of balls, by a uniform number; the list's order changes."""
    place = int(uniform * len(bag))
    last = bag.pop()
    if place == len(bag):
        return last
    ball, bag[place] = bag[place], last
    return ball


class Picker:
    """Picks a colour by weights that stay for a while."""

    def __init__(self, weights: Floats) -> None:
        self.hold(weights)

    def hold(self, weights: Floats) -> None:
        """Take other weights, shape (K,)."""
        self.weights = weights
        self._edges = list(accumulate(weights.tolist()))
        self._last = int(np.flatnonzero(weights)[-1])

    def pick(self, uniform: float) -> int:
        """Return the colour that a uniform number of [0, 1) falls on."""
        place = bisect_right(self._edges, uniform * self._edges[-1])
        return min(place, self._last)  # rounding may pass the last edge


def uniforms(rng: np.random.Generator) -> Iterator[float]:
    """Yield uniform numbers of [0, 1) without end, drawn a batch at a time."""
    while True:
        yield from rng.random(256).tolist()
