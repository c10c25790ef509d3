"""Whole trials resampled while they stream by, so that sizes keep the draws they share.

Each trial is taken Poisson(1) times in each replicate (the Poisson bootstrap: Hanley &
MacGibbon 2006; Chamandy et al. 2012). A trial's numbers follow from the experiment's seed,
the bag and the block: any cell, size and order of reading sees the same replicates.
"""

from __future__ import annotations

from math import exp, factorial

import numpy as np
from numpy.typing import NDArray

from sim.analysis.replicates import REPLICATES, Floats, Replicate
from sim.analysis.series import Key, Series
from sim.experiment import Experiment

_AT_ONCE = 64

_PLACES = 2**16
_MOST = 24
"""A number that Poisson(1) exceeds once in 10²⁵ times."""
_STEPS = np.cumsum([_PLACES * exp(-1) / factorial(number) for number in range(_MOST)])
_SPLIT = 255
_FIRST = np.searchsorted(_STEPS, np.arange(_PLACES), side="right").astype(np.uint8)
_FIRST[_STEPS[_STEPS < _PLACES].astype(np.int64)] = _SPLIT
"""The number for each of 2¹⁶ places of a uniform variable; SPLIT where two or more share it."""


class Resampling:
    """The replicates of every cell; `add` each part's series."""

    def __init__(self, experiment: Experiment) -> None:
        self._experiment = experiment
        self.cells: dict[Key, Replicate] = {}

    def add(self, batch: list[Series]) -> None:
        """Take the series of one part: they share their trials."""
        if not batch:
            return
        weights = self._weights(batch[0])
        for begin in range(0, len(batch), _AT_ONCE):
            self._take(batch[begin : begin + _AT_ONCE], weights)

    def _weights(self, one: Series) -> Floats:
        """Return how often each trial of a part is taken; shape (REPLICATES, trials)."""
        bag = one.key.line.bag
        index = int(one.trial[0]) // self._experiment.block_trials(bag)
        rng = self._experiment.stream(bag, "resampling", index=index)
        numbers = _poisson((len(one.trial), REPLICATES), rng)
        return np.ascontiguousarray(numbers.T, dtype=np.float64)

    def _take(self, batch: list[Series], weights: Floats) -> None:
        estimates = np.stack([one.estimate for one in batch]).T
        finite = np.isfinite(estimates)
        whole = bool(finite.all())
        if not whole:
            estimates = np.where(finite, estimates, 0.0)
        pivots = estimates.sum(axis=0) / np.maximum(finite.sum(axis=0), 1)
        d = estimates - pivots
        d = d if whole else np.where(finite, d, 0.0)
        weight = weights.sum(axis=1)[:, None] if whole else weights @ finite.astype(np.float64)
        sums = (
            np.broadcast_to(weight, (REPLICATES, len(batch))),
            weights @ d,
            weights @ (d * d),
        )
        for place, one in enumerate(batch):
            own = (column[:, place].copy() for column in sums)
            self._keep(one.key, Replicate(float(pivots[place]), *own))

    def merge(self, other: Resampling) -> None:
        """Take the replicates of further parts."""
        for key, one in other.cells.items():
            self._keep(key, one)

    def _keep(self, key: Key, one: Replicate) -> None:
        if key in self.cells:
            self.cells[key].merge(one)
        else:
            self.cells[key] = one


def _poisson(shape: tuple[int, int], rng: np.random.Generator) -> NDArray[np.uint8]:
    """Return Poisson(1) numbers, row by row; what comes first does not follow from the rows.

    By inversion of a uniform variable of 16 bits; where these do not tell, of 53 more.
    """
    (more,) = rng.spawn(1)
    places = rng.integers(0, _PLACES, size=shape, dtype=np.uint16)
    numbers = _FIRST[places]
    split = np.nonzero(numbers == _SPLIT)
    exact = places[split] + more.random(len(split[0]))
    numbers[split] = np.searchsorted(_STEPS, exact, side="right")
    return numbers
