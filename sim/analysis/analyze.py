"""All trials of a run go in, part by part; summary, convergence and comparison come out."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from math import isnan
from typing import Any, Protocol

import pyarrow as pa

from sim.analysis import convergence, summary
from sim.analysis.adjustment import Adjustments
from sim.analysis.comparison import Comparison
from sim.analysis.quantiles import PASSES
from sim.analysis.resampling import Resampling
from sim.analysis.series import BOUNDS, COLUMNS, Key, Line, Series, series
from sim.analysis.summary import Tally
from sim.contracts.arrays import Reference
from sim.exact import Exact, Stated, coverage, exact
from sim.experiment import Cell, Experiment
from sim.laws.counts import CountLaw
from sim.tables import CONVERGENCE, SUMMARY


class Batches(Protocol):
    """Rows of trials that can be read again and again: each batch is one whole block."""

    def read(self, columns: Sequence[str] | None = None) -> Iterator[pa.Table]:
        """Yield tables with these columns of the trials' schema."""


@dataclass(frozen=True)
class Analysis:
    """The tables that an analysis makes."""

    summary: pa.Table
    convergence: pa.Table
    comparison: pa.Table


def analyze(experiment: Experiment, batches: Batches) -> Analysis:
    """Return the tables; memory does not grow with the number of trials."""
    tallies: dict[Key, Tally] = {}
    resampling, adjustments = Resampling(experiment), Adjustments(experiment)
    compared = Comparison()
    bounded = {line for line, cell in _lines(experiment) if cell.interval is not None}
    for table in batches.read([*COLUMNS, *BOUNDS] if bounded else COLUMNS):
        batch = list(series(table))
        adjustments.add(batch)
        cells = _estimates(batch)
        for one in cells:
            if one.key not in tallies:
                tallies[one.key] = Tally(one.truth, experiment.level, one.key.line in bounded)
            tallies[one.key].add(one)
        resampling.add(cells)
        compared.add(cells)
    _finish_quantiles(tallies, batches)
    laws = _Laws(experiment)
    rows: list[dict[str, Any]] = []
    lines: list[dict[str, Any]] = []
    for line, cell in _lines(experiment):
        sizes = [Key(line, size) for size in experiment.sizes_of(line.bag)]
        here = [key for key in sizes if key in tallies]
        if not here:
            continue
        unit = cell.target.per_unit(experiment.unit)
        own = [
            {
                **summary.row(key, tallies[key], exact_values(experiment, cell, key, laws), unit),
                **adjustments.columns(key),
            }
            for key in here
        ]
        rows += own
        lines += convergence.rows(experiment, line, cell, own, resampling.cells)
    comparison = compared.table(rows, resampling.cells)
    return Analysis(_table(rows, SUMMARY), _table(lines, CONVERGENCE), comparison)


class _Laws:
    """The count law of each bag and size, worked out once for all cells."""

    def __init__(self, experiment: Experiment) -> None:
        self._bags, self._models = experiment.bags, experiment.models
        self._known: dict[tuple[str, int], CountLaw | None] = {}
        self._of_models: dict[tuple[str, str, int], CountLaw | None] = {}

    def __call__(self, bag: str, size: int) -> CountLaw | None:
        if (bag, size) not in self._known:
            self._known[bag, size] = self._bags[bag].count_law(size)
        return self._known[bag, size]

    def of_model(self, model: str, key: Key) -> CountLaw | None:
        """Return the law of the counts of Q that stand beside a bag at a size."""
        place = (model, key.line.bag, key.size)
        if place not in self._of_models:
            bag = self._bags[key.line.bag]
            self._of_models[place] = self._models[model].count_law(bag, key.size)
        return self._of_models[place]


def exact_values(experiment: Experiment, cell: Cell, key: Key, laws: _Laws) -> Exact:
    """Return the exact values of one cell, in nats."""
    bag = experiment.bags[key.line.bag]
    law, p = laws(key.line.bag, key.size), bag.truth(key.size)
    if cell.model is None:
        return exact(law, cell.estimator, Reference.known(p), cell.target)
    model = experiment.models[cell.model]
    true_q = model.truth(bag, key.size)
    counted = model.drawn(key.size) is not None
    seen = laws.of_model(cell.model, key) if counted else Reference.known(true_q)
    known = exact(law, cell.estimator, seen, cell.target)
    if cell.interval is None:
        return known
    stated = Stated(cell.estimator, cell.interval, cell.target, experiment.level)
    return replace(known, coverage=coverage(law, seen, stated, float(cell.target(p, true_q))))


def _estimates(batch: Iterable[Series]) -> list[Series]:
    """Return the series of a part that are estimates: without its control variates."""
    return [one for one in batch if not one.key.line.is_control]


def _finish_quantiles(tallies: dict[Key, Tally], batches: Batches) -> None:
    for number in range(PASSES):
        for table in batches.read(COLUMNS) if number else ():
            for one in _estimates(series(table)):
                tallies[one.key].quantiles.add(one.estimate[one.estimate == one.estimate])
        for tally in tallies.values():
            tally.quantiles.narrow()


def _lines(experiment: Experiment) -> Iterator[tuple[Line, Cell]]:
    for bag in experiment.bags:
        for cell in experiment.cells(bag):
            yield Line(bag, cell.model, cell.target.name, cell.label), cell


def _table(rows: list[dict[str, Any]], schema: pa.Schema) -> pa.Table:
    """Return rows as a table; NaN, and what a row does not have, becomes null."""
    columns = [[_null(row.get(name)) for row in rows] for name in schema.names]
    arrays = [pa.array(c, field.type) for c, field in zip(columns, schema, strict=True)]
    return pa.Table.from_arrays(arrays, schema=schema)


def _null(value: Any) -> Any:
    return None if isinstance(value, float) and isnan(value) else value
