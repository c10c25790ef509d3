"""Intervals from replicates: many numbers for each trial, whose spread is that of its estimate."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from sim.contracts.arrays import Counts, Reference, Values
from sim.contracts.interval import Bounds, Estimates, Interval, Sample

Streams = Sequence[np.random.Generator]
Trials = NDArray[np.int64]
"""Which trial each replicate is of, ascending."""

Shares = NDArray[Any]
"""Shares of a trial's replicates, shape (trials,), or one for all, ()."""

_TOGETHER = 2**19
"""Numbers held at once: several arrays of them stay below 64 MiB."""


class ReplicateInterval(Interval, ABC):
    """An interval from `number` replicates of each trial, drawn trial after trial.

    From two samples each has a child stream of its own. However the work is cut, the bits of
    a trial follow from the trials before it alone.
    """

    random: ClassVar[bool] = True

    @property
    @abstractmethod
    def number(self) -> int:
        """How many replicates there are of each trial."""

    @abstractmethod
    def replicates(
        self, estimator: Estimates, sample: Sample, of: Trials, streams: Streams
    ) -> Values:
        """Return a replicate of each trial in `of`; shape alike."""

    def shares(
        self, estimator: Estimates, sample: Sample, ordered: Values, level: float
    ) -> tuple[Shares, Shares]:
        """Return which shares of the `ordered` replicates, (trials, number), lie below the ends.

        By default equal tails. A share that is NaN leaves the trial without an interval.
        """
        return np.asarray((1 - level) / 2), np.asarray((1 + level) / 2)

    def bounds(
        self, estimator: Estimates, sample: Sample, level: float, rng: np.random.Generator
    ) -> Bounds:
        """Return the standard deviation and two quantiles of each trial's replicates.

        Quantiles are values of the inverse distribution function; infinite replicates take part
        in them. A trial with an undefined replicate has no interval.
        """
        streams = [rng] if sample.reference.counts is None else rng.spawn(2)
        trials, step = len(sample.counts), max(1, _TOGETHER // self.number)
        ends = np.empty((3, trials))
        for begin in range(0, trials, step):
            rows = slice(begin, begin + step)
            some = Sample(sample.counts[rows], sample.reference.rows(rows), sample.target)
            ordered = np.sort(self._drawn(estimator, some, streams), axis=1)
            low, high = self.shares(estimator, some, ordered, level)
            ends[:, rows] = _sd(ordered), _ranked(ordered, low), _ranked(ordered, high)
        return Bounds(*ends)

    def _drawn(self, estimator: Estimates, sample: Sample, streams: Streams) -> Values:
        total = len(sample.counts) * self.number
        step = max(1, _TOGETHER // sample.counts.shape[1])
        values = np.empty(total)
        for begin in range(0, total, step):
            of = np.arange(begin, min(total, begin + step)) // self.number
            values[begin : begin + step] = self.replicates(estimator, sample, of, streams)
        return values.reshape(-1, self.number)


class BootstrapInterval(ReplicateInterval, ABC):
    """An interval from estimates of counts that are drawn anew, multinomial with p̂.

    Where Q is only counted, its counts are drawn anew too.
    """

    resamples: int = Field(default=999, ge=99, le=99_999)

    @property
    def number(self) -> int:
        """How many times each trial is drawn anew."""
        return self.resamples

    def replicates(
        self, estimator: Estimates, sample: Sample, of: Trials, streams: Streams
    ) -> Values:
        """Return the estimates of counts drawn anew."""
        reference = sample.reference
        counts = _drawn_anew(sample.counts, of, streams[0])
        if reference.counts is not None:
            reference = Reference.counted(_drawn_anew(reference.counts, of, streams[1]))
        return estimator.estimate(counts, reference, sample.target)


def _drawn_anew(counts: Counts, of: Trials, rng: np.random.Generator) -> Counts:
    size = counts.sum(axis=1)
    drawn = rng.multinomial(size[of], (counts / size[:, np.newaxis])[of])
    # numpy gives what rounding leaves over to the last colour, even one that has no part
    stray = np.where(counts[of, -1] == 0, drawn[:, -1], 0)
    if stray.any():
        drawn[:, -1] -= stray
        drawn[np.arange(len(of)), counts.argmax(axis=1)[of]] += stray
    return drawn


def _sd(values: Values) -> Values:
    """Return the standard deviation of what is finite in each row; NaN below two values."""
    finite = np.isfinite(values)
    number = finite.sum(axis=1)
    kept = np.where(finite, values, 0.0)
    away = np.where(finite, values - (kept.sum(axis=1) / np.maximum(number, 1))[:, np.newaxis], 0.0)
    square = (away * away).sum(axis=1) / np.maximum(number - 1, 1)
    return np.where(number > 1, np.sqrt(square), np.nan)


def _ranked(ordered: Values, share: Shares) -> Values:
    """Return the smallest value of each ordered row with at least that share at or below it."""
    number = ordered.shape[1]
    known = np.broadcast_to(np.nan_to_num(share), len(ordered))
    rank = np.clip(np.ceil(known * number - 1e-9), 1, number).astype(np.int64)
    values = ordered[np.arange(len(ordered)), rank - 1]
    missing = np.isnan(ordered[:, -1]) | np.isnan(share)  # NaN is sorted last
    return np.where(missing, np.nan, values)
