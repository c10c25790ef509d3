"""All trials of a run go in, part by part; summary, convergence and comparison come out."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from math import isnan
from typing import Any, Protocol, TypeVar

import pyarrow as pa

from sim.analysis import convergence, summary
from sim.analysis.adjustment import Adjustments
from sim.analysis.answers import Answers
from sim.analysis.comparison import Comparison
from sim.analysis.exact_values import Laws, exact_values
from sim.analysis.resampling import Resampling
from sim.analysis.series import BOUNDS, COLUMNS, Key, Line, Series, series
from sim.analysis.summary import Tally
from sim.analysis.whole_sizes import exact_size
from sim.experiment import Cell, Experiment
from sim.tables import CONVERGENCE, SUMMARY

T = TypeVar("T")


class Batches(Protocol):
    """Rows of trials that can be read again and again: each batch is one whole block."""

    def read(self, columns: Sequence[str] | None = None) -> Iterator[pa.Table]:
        """Yield tables with these columns of the trials' schema."""


class Mapper(Protocol):
    """What does a piece of work for each piece, here or elsewhere, as `map` does."""

    def __call__(self, work: Callable[[Batches], T], pieces: Sequence[Batches], /) -> Iterable[T]:
        """Return the results in the order of the pieces."""


@dataclass(frozen=True)
class Analysis:
    """The tables that an analysis makes."""

    summary: pa.Table
    convergence: pa.Table
    comparison: pa.Table


@dataclass
class Gathered:
    """All that the tables need to know of the trials, gathered part by part.

    Each part is gathered alone and then merged: what comes out follows from the parts and their
    order, wherever they were gathered. Memory does not grow with the number of trials.
    """

    experiment: Experiment
    tallies: dict[Key, Tally] = field(default_factory=dict)
    compared: Comparison = field(default_factory=Comparison)

    def __post_init__(self) -> None:
        self.resampling = Resampling(self.experiment)
        self.adjustments = Adjustments(self.experiment)
        cells = _lines(self.experiment)
        self.bounded = {line for line, cell in cells if cell.interval is not None}

    def add(self, batch: list[Series]) -> None:
        """Take the series of one part, control variates included."""
        self.adjustments.add(batch)
        cells = _estimates(batch)
        for one in cells:
            if one.key not in self.tallies:
                self.tallies[one.key] = self._empty(one)
            self.tallies[one.key].add(one)
        self.resampling.add(cells)
        self.compared.add(cells)

    def _empty(self, one: Series) -> Tally:
        known, is_bounded = self.experiment, one.key.line in self.bounded
        return Tally(one.truth, known.level, is_bounded, known.tolerance)

    def merge(self, other: Gathered) -> None:
        """Take what was gathered of further parts."""
        self.adjustments.merge(other.adjustments)
        for key, tally in other.tallies.items():
            if key in self.tallies:
                self.tallies[key].merge(tally)
            else:
                self.tallies[key] = tally
        self.resampling.merge(other.resampling)
        self.compared.merge(other.compared)


def analyze(experiment: Experiment, *pieces: Batches, mapped: Mapper = map) -> Analysis:
    """Return the tables of all pieces; memory does not grow with the number of trials.

    `mapped` is `map`, or what does the same with other processes: the tables are the same.
    """
    found = Gathered(experiment)
    for piece in mapped(partial(gather, experiment), pieces):
        found.merge(piece)
    _finish_quantiles(found.tallies, pieces, mapped)
    laws = Laws(experiment)
    rows: list[dict[str, Any]] = []
    lines: list[dict[str, Any]] = []
    for line, cell in _lines(experiment):
        sizes = [Key(line, size) for size in experiment.sizes_of(line.bag)]
        here = [key for key in sizes if key in found.tallies]
        if not here:
            continue
        unit = cell.target.per_unit(experiment.unit)
        own = [
            {
                **summary.row(
                    key, found.tallies[key], exact_values(experiment, cell, key, laws), unit
                ),
                **found.adjustments.columns(key),
            }
            for key in here
        ]
        rows += own
        whole = exact_size(experiment, cell, own, laws)
        lines += convergence.rows(experiment, line, cell, own, found.resampling.cells, whole)
    comparison = found.compared.table(rows, found.resampling.cells)
    return Analysis(_table(rows, SUMMARY), _table(lines, CONVERGENCE), comparison)


def gather(experiment: Experiment, piece: Batches) -> Gathered:
    """Return what a first reading of a piece finds."""
    found = Gathered(experiment)
    for table in piece.read([*COLUMNS, *BOUNDS] if found.bounded else COLUMNS):
        found.add(list(series(table)))
        del table  # before the next one is read
    return found


def _estimates(batch: Iterable[Series]) -> list[Series]:
    """Return the series of a part that are estimates: without its control variates."""
    return [one for one in batch if not one.key.line.is_control]


def _finish_quantiles(tallies: dict[Key, Tally], pieces: Sequence[Batches], mapped: Mapper) -> None:
    """Read again as long as there are quantiles that are not found."""
    while True:
        for tally in tallies.values():
            tally.answers.narrow()
        left = {
            key: tally.answers.empty() for key, tally in tallies.items() if not tally.answers.done
        }
        if not left:
            return
        for found in mapped(partial(count, left), pieces):
            for key, answers in found.items():
                tallies[key].answers.merge(answers)


def count(wanted: Mapping[Key, Answers], piece: Batches) -> dict[Key, Answers]:
    """Return what a further reading of a piece finds of the quantiles that are wanted."""
    found = {key: answers.empty() for key, answers in wanted.items()}
    for table in piece.read(COLUMNS):
        _count(found, series(table))
        del table  # before the next one is read
    return found


def _count(found: dict[Key, Answers], batch: Iterable[Series]) -> None:
    for one in batch:
        if one.key in found:
            found[one.key].add(one.estimate[one.estimate == one.estimate])


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
