"""What came of each cell of a block becomes rows of the table of trials."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from sim.contracts.arrays import Values
from sim.contracts.interval import Bounds
from sim.tables import STATUS, TRIALS

_OK, _INFINITE, _UNDEFINED, _FAILED = range(len(STATUS))
_LABELS = ("model", "target", "estimator", "size", "model_size", "truth")
_NOT_A_NUMBER = "the estimator gave NaN"


Key = tuple[str | None, str, str, int]
"""Model, target, estimator and size of an outcome."""


@dataclass(frozen=True, eq=False)
class Outcome:
    """What came of one cell at one size: a number for each trial, in the experiment's unit.

    `failures` are the reasons of trials whose estimator raised; `remark` is what else there is
    to say of all trials.
    """

    model: str | None
    target: str
    estimator: str
    size: int
    model_size: int | None
    truth: float
    estimates: Values
    bounds: Bounds | None = None
    failures: Mapping[int, str] = field(default_factory=dict)
    remark: str | None = None

    @property
    def key(self) -> Key:
        """What tells it from the others of its block."""
        return self.model, self.target, self.estimator, self.size


@dataclass(frozen=True)
class Names:
    """The labels that the rows of a block are coded by, in the order of the experiment."""

    bag: str
    models: Sequence[str]
    targets: Sequence[str]
    estimators: Sequence[str]


def table(names: Names, outcomes: Sequence[Outcome], first: int) -> pa.Table:
    """Return the rows of outcomes, one after the other; `first` is the number of the first trial.

    All have the same trials.
    """
    trials = len(outcomes[0].estimates)
    estimates = np.concatenate([one.estimates for one in outcomes])
    status, reasons = _status(estimates, outcomes, trials)
    columns = {
        "bag": _repeated([names.bag] * len(outcomes), [names.bag], trials),
        "model": _repeated([one.model for one in outcomes], names.models, trials),
        "target": _repeated([one.target for one in outcomes], names.targets, trials),
        "estimator": _repeated([one.estimator for one in outcomes], names.estimators, trials),
        "size": np.repeat([one.size for one in outcomes], trials),
        "model_size": _whole([one.model_size for one in outcomes], trials, np.int64),
        "trial": np.tile(np.arange(first, first + trials), len(outcomes)),
        "estimate": _known(estimates),
        "truth": np.repeat([one.truth for one in outcomes], trials),
        **{name: _bound(outcomes, name, trials) for name in ("se", "lower", "upper")},
        "status": pa.DictionaryArray.from_arrays(status, list(STATUS)),
        "reason": reasons,
    }
    arrays = [pa.array(columns[name]) for name in TRIALS.names]
    return pa.Table.from_arrays(arrays, schema=TRIALS)


def outcomes(rows: pa.Table, trials: int) -> Iterator[Outcome]:
    """Yield what the rows of a block were made from; `table` makes them again, to the bit."""
    for begin in range(0, rows.num_rows, trials):
        own = rows.slice(begin, trials)
        bounds = {name: own.column(name).to_numpy() for name in ("se", "lower", "upper")}
        failures, remark = _said(own)
        yield Outcome(
            **{name: own.column(name)[0].as_py() for name in _LABELS},
            estimates=own.column("estimate").to_numpy(),
            bounds=None if all(np.isnan(v).all() for v in bounds.values()) else Bounds(**bounds),
            failures=failures,
            remark=remark,
        )


def _said(rows: pa.Table) -> tuple[dict[int, str], str | None]:
    """Return the reasons of failed trials, and what is said of all trials."""
    reason = rows.column("reason")
    if reason.null_count == len(reason):
        return {}, None
    told = list(zip(rows.column("status").to_pylist(), reason.to_pylist(), strict=True))
    failures = {trial: why for trial, (how, why) in enumerate(told) if how == STATUS[_FAILED]}
    others = {why for how, why in told if how != STATUS[_FAILED]} - {None, _NOT_A_NUMBER}
    return failures, next(iter(others), None)


def _known(values: Values) -> pa.Array:
    unknown = np.isnan(values)
    return pa.array(values, mask=unknown if unknown.any() else None)


def _bound(outcomes: Sequence[Outcome], name: str, trials: int) -> pa.Array:
    if all(one.bounds is None for one in outcomes):
        return pa.nulls(len(outcomes) * trials, pa.float64())
    none = np.full(trials, np.nan)
    return _known(np.concatenate([_one_bound(one.bounds, name, none) for one in outcomes]))


def _one_bound(bounds: Bounds | None, name: str, none: Values) -> Values:
    values: Values = none if bounds is None else getattr(bounds, name)
    return values


def _whole(numbers: Sequence[int | None], trials: int, kind: type[np.integer[Any]]) -> pa.Array:
    """Return each whole number as often as there are trials; None is null."""
    none = np.repeat([number is None for number in numbers], trials)
    values = np.repeat(np.array([number or 0 for number in numbers], dtype=kind), trials)
    return pa.array(values, mask=none if none.any() else None)


def _repeated(
    labels: Sequence[str | None], known: Sequence[str], trials: int
) -> pa.DictionaryArray:
    place = {label: index for index, label in enumerate(known)}
    rows = _whole([None if x is None else place[x] for x in labels], trials, np.int32)
    return pa.DictionaryArray.from_arrays(rows, pa.array(list(known), pa.string()))


def _status(
    estimates: Values, outcomes: Sequence[Outcome], trials: int
) -> tuple[NDArray[np.int32], pa.DictionaryArray]:
    status = np.full(len(estimates), _OK, dtype=np.int32)
    odd = np.flatnonzero(~np.isfinite(estimates))
    status[odd] = np.where(np.isnan(estimates[odd]), _UNDEFINED, _INFINITE)
    reasons: dict[int, str] = dict.fromkeys(odd[status[odd] == _UNDEFINED], _NOT_A_NUMBER)
    for number, one in enumerate(outcomes):
        if one.remark is not None:
            reasons.update(dict.fromkeys(range(number * trials, (number + 1) * trials), one.remark))
        for trial, reason in one.failures.items():
            status[number * trials + trial] = _FAILED
            reasons[number * trials + trial] = reason
    return status, _reasons(reasons, len(estimates))


def _reasons(reasons: Mapping[int, str], rows: int) -> pa.DictionaryArray:
    """Return the reason of each row; null where it has none."""
    known = sorted(set(reasons.values()))
    coded = pa.nulls(rows, pa.int32())
    if reasons:
        place = {reason: code for code, reason in enumerate(known)}
        codes = np.full(rows, -1, dtype=np.int32)
        codes[list(reasons)] = [place[reason] for reason in reasons.values()]
        coded = pa.array(codes, mask=codes < 0)
    return pa.DictionaryArray.from_arrays(coded, pa.array(known, pa.string()))
