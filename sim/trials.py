"""One block of trials: (experiment, bag, block) goes in, its rows come out; a pure function."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import pyarrow as pa

from sim.contracts.arrays import Counts, Mix, Reference, Values
from sim.contracts.bag import Bag, TimedBag
from sim.contracts.interval import Bounds, Sample
from sim.controls import LABELS, Controls
from sim.experiment import Cell, Experiment
from sim.rows import Key, Names, Outcome, table
from sim.tables import CONTROL, TRACE, TRIALS


def block_rows(
    experiment: Experiment, bag: str, index: int, known: Iterable[Outcome] = ()
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
    return table(_names(experiment, bag), list(_outcomes(experiment, bag, index, held)), first)


def trace_rows(experiment: Experiment, bag: str, trial: int) -> pa.Table:
    """Return what happened in one trial of a bag with a clock: the same draws as in its block."""
    known = experiment.bags[bag]
    if not isinstance(known, TimedBag):
        raise TypeError(f"bag {bag!r} has no clock")
    index, place = divmod(trial, experiment.block_trials(bag))
    stream = experiment.stream(bag, index=index).spawn(place + 1)[place]
    happened = list(known.events(experiment.sizes_of(bag)[-1], stream))
    names = [known.colours[colour] if colour >= 0 else None for _, _, colour in happened]
    rows = {
        "bag": [bag] * len(happened),
        "trial": [trial] * len(happened),
        "time": [time for time, _, _ in happened],
        "event": [event for _, event, _ in happened],
        "colour": names,
    }
    arrays = [pa.array(rows[f.name], f.type) for f in TRACE]
    return pa.Table.from_arrays(arrays, schema=TRACE).unify_dictionaries()


def _names(experiment: Experiment, bag: str) -> Names:
    losses = ["kl_loss"] if experiment.learners else []
    labels = dict.fromkeys([*experiment.estimators, *experiment.learners, *LABELS])
    targets = [*experiment.targets, *losses, CONTROL]
    return Names(bag, list(experiment.models), targets, list(labels))


def _outcomes(
    experiment: Experiment, bag: str, index: int, held: Mapping[Key, Outcome]
) -> Iterator[Outcome]:
    cells, sizes = experiment.cells(bag), experiment.sizes_of(bag)
    controls = _controls(experiment, bag)
    lacking = [(size, c) for size in sizes for c in cells if _key(c, size) not in held]
    bare = {size for size in sizes if not held.keys() >= set(controls.keys(size))}
    last = max([*bare, *(size for size, _ in lacking)], default=0)
    models = list(dict.fromkeys(cell.model for _, cell in lacking if cell.model is not None))
    draws = _draws(experiment, bag, index, models)
    for size in sizes:
        drawn = next(draws) if size <= last else None
        for cell in cells:
            known = held.get(_key(cell, size))
            yield _estimated(drawn, cell) if known is None else known
        if size in bare:
            assert drawn is not None
            yield from controls.outcomes(size, drawn[1])
        else:
            yield from (held[key] for key in controls.keys(size))


def _estimated(drawn: _Drawn | None, cell: Cell) -> Outcome:
    assert drawn is not None
    place, own, references = drawn
    return _outcome(place, cell, Sample(own, references[cell.model], cell.target))


def _controls(experiment: Experiment, bag: str) -> Controls:
    beside = dict.fromkeys(c.model for c in experiment.cells(bag) if c.model is not None)
    met = {name: experiment.models[name] for name in experiment.models if name in beside}
    return Controls(experiment.bags[bag], met, experiment.unit)


def _key(cell: Cell, size: int) -> Key:
    return cell.model, cell.target.name, cell.label, size


def _draws(experiment: Experiment, bag: str, index: int, models: Sequence[str]) -> Iterator[_Drawn]:
    """Yield what is drawn of a block, size by size, and what these models reveal beside it."""
    known: Bag = experiment.bags[bag]
    drawn, kept = experiment.block_trials(bag), experiment.kept(bag, index)
    sizes = experiment.sizes_of(bag)
    tallies = known.tally(sizes, drawn, experiment.stream(bag, index=index))
    revealed = {
        model: experiment.models[model].reveal(
            known, sizes, drawn, experiment.stream(bag, model, "model", index=index)
        )
        for model in models
    }
    for size, counts in zip(sizes, tallies, strict=True):
        own = _sealed(counts[:kept])
        place = _Place(experiment, bag, index, size, known.truth(size))
        references: dict[str | None, Reference] = {None: Reference.known(place.truth)}
        for model, each in revealed.items():
            references[model] = _sealed_rows(next(each), kept)
        yield place, own, references


@dataclass(frozen=True, eq=False)
class _Place:
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


_Drawn = tuple[_Place, Counts, dict[str | None, Reference]]


def _outcome(place: _Place, cell: Cell, sample: Sample) -> Outcome:
    experiment, size = place.experiment, place.size
    q, model_size = place.truth, None
    if cell.model is not None:
        bag, model = experiment.bags[place.bag], experiment.models[cell.model]
        q, model_size = model.truth(bag, size), model.drawn(size)
    unit = cell.target.per_unit(experiment.unit)
    estimates, failures = _estimate(cell, sample.counts, sample.reference)
    bounds, remark = None, None
    if cell.interval is not None:
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


def _estimate(cell: Cell, counts: Counts, reference: Reference) -> tuple[Values, dict[int, str]]:
    """Return the estimates and, by trial, what went wrong; a failed one is NaN."""
    with np.errstate(all="ignore"):
        try:
            values = cell.estimator.estimate(counts, reference, cell.target)
            _expect_shape(values, len(counts))
            return values, {}
        except Exception as error:  # an estimator may be anybody's: its failure is a row
            if len(counts) == 1:
                return np.array([np.nan]), {0: _said(error)}
        return _one_by_one(cell, counts, reference)


def _expect_shape(values: Values, trials: int) -> None:
    if values.shape != (trials,):
        raise ValueError(f"expected the shape ({trials},); got {values.shape}")


def _said(error: Exception) -> str:
    return f"{type(error).__name__}: {error}"[:500]


def _one_by_one(cell: Cell, counts: Counts, reference: Reference) -> tuple[Values, dict[int, str]]:
    values, failures = np.empty(len(counts)), {}
    for trial in range(len(counts)):
        one = slice(trial, trial + 1)
        value, failed = _estimate(cell, counts[one], reference.rows(one))
        values[trial] = value[0]
        if failed:
            failures[trial] = failed[0]
    return values, failures
