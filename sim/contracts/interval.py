"""An interval: what an estimate says of its own error."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar, Protocol

import numpy as np
from numpy.typing import NDArray

from sim.contracts.arrays import Counts, Reference, Values
from sim.contracts.component import Component, Family
from sim.divergences import KL, Divergence

_SLACK = 1e-15
"""Nats that rounding may put an end on the wrong side of the truth by."""


class Estimates(Protocol):
    """What an interval asks of an estimator."""

    def estimate(self, counts: Counts, reference: Reference, target: Divergence) -> Values:
        """Return the estimates, shape (trials,); nats."""


class Listable(Estimates, Protocol):
    """What is asked of an estimator whose estimates are listed."""

    @property
    def slow(self) -> bool:
        """Whether an estimate takes a millisecond rather than a microsecond."""


@dataclass(frozen=True, eq=False)
class Sample:
    """What an interval is made from: counts, what is known of Q, and what is estimated."""

    counts: Counts
    reference: Reference
    target: Divergence


@dataclass(frozen=True, eq=False)
class Bounds:
    """Standard error, lower and upper bound for each trial; nats; NaN where not given."""

    se: Values
    lower: Values
    upper: Values


class Interval(Component, ABC):
    """What every interval gives: bounds that hold the truth in a share `level` of trials.

    `serves` names the targets that it can be had for, `renyi(a)` for every order, None for
    all. A `random` one draws from the stream that it is given, trial after trial: the bounds
    of the first trials do not depend on how many follow. Any other follows from the sample.
    """

    serves: ClassVar[frozenset[str] | None] = None
    one_sample: ClassVar[bool] = True
    """Whether it can be had where Q is known."""
    two_samples: ClassVar[bool] = True
    """Whether it can be had where Q is only known through counts."""
    random: ClassVar[bool] = False
    """Whether it draws, and so has no exact coverage."""

    def misfit(self, target: Divergence, colours: int, *, counted: bool) -> str | None:
        """Say why it cannot be had for a target of so many colours; None where it can."""
        name = "renyi(a)" if target.name.startswith("renyi(") else target.name
        if self.serves is not None and name not in self.serves:
            return f"{self.kind} serves {', '.join(sorted(self.serves))}; not {target.name}"
        if not (self.two_samples if counted else self.one_sample):
            form = "a known Q only" if counted else "a Q known through counts only"
            return f"{self.kind} takes {form}"
        return None

    @abstractmethod
    def bounds(
        self, estimator: Estimates, sample: Sample, level: float, rng: np.random.Generator
    ) -> Bounds:
        """Return the bounds of the estimator's estimates of `sample`."""


def counted_kl(sample: Sample) -> Values:
    """Return KL(p̂‖q) of the counts, Q known; shape (trials,)."""
    return KL(sample.counts / sample.counts.sum(axis=-1, keepdims=True), sample.reference.q)


def each_once(
    rows: NDArray[Any], ends: Callable[[NDArray[Any]], tuple[Values, Values]]
) -> tuple[Values, Values]:
    """Return the ends of each row, worked out once for all rows that are the same."""
    unique, place = np.unique(rows, axis=0, return_inverse=True)
    lower, upper = ends(unique)
    return lower[place.ravel()], upper[place.ravel()]


def without_error(lower: Values, upper: Values) -> Bounds:
    """Return bounds that come without a standard error."""
    return Bounds(np.full(len(lower), np.nan), lower, upper)


def covers(lower: Values, upper: Values, truth: float) -> NDArray[np.bool_]:
    """Return which intervals hold the truth; one that is not given (NaN) does not."""
    return (lower - _SLACK <= truth) & (truth <= upper + _SLACK)


INTERVALS = Family("intervals", "interval", bare=True)
AnyInterval = Annotated[Interval, INTERVALS]
