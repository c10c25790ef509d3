"""All trials of a run go in, part by part; the summary and the convergence come out."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from math import isnan
from typing import Any, Protocol

import pyarrow as pa

from sim.analysis import convergence, summary
from sim.analysis.quantiles import PASSES
from sim.analysis.resampling import Resampling
from sim.analysis.series import COLUMNS, Key, Line, series
from sim.analysis.summary import Tally
from sim.contracts.arrays import Reference
from sim.exact import Exact, exact
from sim.experiment import Cell, Experiment
from sim.laws.counts import CountLaw
from sim.tables import CONVERGENCE, SUMMARY


class Batches(Protocol):
    """Rows of trials that can be read again and again: each batch is one whole block."""

    def read(self, columns: Sequence[str] | None = None) -> Iterator[pa.Table]:
        """Yield tables with these columns of the trials' schema."""


@dataclass(frozen=True)
class Analysis:
    """The two tables that an analysis makes."""

    summary: pa.Table
    convergence: pa.Table


def analyze(experiment: Experiment, batches: Batches) -> Analysis:
    """Return summary and convergence; memory does not grow with the number of trials."""
    tallies: dict[Key, Tally] = {}
    resampling = Resampling(experiment)
    for table in batches.read(COLUMNS):
        batch = list(series(table))
        for one in batch:
            tallies.setdefault(one.key, Tally(one.truth)).add(one)
        resampling.add(batch)
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
            summary.row(key, tallies[key], exact_values(experiment, cell, key, laws), unit)
            for key in here
        ]
        rows += own
        lines += convergence.rows(experiment, line, cell, own, resampling.cells)
    return Analysis(_table(rows, SUMMARY), _table(lines, CONVERGENCE))


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
    law = laws(key.line.bag, key.size)
    if cell.model is None:
        return exact(law, cell.estimator, Reference.known(bag.truth(key.size)), cell.target)
    model = experiment.models[cell.model]
    if model.drawn(key.size) is None:
        known = Reference.known(model.truth(bag, key.size))
        return exact(law, cell.estimator, known, cell.target)
    return exact(law, cell.estimator, laws.of_model(cell.model, key), cell.target)


def _finish_quantiles(tallies: dict[Key, Tally], batches: Batches) -> None:
    for number in range(PASSES):
        for table in batches.read(COLUMNS) if number else ():
            for one in series(table):
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
