"""Which estimator has the smallest error, in few lines: by size, and where two change places."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import groupby
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from sim.analysis.best import best
from sim.numbers import with_error
from sim.phrases import ranges, where

Row = Mapping[str, Any]

_MOST_LINES = 12
_MOST_CROSSINGS = 6


def show_best(comparison: Sequence[Row], summary: Sequence[Row], console: Console) -> None:
    """Print the table and the sentences; nothing where there is nothing to compare."""
    rows = list(best(comparison, summary))
    if not rows:
        return
    console.print(Text("Which estimator has the smallest error (rmse)", style="bold"))
    console.print(best_table(rows))
    for sentence in crossings(comparison, rows):
        console.print(Text(sentence))
    console.print()


def best_table(rows: Sequence[Row]) -> Table:
    """Return a line for each bag, model and target: its sizes, and what is best there."""
    table = Table()
    table.add_column("bag / model", overflow="fold")
    table.add_column("n: smallest error", overflow="fold")
    lines = [list(group) for _, group in groupby(rows, _line)]
    for line in lines[:_MOST_LINES]:
        table.add_row(Text(where(line[0])), Text("; ".join(ranges(line))))
    if len(lines) > _MOST_LINES:
        table.add_row(Text(f"… and {len(lines) - _MOST_LINES} more"), Text("comparison.parquet"))
    return table


def crossings(comparison: Sequence[Row], rows: Sequence[Row]) -> Iterator[str]:
    """Yield in words where two estimators change places, those that are best somewhere first."""
    named = {(_line(row), row["best"]) for row in rows}
    found = [row for row in comparison if row["crossover"] is not None]
    found.sort(key=lambda row: sum((_line(row), row[name]) not in named for name in _PAIR))
    for row in found[:_MOST_CROSSINGS]:
        error = float("nan") if row["crossover_se"] is None else row["crossover_se"]
        at = with_error(row["crossover"], error)
        ways = ("better", "worse") if row["better"] == row["first"] else ("worse", "better")
        up_to = f"{ways[0]} than {row['second']} up to n ≈ {at}, {ways[1]} beyond"
        yield f"{where(row)}: {row['first']} is {up_to}."
    if len(found) > _MOST_CROSSINGS:
        yield f"… and {len(found) - _MOST_CROSSINGS} more crossings in comparison.parquet."


_PAIR = ("first", "second")


def _line(row: Row) -> tuple[Any, ...]:
    return row["bag"], row["model"], row["target"]
