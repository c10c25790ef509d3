"""When has a bag trials enough? Its blocks go in, in their order; where it ends comes out."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from math import ceil, inf, isfinite, isnan
from typing import Any

from sim.analysis.adjustment import Adjustments
from sim.analysis.moments import Moments
from sim.analysis.series import Key, Line, Series
from sim.experiment import Experiment, Stop

LEAST_TRIALS = 2000
"""Before so many trials a Monte Carlo error is itself too uncertain to stop by."""


@dataclass
class Precision:
    """How well the biases of a bag are known after its first blocks, and whether that will do.

    It follows from these blocks alone: the same for any number of workers, interrupted or not.
    A cell whose truth is infinite has no bias and takes no part.
    """

    experiment: Experiment
    bag: str
    stop: Stop
    blocks: int = 0
    trials: int = 0
    worst: float = inf
    where: Key | None = None
    _cells: dict[Key, Moments] = field(default_factory=dict)

    def add(self, batch: list[Series]) -> None:
        """Take the series of the next block."""
        self.trials += self.experiment.kept(self.bag, self.blocks)
        self.blocks += 1
        self._adjustments.add(batch)
        for one in batch:
            if one.key.line in self._lines and isfinite(one.truth):
                finite = one.estimate[abs(one.estimate) < inf]
                self._cells.setdefault(one.key, Moments()).add(finite)
        errors = {key: self._bias_mcse(key) for key in self._cells}
        self.where = max(errors, key=errors.__getitem__, default=None)
        self.worst = 0.0 if self.where is None else errors[self.where]

    @cached_property
    def _adjustments(self) -> Adjustments:
        return Adjustments(self.experiment)

    @cached_property
    def _lines(self) -> set[Line]:
        cells = self.experiment.cells(self.bag)
        return {Line(self.bag, cell.model, cell.target.name, cell.label) for cell in cells}

    def _bias_mcse(self, key: Key) -> float:
        """Return the error of a cell's bias; infinite below two finite estimates.

        That of the adjusted bias where there is one: the control variates are exact.
        """
        adjusted = self._adjustments.of(key)
        error = self._cells[key].mean_mcse if adjusted is None else adjusted.mcse
        return inf if isnan(error) else error

    @property
    def reached(self) -> bool:
        """Whether every bias is known well enough."""
        return self.trials >= LEAST_TRIALS and self.worst <= self.stop.bias_mcse

    @property
    def over(self) -> bool:
        """Whether the bag ends here."""
        most = self.stop.max_trials
        return self.trials >= most or (self.trials >= self._least and self.reached)

    @property
    def _least(self) -> int:
        return min(max(self.experiment.trials, LEAST_TRIALS), self.stop.max_trials)

    @property
    def expected(self) -> int:
        """How many trials there will be, as far as is known now: errors fall like 1/√trials."""
        if self.over:
            return self.trials
        drawn = self.experiment.block_trials(self.bag)
        ratio = self.worst / self.stop.bias_mcse if isfinite(self.worst) else 1.0
        guess = min(self.trials * (ratio * ratio), self.stop.max_trials)
        needed = max(self._least, self.trials + 1, guess)
        return min(ceil(needed / drawn) * drawn, self.stop.max_trials)

    def facts(self) -> dict[str, Any]:
        """Return what is told of it: plain data, None for what is not known."""
        where = (
            None if self.where is None else self.where.line._asdict() | {"size": self.where.size}
        )
        return {
            "trials": self.trials,
            "reached": self.reached,
            "bias_mcse": self.worst if isfinite(self.worst) else None,
            "where": where,
        }


def precisions(experiment: Experiment) -> dict[str, Precision]:
    """Return what judges each bag; nothing where `stop` does not stand."""
    stop = experiment.stop
    return (
        {} if stop is None else {bag: Precision(experiment, bag, stop) for bag in experiment.bags}
    )
