"""Tables go in; what a page shows of them comes out: cells, and where the rest is."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any

from sim.numbers import plain, with_error
from sim.report.frames import Row, line, rows
from sim.report.material import Material

_MOST_ROWS = 400
_PLACE = (("bag", "bag"), ("model", "model"), ("target", "target"))


@dataclass(frozen=True)
class Cell:
    """What is shown, and the number or text in full: what is sorted by and copied."""

    text: str
    full: str
    error: str | None
    """In full, of a column with an error."""


@dataclass(frozen=True)
class Column:
    """A column of a grid, and which columns of the table stand in it."""

    title: str
    name: str
    error: str | None = None
    is_number: bool = True


@dataclass(frozen=True)
class Grid:
    """A table of the page."""

    name: str
    title: str
    about: str
    columns: Sequence[Column]
    lines: Sequence[Sequence[Cell]]


def grids(material: Material) -> list[Grid]:
    """Return the tables of a page that have a row."""
    made = (_summary(material), _convergence(material), _best(material), _crossings(material))
    return [grid for grid in made if grid.lines]


def _labels(*more: tuple[str, str]) -> list[Column]:
    return [Column(title, name, None, is_number=False) for name, title in (*_PLACE, *more)]


def _summary(material: Material) -> Grid:
    found = rows(material.summary)
    shown = _fitting(found)
    columns = [
        *_labels(("estimator", "estimator")),
        Column("n", "size"),
        Column("truth", "truth"),
        Column("bias", "bias", "bias_mcse"),
        Column("exact mean", "exact_mean"),
        Column("sd", "sd", "sd_mcse"),
        Column("rmse", "rmse", "rmse_mcse"),
        Column("q05", "q05"),
        Column("median", "median"),
        Column("q95", "q95"),
        Column("within", "p_within", "p_within_mcse"),
        Column("coverage", "coverage", "coverage_mcse"),
        Column("infinite", "infinite"),
        Column("undefined", "undefined"),
        Column("failed", "failed"),
    ]
    about = "A row for each bag, model, target, estimator and size n"
    return _grid("summary", "Performance by size", about, columns, found, shown)


def _convergence(material: Material) -> Grid:
    found = rows(material.convergence)
    columns = [
        *_labels(("estimator", "estimator"), ("quantity", "quantity")),
        Column("power of n", "rate", "rate_se"),
        Column("in theory", "theory_rate"),
        Column("constant", "constant", "constant_se"),
        Column("constant in theory", "theory_constant"),
        Column("limit", "limit", "limit_se"),
        Column("n for the tolerance", "size_for_error"),
        Column("why not", "reason", is_number=False),
    ]
    about = "Each quantity is fitted as constant · n to a power"
    return _grid("convergence", "How errors fall with n", about, columns, found, found[:_MOST_ROWS])


def _best(material: Material) -> Grid:
    found = [{**row, "rivals": ", ".join(row["rivals"] or ())} for row in rows(material.best)]
    columns = [
        *_labels(),
        Column("n", "size"),
        Column("smallest error", "best", is_number=False),
        Column("its rmse", "rmse"),
        Column("cannot be told from", "rivals", is_number=False),
    ]
    about = "The estimator with the smallest error at each size, and those that may rival it"
    return _grid("best", "Which estimator is best", about, columns, found, found[:_MOST_ROWS])


def _crossings(material: Material) -> Grid:
    found = rows(material.comparison)
    crossed = [row for row in found if row["crossover"] is not None]
    columns = [
        *_labels(("first", "first"), ("second", "second")),
        Column("change places at n", "crossover", "crossover_se"),
        Column("better up to there", "better", is_number=False),
    ]
    about = "Pairs of estimators of which one is better at small sizes, the other at large ones"
    name = "comparison"
    return _grid(
        name, "Where estimators change places", about, columns, found, crossed[:_MOST_ROWS]
    )


def _fitting(found: Sequence[Row]) -> Sequence[Row]:
    """Return all rows, or where they are many the first, middle and last size of each line."""
    if len(found) <= _MOST_ROWS:
        return found
    kept: list[Row] = []
    for _, group in groupby(found, line):
        sizes = list(group)
        kept += [sizes[i] for i in sorted({0, len(sizes) // 2, len(sizes) - 1})]
    return kept[:_MOST_ROWS]


def _grid(
    name: str,
    title: str,
    about: str,
    columns: list[Column],
    found: Sequence[Row],
    shown: Sequence[Row],
) -> Grid:
    kept = [column for column in columns if any(row.get(column.name) is not None for row in shown)]
    rest = f" These are {len(shown):,} of {len(found):,} rows; all stand in {name}.parquet."
    told = f"{about}.{rest if len(shown) < len(found) and name != 'best' else ''}"
    lines = [[_cell(column, row) for column in kept] for row in shown]
    return Grid(name, title, told, kept, lines)


def _cell(column: Column, row: Row) -> Cell:
    value = row.get(column.name)
    error = None if column.error is None else row.get(column.error)
    in_full = None if column.error is None else _full(error)
    if not column.is_number:
        return Cell("–" if value is None else str(value), _full(value), in_full)
    return Cell("".join(_text(value, error, column.error)), _full(value), in_full)


def _text(value: Any, error: float | None, has_error: str | None) -> Iterator[str]:
    if isinstance(value, int):
        yield f"{value:,}"
    elif isinstance(value, float) and has_error is not None and error is not None:
        yield with_error(value, error)
    else:
        yield plain(value)


def _full(value: Any) -> str:
    return "" if value is None else repr(value) if isinstance(value, float) else str(value)
