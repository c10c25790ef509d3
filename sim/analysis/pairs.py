"""Estimators on the same draws are held against each other, pair by pair, while trials stream by.

Where two estimates share their draws, most of what moves one moves the other: their difference,
and the ratio of their squared errors, are known far better than from two runs apart.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from math import isfinite
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from sim.analysis.comoments import Comoments
from sim.analysis.series import Series
from sim.tables import CONTROL

Floats = NDArray[np.float64]

SEEN = 3.0
"""Monte Carlo errors that ln of a ratio must be away from 0 to say which one is better."""

LEAST_TRIALS = 30
"""Below, an error of its own is not known well enough for that."""

CARRIED = 0.5
"""A relative error beyond that rests on the few largest of the squared errors: not told."""

_ROUNDING = 1e-15
_AT_ONCE = 2**13
"""Trials of pairs: what is worked on at a time fits the cache of a core."""

DIFFERENCE, EXCESS, FIRST, SECOND = range(4)
_TURNED = [DIFFERENCE, EXCESS, SECOND, FIRST]
_SIGNS = np.array([-1.0, -1.0, 1.0, 1.0])
"""What the four become where first and second change places."""


class Place(NamedTuple):
    """What the estimators of a group share: draws, a truth and a size."""

    bag: str
    model: str | None
    target: str
    size: int


@dataclass(frozen=True, eq=False)
class Pairs:
    """Every pair of a group of estimators, the first before the second; arrays of shape (pairs,).

    The moments are those of the difference of the estimates, of the excess of the first squared
    error over the second, and of both squared errors; over trials where both are finite.
    """

    labels: tuple[str, ...]
    truth: float
    moments: Comoments

    @cached_property
    def places(self) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """The places of first and second in `labels`."""
        first, second = np.triu_indices(len(self.labels), 1)
        return first, second

    def of(self, labels: Sequence[str]) -> Pairs:
        """Return the pairs of some of the labels, which stand in the order of these."""
        kept = np.array([label in labels for label in self.labels])
        first, second = self.places
        pairs = np.flatnonzero(kept[first] & kept[second])
        own = tuple(label for label in self.labels if label in labels)
        return self if own == self.labels else Pairs(own, self.truth, self.moments.picked(pairs))

    def merged(self, other: Pairs) -> Pairs:
        """Return these and the pairs of other parts, of labels that both have.

        Parts differ where an extension was cut short.
        """
        known = self.of(other.labels)
        new = other.of(self.labels).reordered(known.labels)
        return Pairs(known.labels, self.truth, known.moments.merged(new.moments))

    def reordered(self, labels: tuple[str, ...]) -> Pairs:
        """Return the same with the labels in another order: some pairs are turned round."""
        if labels == self.labels:
            return self
        places = np.array([self.labels.index(label) for label in labels])
        number = np.zeros((len(labels), len(labels)), dtype=np.int64)
        number[self.places] = np.arange(len(self.places[0]))
        first, second = places[np.stack(np.triu_indices(len(labels), 1))]
        kept = self.moments.picked(number[np.minimum(first, second), np.maximum(first, second)])
        return Pairs(labels, self.truth, kept.turned(first > second, _TURNED, _SIGNS))

    @property
    def trials(self) -> NDArray[np.int64]:
        """How many trials have a finite estimate of both."""
        return self.moments.number.astype(np.int64)

    @property
    def difference(self) -> Floats:
        """The mean of first − second: the difference of the biases; NaN where there is none."""
        return np.where(self._told, self.moments.mean[:, DIFFERENCE], np.nan)

    @property
    def difference_mcse(self) -> Floats:
        """The Monte Carlo standard error of `difference`, sd(d)/√R; 0 where d is one number."""
        squares = self.moments.products[:, DIFFERENCE, DIFFERENCE]
        rounding = self._rounding**2 * self.moments.number
        return np.sqrt(self._of_mean(np.where(squares <= rounding, 0.0, squares)))

    @property
    def _rounding(self) -> float:
        """What is nothing beside the estimates."""
        return _ROUNDING * max(1.0, abs(self.truth) if isfinite(self.truth) else 0.0)

    @cached_property
    def log_ratio(self) -> Floats:
        """The ln of the first mean squared error over the second; ±inf where one is 0."""
        _, excess, first, second = self._means
        near = np.abs(excess) < second / 2
        with np.errstate(all="ignore"):
            apart = np.log(first) - np.log(second)
            logs: Floats = np.where(near, np.log1p(excess / second), apart)
        return logs

    @property
    def mse_ratio(self) -> Floats:
        """The first mean squared error over the second; NaN where the second is 0."""
        second = self._means[SECOND]
        with np.errstate(all="ignore"):
            return np.where(second > 0, np.exp(self.log_ratio), np.nan)

    @property
    def mse_ratio_mcse(self) -> Floats:
        """The Monte Carlo standard error of `mse_ratio` by the delta method; NaN if CARRIED."""
        known = self.log_ratio_mcse <= CARRIED
        with np.errstate(all="ignore"):
            error = self.mse_ratio * self.log_ratio_mcse
        error = np.where(self._means[FIRST] == 0, 0 * self.mse_ratio, error)
        return np.where(known, error, np.nan)

    @cached_property
    def log_ratio_mcse(self) -> Floats:
        """The error of `log_ratio`: √([Var a/ā² + Var b/b̄² − 2 Cov/(ā b̄)]/R).

        Where both are alike, the same from the excess s = a − b: a − r b = s + (1 − r) b has no
        large terms that cancel. Where a mean is 0 its squared errors add nothing.
        """
        _, excess, first, second = self._means
        p = self.moments.products
        with np.errstate(all="ignore"):
            less = -excess / second
            alike = p[:, EXCESS, EXCESS] + 2 * less * p[:, EXCESS, SECOND]
            alike = (alike + less * less * p[:, SECOND, SECOND]) / (first * first)
            a = np.where(first > 0, 1 / first, 0.0)
            b = np.where(second > 0, 1 / second, 0.0)
            apart = p[:, FIRST, FIRST] * a * a + p[:, SECOND, SECOND] * b * b
            apart = apart - 2 * p[:, FIRST, SECOND] * a * b
            square = np.where(np.abs(excess) < second / 2, alike, apart)
            return np.sqrt(np.maximum(self._of_mean(square), 0.0))

    @cached_property
    def better(self) -> NDArray[np.int64]:
        """Which one has the smaller error: −1 the first, 1 the second, 0 if it cannot be told.

        By ln of the ratio, so that it does not matter which one stands first.
        """
        error = self.log_ratio_mcse
        with np.errstate(invalid="ignore"):
            told = (np.abs(self.log_ratio) > SEEN * error) & (error <= CARRIED)
        told &= self.moments.number >= LEAST_TRIALS
        sign = np.sign(np.where(told, self.log_ratio, 0.0))
        return sign.astype(np.int64)

    @property
    def _told(self) -> NDArray[np.bool_]:
        """Where there are errors at all: a finite truth, and a trial or more."""
        return (self.moments.number > 0) & isfinite(self.truth)

    @cached_property
    def _means(self) -> Floats:
        """Return the means of the four variables; a squared error that is rounding is 0."""
        means = np.where(self._told, self.moments.mean.T, np.nan)
        squares = means[FIRST:]
        squares[squares <= self._rounding**2] = 0.0
        return means

    def _of_mean(self, products: Floats) -> Floats:
        """Return the squared error of a mean from the squared deviations; NaN below two trials."""
        number = self.moments.number
        with np.errstate(all="ignore"):
            squared = products / (number - 1) / number
        return np.where(self._told & (number > 1), squared, np.nan)


def gather(batch: Iterable[Series]) -> Iterator[tuple[Place, list[Series]]]:
    """Yield what can be compared of the series of one part: two or more at the same place."""
    groups: dict[Place, list[Series]] = {}
    for one in batch:
        line = one.key.line
        if line.target != CONTROL:
            place = Place(line.bag, line.model, line.target, one.key.size)
            groups.setdefault(place, []).append(one)
    return ((place, group) for place, group in groups.items() if len(group) > 1)


def paired(group: Sequence[Series]) -> Pairs:
    """Return the pairs of the series of one place, which share their trials."""
    truth = group[0].truth
    origin = truth if isfinite(truth) else 0.0
    estimates = np.stack([one.estimate for one in group])
    finite = np.isfinite(estimates)
    whole = bool(finite.all())
    if not whole:
        estimates = np.where(finite, estimates, origin)
    errors = estimates - origin
    first, second = np.triu_indices(len(group), 1)
    step = max(1, _AT_ONCE // max(1, estimates.shape[1]))
    pieces = []
    for begin in range(0, len(first), step):
        i, j = first[begin : begin + step], second[begin : begin + step]
        counted = None if whole else finite[i] & finite[j]
        pieces.append(Comoments.of(_variables(estimates, errors, i, j), counted))
    joined = (np.concatenate(parts) for parts in zip(*map(_fields, pieces), strict=True))
    return Pairs(tuple(one.key.line.estimator for one in group), truth, Comoments(*joined))


def _fields(moments: Comoments) -> tuple[Floats, Floats, Floats]:
    return moments.number, moments.mean, moments.products


def _variables(
    estimates: Floats, errors: Floats, first: NDArray[np.int64], second: NDArray[np.int64]
) -> Floats:
    """Return difference, excess and both squared errors; shape (pairs, 4, trials)."""
    values = np.empty((len(first), 4, estimates.shape[1]))
    e, f = errors[first], errors[second]
    difference = np.subtract(estimates[first], estimates[second], out=values[:, DIFFERENCE])
    with np.errstate(over="ignore", invalid="ignore"):
        np.multiply(difference, e + f, out=values[:, EXCESS])
        np.multiply(e, e, out=values[:, FIRST])
        np.multiply(f, f, out=values[:, SECOND])
    return values
