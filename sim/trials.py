"""One block of trials: (experiment, bag, block) goes in, its rows come out; a pure function."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from sim.contracts.arrays import Counts, Reference, Values
from sim.contracts.bag import Bag, TimedBag
from sim.experiment import Cell, Experiment
from sim.tables import STATUS, TRACE, TRIALS

_OK, _INFINITE, _UNDEFINED, _FAILED = range(len(STATUS))
_NOT_A_NUMBER = "the estimator gave NaN"


@dataclass(frozen=True, eq=False)
class _Series:
    """The estimates of one cell at one size."""

    cell: Cell
    size: int
    model_size: int | None
    truth: float
    estimates: Values
    failures: dict[int, str]


def block_rows(experiment: Experiment, bag: str, index: int) -> pa.Table:
    """Return the rows of one block, size by size, cell by cell, trial by trial.

    The block is drawn whole; rows beyond the experiment's trials are dropped.
    """
    if not experiment.cells(bag):
        return TRIALS.empty_table()
    first = index * experiment.block_trials(bag)
    series = list(_counted(experiment, bag, index))
    return _table(experiment, bag, series, first)


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


def _counted(experiment: Experiment, bag: str, index: int) -> Iterator[_Series]:
    known: Bag = experiment.bags[bag]
    drawn = experiment.block_trials(bag)
    kept = min(drawn, experiment.trials - index * drawn)
    cells, sizes = experiment.cells(bag), experiment.sizes_of(bag)
    tallies = known.tally(sizes, drawn, experiment.stream(bag, index=index))
    revealed = {
        model: experiment.models[model].reveal(
            known, sizes, drawn, experiment.stream(bag, model, "model", index=index)
        )
        for model in dict.fromkeys(cell.model for cell in cells)
        if model is not None
    }
    for size, counts in zip(sizes, tallies, strict=True):
        truth = known.truth(size)
        own = _sealed(counts[:kept])
        references = {model: _sealed_rows(next(each), kept) for model, each in revealed.items()}
        for cell in cells:
            if cell.model is None:
                q, model_size, reference = truth, None, Reference.known(truth)
            else:
                model = experiment.models[cell.model]
                q, model_size = model.truth(known, size), model.drawn(size)
                reference = references[cell.model]
            estimates, failures = _estimate(cell, own, reference)
            unit = cell.target.per_unit(experiment.unit)
            true_value = float(cell.target(truth, q)) / unit
            yield _Series(cell, size, model_size, true_value, estimates / unit, failures)


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
            if values.shape != (len(counts),):
                raise ValueError(f"expected the shape ({len(counts)},); got {values.shape}")
            return values, {}
        except Exception as error:  # an estimator may be anybody's: its failure is a row
            if len(counts) == 1:
                return np.array([np.nan]), {0: f"{type(error).__name__}: {error}"[:500]}
        return _one_by_one(cell, counts, reference)


def _one_by_one(cell: Cell, counts: Counts, reference: Reference) -> tuple[Values, dict[int, str]]:
    values, failures = np.empty(len(counts)), {}
    for trial in range(len(counts)):
        one = slice(trial, trial + 1)
        value, failed = _estimate(cell, counts[one], reference.rows(one))
        values[trial] = value[0]
        if failed:
            failures[trial] = failed[0]
    return values, failures


def _table(experiment: Experiment, bag: str, series: list[_Series], first: int) -> pa.Table:
    trials = len(series[0].estimates)
    estimates = np.concatenate([s.estimates for s in series])
    status, reasons = _status(series, trials)
    cells = [s.cell for s in series]
    columns = {
        "bag": _repeated([bag] * len(series), [bag], trials),
        "model": _repeated([c.model for c in cells], list(experiment.models), trials),
        "target": _repeated([c.target.name for c in cells], _targets(experiment), trials),
        "estimator": _repeated([c.label for c in cells], _labels(experiment), trials),
        "size": np.repeat([s.size for s in series], trials),
        "model_size": pa.array([s.model_size for s in series], pa.int64()).take(
            np.repeat(np.arange(len(series)), trials)
        ),
        "trial": np.tile(np.arange(first, first + trials), len(series)),
        "estimate": pa.array(estimates, mask=np.isnan(estimates)),
        "truth": np.repeat([s.truth for s in series], trials),
        "status": pa.DictionaryArray.from_arrays(pa.array(status, pa.int32()), list(STATUS)),
        "reason": reasons,
    }
    empty = pa.nulls(len(estimates), pa.float64())
    arrays = [columns.get(name, empty) for name in TRIALS.names]
    return pa.Table.from_arrays([pa.array(array) for array in arrays], schema=TRIALS)


def _targets(experiment: Experiment) -> list[str]:
    return [*experiment.targets, "kl_loss"] if experiment.learners else [*experiment.targets]


def _labels(experiment: Experiment) -> list[str]:
    return list(dict.fromkeys([*experiment.estimators, *experiment.learners]))


def _repeated(labels: list[str | None], known: list[str], trials: int) -> pa.DictionaryArray:
    place = {label: index for index, label in enumerate(known)}
    codes = pa.array([None if x is None else place[x] for x in labels], pa.int32())
    rows = codes.take(np.repeat(np.arange(len(labels)), trials))
    return pa.DictionaryArray.from_arrays(rows, pa.array(known, pa.string()))


def _status(series: list[_Series], trials: int) -> tuple[NDArray[np.int32], pa.DictionaryArray]:
    estimates = np.concatenate([s.estimates for s in series])
    status = np.full(len(estimates), _OK, dtype=np.int32)
    status[np.isinf(estimates)] = _INFINITE
    status[np.isnan(estimates)] = _UNDEFINED
    reasons: dict[int, str] = dict.fromkeys(np.flatnonzero(status == _UNDEFINED), _NOT_A_NUMBER)
    for number, one in enumerate(series):
        for trial, reason in one.failures.items():
            status[number * trials + trial] = _FAILED
            reasons[number * trials + trial] = reason
    known = sorted(set(reasons.values()))
    place = {reason: code for code, reason in enumerate(known)}
    codes = np.full(len(estimates), -1, dtype=np.int32)
    for row, reason in reasons.items():
        codes[row] = place[reason]
    coded = pa.array(codes, mask=codes < 0)
    return status, pa.DictionaryArray.from_arrays(coded, pa.array(known, pa.string()))
