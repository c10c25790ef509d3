"""A few trials before any run: what they cost, what they weigh, and what they show.

A pilot draws no whole blocks, writes nothing, and grows until it has trials enough or its time is
up. Estimators that are far slower than the others have a pilot of their own.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from time import perf_counter
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from sim.experiment import Experiment
from sim.loop.crew import Block
from sim.loop.scrutiny import computing
from sim.store.coverage import header
from sim.store.parts import encode
from sim.tables import CONTROL
from sim.trials import Drawn, block_rows, few_draws

ENOUGH = 1024
"""Trials from which an sd is known to some 3 %, to 6 % where tails are long."""

_FIRST = 2
_GROWTH = 8


@dataclass(frozen=True)
class Curve:
    """A cost by the trials of a block: straight between what was measured, and beyond it."""

    trials: Sequence[int]
    costs: Sequence[float]

    def at(self, trials: int) -> float:
        """Return the cost of a block of so many trials."""
        if trials <= self.trials[-1]:
            return float(np.interp(trials, self.trials, self.costs))
        return self.costs[-1] + (trials - self.trials[-1]) * self._slope

    @property
    def _slope(self) -> float:
        """What a trial more costs: by the last two measures, where these can tell."""
        if len(self.trials) > 1:
            rise = (self.costs[-1] - self.costs[-2]) / (self.trials[-1] - self.trials[-2])
            if rise > 0:
                return rise
        return self.costs[-1] / self.trials[-1]


@dataclass(frozen=True, eq=False)
class Pilot:
    """A bag's pilot with some of its estimators: its rows, block by block, and costs by trials.

    The curves say for a block of so many trials: seconds to draw it, seconds of all else until
    it is a part, and bytes of the part.
    """

    experiment: Experiment
    bag: str
    trials: int
    blocks: Sequence[pa.Table]
    drawing: Curve
    estimating: Curve
    weight: Curve

    def read(self, columns: Sequence[str] | None = None) -> Iterator[pa.Table]:
        """Yield the rows of each block, as the parts of a run do."""
        return (rows if columns is None else rows.select(columns) for rows in self.blocks)


def pilots(experiment: Experiment, bag: str, patience: float) -> list[Pilot]:
    """Return the pilots of a bag: of all estimators, or of the fast ones and of the slow ones.

    No step is begun that would, by the last one, take more than `patience` seconds. Raises
    BlockFailed where the bag cannot be drawn from.
    """
    alone = experiment.model_copy(update={"bags": {bag: experiment.bags[bag]}, "stop": None})
    with computing(Block(bag, 0)):
        slow = _slow(alone, bag, patience)
        fast = [label for label in alone.estimators if label not in slow]
        groups = [_with(alone, fast, alone.learners), _with(alone, slow, {})]
        known = [group for group in groups if group.cells(bag)]
        return [_pilot(group, bag, patience, beside=group is not known[0]) for group in known]


def _with(
    experiment: Experiment, labels: Sequence[str], learners: Mapping[str, object]
) -> Experiment:
    """Return the experiment with these estimators and learners only."""
    kept = {label: experiment.estimators[label] for label in labels}
    return experiment.model_copy(update={"estimators": kept, "learners": learners})


def _slow(experiment: Experiment, bag: str, patience: float) -> list[str]:
    """Return the estimators of which a pilot of enough trials takes a good part of the time.

    By what three trials more take: the first one pays for all that does not grow with them.
    """
    timers = [_timer(experiment, bag, trials) for trials in (1, 4)]

    def more(label: str) -> float:
        one, four = (min(timer(label), timer(label)) for timer in timers)
        return (four - one) / 3

    most = patience / 2 / ENOUGH
    seeming = [label for label in experiment.estimators if timers[1](label) > 4 * most]
    return [label for label in seeming if more(label) > most]


def _timer(experiment: Experiment, bag: str, trials: int) -> Callable[[str], float]:
    """Return what says how many seconds an estimator takes for all cells of so many trials."""
    few = experiment.model_copy(update={"trials": trials})
    models = list(dict.fromkeys(cell.model for cell in few.cells(bag) if cell.model is not None))
    held = list(map(_kept, few_draws(few, bag, 0, models)))

    def seconds(label: str) -> float:
        begun = perf_counter()
        block_rows(_with(few, [label], {}), bag, 0, draw=lambda *_: iter(held))
        return perf_counter() - begun

    return seconds


def _kept(drawn: Drawn) -> Drawn:
    """Return the same with counts that the next size does not change."""
    references = {
        model: one if one.counts is None else replace(one, counts=one.counts.copy())
        for model, one in drawn.references.items()
    }
    cells = replace(drawn.cells, held=drawn.cells.held.copy())
    return replace(drawn, cells=cells, references=references)


class _Step(NamedTuple):
    """A pilot of so many trials: its blocks, and what each of them cost on average."""

    trials: int
    blocks: list[pa.Table]
    drawing: float
    estimating: float
    weight: float
    seconds: float


def _pilot(experiment: Experiment, bag: str, patience: float, *, beside: bool) -> Pilot:
    """Draw twice, then ever more trials, as long as the next step is affordable.

    One `beside` another pilot of the same parts counts only what it adds to them.
    """
    drawn = experiment.block_trials(bag)
    steps = [_step(experiment, bag, min(_FIRST, drawn), beside=beside)]
    while (wanted := _next(steps[-1], patience)) > steps[-1].trials:
        steps.append(_step(experiment, bag, wanted, beside=beside))
    weight = _curve(steps, drawn, "weight")
    timed = steps[1:] or steps  # the first one may have loaded something
    drawing, estimating = (_curve(timed, drawn, name) for name in ("drawing", "estimating"))
    last = steps[-1]
    return Pilot(experiment, bag, last.trials, last.blocks, drawing, estimating, weight)


def _curve(steps: Sequence[_Step], drawn: int, name: str) -> Curve:
    """Return a cost of a block by its trials, of which there are at most as many as are drawn."""
    costs = {min(step.trials, drawn): float(getattr(step, name)) for step in steps}
    return Curve(list(costs), list(costs.values()))


def _next(last: _Step, patience: float) -> int:
    """Return how many trials are affordable next; not worth it below twice as many."""
    affordable = int(last.trials * patience / last.seconds)
    wanted = min(_GROWTH * last.trials, ENOUGH, affordable)
    return wanted if wanted >= min(2 * last.trials, ENOUGH) else last.trials


def _step(experiment: Experiment, bag: str, trials: int, *, beside: bool) -> _Step:
    few = experiment.model_copy(update={"trials": trials})
    number = few.blocks(bag)
    blocks, weight, watch = [], 0, _Watch()
    begun = perf_counter()
    for index in range(number):
        blocks.append(block_rows(few, bag, index, draw=watch))
        weight += _weight(few, bag, index, blocks[-1]) if not beside else 0
    took = perf_counter() - begun
    drawing = 0.0 if beside else watch.seconds
    if beside:
        weight = sum(_added(few, bag, index, rows) for index, rows in enumerate(blocks))
    estimating = (took - watch.seconds) / number
    return _Step(trials, blocks, drawing / number, estimating, weight / number, took)


def _weight(experiment: Experiment, bag: str, index: int, rows: pa.Table) -> int:
    return len(encode(rows, header(experiment, bag, index)))


def _added(experiment: Experiment, bag: str, index: int, rows: pa.Table) -> int:
    """Return the bytes that rows add to a part that has its head and controls already."""
    estimates = rows.filter(pc.not_equal(rows["target"], CONTROL))
    own = _weight(experiment, bag, index, estimates)
    return own - _weight(experiment, bag, index, rows.slice(0, 0))


class _Watch:
    """Draws few trials, and knows how long that took."""

    def __init__(self) -> None:
        self.seconds = 0.0

    def __call__(
        self, experiment: Experiment, bag: str, index: int, models: Sequence[str]
    ) -> Iterator[Drawn]:
        """Yield what is drawn."""
        begun = perf_counter()
        steps = few_draws(experiment, bag, index, models)
        for _ in experiment.sizes_of(bag):
            drawn = next(steps)
            self.seconds += perf_counter() - begun
            yield drawn
            begun = perf_counter()
