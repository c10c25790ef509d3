"""The trials of two results side by side, part by part: what differs on the same random numbers.

Each trial of the one is held against the trial of the same number of the other. Trials are
independent of each other whatever two of the same number share, so that the error of a mean
difference is that of a plain mean.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from math import isfinite, nan, sqrt

import numpy as np
from numpy.typing import NDArray

from sim.analysis.pairs import DIFFERENCE, EXCESS, FIRST, SECOND, Pairs, paired
from sim.analysis.series import Key, Series
from sim.contracts.interval import covers

Flags = NDArray[np.bool_]


@dataclass
class Switches:
    """How often something was so in one result only: a trial alike in both tells no difference."""

    first_only: int = 0
    second_only: int = 0
    both: int = 0
    trials: int = 0

    def add(self, first: Flags, second: Flags) -> None:
        """Take trials, shape (trials,)."""
        self.first_only += int(np.count_nonzero(first & ~second))
        self.second_only += int(np.count_nonzero(second & ~first))
        self.both += int(np.count_nonzero(first & second))
        self.trials += len(first)

    @property
    def shares(self) -> tuple[float, float]:
        """How often it was so in the first and in the second; NaN without a trial."""
        if self.trials == 0:
            return nan, nan
        first, second = self.both + self.first_only, self.both + self.second_only
        return first / self.trials, second / self.trials


@dataclass
class Cell:
    """What two results say of one cell, over the trials that both have.

    The pairs are (second, first): their difference is the second less the first.
    """

    pairs: Pairs | None = None
    bias: float = 0.0
    """The bias of the first, over the trials where both are finite."""
    infinite: Switches = field(default_factory=Switches)
    covered: Switches = field(default_factory=Switches)

    def add(self, first: Series, second: Series) -> None:
        """Take the same trials of both."""
        finite = np.isfinite(first.estimate) & np.isfinite(second.estimate)
        before = 0 if self.pairs is None else int(self.pairs.trials[0])
        found = paired([second, first])
        self.pairs = found if self.pairs is None else self.pairs.merged(found)
        if finite.any() and isfinite(first.truth):
            mean = float((first.estimate[finite] - first.truth).mean())
            number = int(np.count_nonzero(finite))
            self.bias += (mean - self.bias) * number / (before + number)
        answered = ~(np.isnan(first.estimate) | np.isnan(second.estimate))
        self.infinite.add(np.isinf(first.estimate[answered]), np.isinf(second.estimate[answered]))
        if first.bounds is not None and second.bounds is not None:
            self.covered.add(_covers(first), _covers(second))

    @property
    def errors(self) -> dict[str, tuple[float, float]]:
        """Bias and rmse of the first and of the second, over the trials that both have."""
        assert self.pairs is not None
        mean = self.pairs.moments.mean[0]
        if not self.pairs.trials[0] or not isfinite(self.pairs.truth):
            return dict.fromkeys(("bias", "rmse"), (nan, nan))
        second, first = np.sqrt(mean[[FIRST, SECOND]]).tolist()
        return {"bias": (self.bias, self.bias + float(mean[DIFFERENCE])), "rmse": (first, second)}

    @property
    def excess(self) -> tuple[float, float]:
        """The second mean square less the first, and its Monte Carlo error."""
        assert self.pairs is not None
        moments, number = self.pairs.moments, float(self.pairs.trials[0])
        squares = max(0.0, float(moments.products[0, EXCESS, EXCESS]))
        return float(moments.mean[0, EXCESS]), sqrt(squares / (number - 1) / number)

    def rmse_difference(self) -> tuple[float, float]:
        """Return the second rmse less the first, and its error by the delta method.

        It is that of the mean of (f² − e²)/(2 rmse_f) + e² [1/(2 rmse_f) − 1/(2 rmse_e)].
        """
        assert self.pairs is not None
        moments, number = self.pairs.moments, float(self.pairs.trials[0])
        second, first = np.sqrt(moments.mean[0, [FIRST, SECOND]]).tolist()
        if number < 2 or min(second, first) == 0:
            return second - first, nan
        weights = np.zeros(len(moments.mean[0]))
        weights[EXCESS] = 1 / (2 * second)
        weights[SECOND] = 1 / (2 * second) - 1 / (2 * first)
        squares = float(weights @ moments.products[0] @ weights)
        return second - first, sqrt(max(0.0, squares) / (number - 1) / number)


class Together:
    """The cells of two results that share their random numbers; `add` part after part.

    `units` is by target how many units of the first one unit of the second is.
    """

    def __init__(self, units: Mapping[str, float]) -> None:
        self.cells: dict[Key, Cell] = {}
        self._units = units

    def add(self, first: Iterable[Series], second: Iterable[Series]) -> None:
        """Take the parts of one block of both: what only one has is left out."""
        others = {one.key: one for one in second}
        for one in first:
            other = others.get(one.key)
            if other is not None and not one.key.line.is_control:
                number = min(len(one.trial), len(other.trial))
                unit = self._units.get(one.key.line.target, 1.0)
                self.cells.setdefault(one.key, Cell()).add(
                    _cut(one, number, 1.0), _cut(other, number, unit)
                )


def _cut(one: Series, number: int, unit: float) -> Series:
    """Return the first trials of a series, in another unit."""
    bounds = None if one.bounds is None else one.bounds[:, :number] * unit
    estimate = one.estimate[:number] * unit
    return replace(
        one, trial=one.trial[:number], estimate=estimate, truth=one.truth * unit, bounds=bounds
    )


def _covers(one: Series) -> Flags:
    assert one.bounds is not None
    lower, upper = one.bounds
    return np.asarray(covers(lower, upper, one.truth))
