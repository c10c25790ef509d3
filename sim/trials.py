"""One block of trials: (experiment, bag, block) goes in, its rows come out; a pure function."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import pyarrow as pa

from sim.cells import Cells
from sim.contracts.arrays import Counts, Mix, Reference, Values
from sim.contracts.bag import Bag
from sim.contracts.interval import Bounds, Sample
from sim.controls import LABELS, Controls
from sim.experiment import Cell, Experiment
from sim.rows import Key, Names, Outcome, table
from sim.tables import CONTROL, TRIALS


@dataclass(frozen=True, eq=False)
class Place:
    """Where in a run something is estimated, and the real distribution there."""

    experiment: Experiment
    bag: str
    block: int
    size: int
    truth: Mix

    def stream(self, cell: Cell) -> np.random.Generator:
        """Return what a cell resamples with."""
        names = (self.bag, cell.model or "", cell.target.name, cell.label, str(self.size))
        return self.experiment.stream(*names, index=self.block)


@dataclass(frozen=True, eq=False)
class Drawn:
    """What is drawn of a block up to a size, and what the models reveal beside it.

    The counts may be changed by the next size: whoever keeps them, copies them.
    """

    place: Place
    cells: Cells
    references: Mapping[str | None, Reference]


def draws(experiment: Experiment, bag: str, index: int, models: Sequence[str]) -> Iterator[Drawn]:
    """Yield what is drawn of a block, size by size, and what these models reveal beside it."""
    return _draws(experiment, bag, index, models, experiment.block_trials(bag))


def few_draws(
    experiment: Experiment, bag: str, index: int, models: Sequence[str]
) -> Iterator[Drawn]:
    """Yield the same of the trials alone that have rows: other draws of the same law."""
    return _draws(experiment, bag, index, models, experiment.kept(bag, index))


def _draws(
    experiment: Experiment, bag: str, index: int, models: Sequence[str], drawn: int
) -> Iterator[Drawn]:
    known: Bag = experiment.bags[bag]
    kept = experiment.kept(bag, index)
    sizes = experiment.sizes_of(bag)
    tallies = known.cells(sizes, drawn, experiment.stream(bag, index=index))
    revealed = {
        model: experiment.models[model].reveal(
            known, sizes, drawn, experiment.stream(bag, model, "model", index=index)
        )
        for model in models
    }
    for size, cells in zip(sizes, tallies, strict=True):
        own = Cells(cells.held[:kept], size)
        place = Place(experiment, bag, index, size, known.truth(size))
        references: dict[str | None, Reference] = {None: Reference.known(place.truth)}
        for model, each in revealed.items():
            references[model] = _sealed_rows(next(each), kept)
        yield Drawn(place, own, references)


Draw = Callable[[Experiment, str, int, Sequence[str]], Iterator[Drawn]]
"""What draws a block: `draws`, or one who looks on."""


def block_rows(
    experiment: Experiment,
    bag: str,
    index: int,
    known: Iterable[Outcome] = (),
    draw: Draw = draws,
) -> pa.Table:
    """Return the rows of one block, size by size, cell by cell, trial by trial.

    After the cells of a size come its control variates. The block is drawn whole; rows beyond
    the experiment's trials are dropped. `known` are outcomes of the same block: they are taken
    as they are, and where nothing else is asked nothing is drawn.
    """
    if not experiment.cells(bag):
        return TRIALS.empty_table()
    first = index * experiment.block_trials(bag)
    held = {one.key: one for one in known}
    found = list(_outcomes(experiment, bag, index, held, draw))
    return table(_names(experiment, bag), found, first)


def rows_a_trial(experiment: Experiment, bag: str) -> int:
    """Return how many rows each trial of a bag has, its control variates included."""
    cells, controls = experiment.cells(bag), _controls(experiment, bag)
    sizes = experiment.sizes_of(bag) if cells else ()
    return sum(len(cells) + len(controls.keys(size)) for size in sizes)


def _names(experiment: Experiment, bag: str) -> Names:
    losses = ["kl_loss"] if experiment.learners else []
    labels = dict.fromkeys([*experiment.estimators, *experiment.learners, *LABELS])
    targets = [*experiment.targets, *losses, CONTROL]
    return Names(bag, list(experiment.models), targets, list(labels))


def _outcomes(
    experiment: Experiment, bag: str, index: int, held: Mapping[Key, Outcome], draw: Draw
) -> Iterator[Outcome]:
    cells, sizes = experiment.cells(bag), experiment.sizes_of(bag)
    controls = _controls(experiment, bag)
    lacking = [(size, c) for size in sizes for c in cells if _key(c, size) not in held]
    bare = {size for size in sizes if not held.keys() >= set(controls.keys(size))}
    last = max([*bare, *(size for size, _ in lacking)], default=0)
    models = list(dict.fromkeys(cell.model for _, cell in lacking if cell.model is not None))
    steps = draw(experiment, bag, index, models)
    for size in sizes:
        drawn = next(steps) if size <= last else None
        for cell in cells:
            known = held.get(_key(cell, size))
            yield _estimated(drawn, cell) if known is None else known
        if size in bare:
            assert drawn is not None
            yield from controls.outcomes(drawn.cells)
        else:
            yield from (held[key] for key in controls.keys(size))


def _estimated(drawn: Drawn | None, cell: Cell) -> Outcome:
    assert drawn is not None
    return _outcome(drawn.place, cell, drawn.cells, drawn.references[cell.model])


def _controls(experiment: Experiment, bag: str) -> Controls:
    beside = dict.fromkeys(c.model for c in experiment.cells(bag) if c.model is not None)
    met = {name: experiment.models[name] for name in experiment.models if name in beside}
    return Controls(experiment.bags[bag], met, experiment.unit)


def _key(cell: Cell, size: int) -> Key:
    return cell.model, cell.target.name, cell.label, size


def _outcome(place: Place, cell: Cell, cells: Cells, reference: Reference) -> Outcome:
    experiment, size = place.experiment, place.size
    q, model_size = place.truth, None
    if cell.model is not None:
        bag, model = experiment.bags[place.bag], experiment.models[cell.model]
        q, model_size = model.truth(bag, size), model.drawn(size)
    unit = cell.target.per_unit(experiment.unit)
    estimates, failures = _estimate(cell, cells, reference)
    bounds, remark = None, None
    if cell.interval is not None:
        sample = Sample(cells.counts, reference, cell.target)
        bounds, remark = _bounds(cell, sample, experiment.level, place.stream(cell))
        bounds = Bounds(bounds.se / unit, bounds.lower / unit, bounds.upper / unit)
    return Outcome(
        model=cell.model,
        target=cell.target.name,
        estimator=cell.label,
        size=size,
        model_size=model_size,
        truth=float(cell.target(place.truth, q)) / unit,
        estimates=estimates / unit,
        bounds=bounds,
        failures=failures,
        remark=remark,
    )


def _bounds(
    cell: Cell, sample: Sample, level: float, rng: np.random.Generator
) -> tuple[Bounds, str | None]:
    """Return the bounds; where the interval raised, none, and what went wrong."""
    assert cell.interval is not None
    with np.errstate(all="ignore"):
        try:
            bounds = cell.interval.bounds(cell.estimator, sample, level, rng)
            for values in vars(bounds).values():
                _expect_shape(values, len(sample.counts))
            return bounds, None
        except Exception as error:  # as of an estimator: the estimates stand, and this is said
            none = np.full(len(sample.counts), np.nan)
            return Bounds(none, none, none), f"interval: {_said(error)}"


def _sealed_rows(reference: Reference, trials: int) -> Reference:
    if reference.counts is None:
        return reference
    rows = reference.rows(slice(trials))
    return replace(rows, counts=_sealed(rows.d))


def _sealed(counts: Counts) -> Counts:
    """Return a view that nobody can write to: all estimators see the same draws."""
    view = counts.view()
    view.flags.writeable = False
    return view


def _estimate(cell: Cell, cells: Cells, reference: Reference) -> tuple[Values, dict[int, str]]:
    """Return the estimates and, by trial, what went wrong; a failed one is NaN."""
    estimator, trials = cell.estimator, len(cells.held)
    with np.errstate(all="ignore"):
        try:
            values = estimator.summed(cells, reference, cell.target)
            if values is None:
                values = estimator.estimate(cells.counts, reference, cell.target)
            _expect_shape(values, trials)
            return values, {}
        except Exception as error:  # an estimator may be anybody's: its failure is a row
            if trials == 1:
                return np.array([np.nan]), {0: _said(error)}
        return _one_by_one(cell, cells, reference)


def _expect_shape(values: Values, trials: int) -> None:
    if values.shape != (trials,):
        raise ValueError(f"expected the shape ({trials},); got {values.shape}")


def _said(error: Exception) -> str:
    return f"{type(error).__name__}: {error}"[:500]


def _one_by_one(cell: Cell, cells: Cells, reference: Reference) -> tuple[Values, dict[int, str]]:
    values, failures = np.empty(len(cells.held)), {}
    for trial in range(len(values)):
        one = slice(trial, trial + 1)
        alone = Cells(cells.held[one], cells.size)
        value, failed = _estimate(cell, alone, reference.rows(one))
        values[trial] = value[0]
        if failed:
            failures[trial] = failed[0]
    return values, failures
