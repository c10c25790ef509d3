"""An interval: what an estimate says of its own error."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Annotated

import numpy as np

from sim.contracts.arrays import Counts, Reference, Values
from sim.contracts.component import Component, Family
from sim.contracts.estimator import Estimator
from sim.divergences import Divergence


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
    """What every interval gives: bounds that hold the truth in a share `level` of trials."""

    @abstractmethod
    def bounds(
        self, estimator: Estimator, sample: Sample, level: float, rng: np.random.Generator
    ) -> Bounds:
        """Return the bounds of the estimator's estimates of `sample`."""


INTERVALS = Family("intervals", "interval")
AnyInterval = Annotated[Interval, INTERVALS]
