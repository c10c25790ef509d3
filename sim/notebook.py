"""What a notebook shows of a result: how far it came, and its biases in a small table."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from html import escape
from itertools import groupby
from pathlib import Path
from typing import Any, Protocol

from sim.analysis.best import best
from sim.errors import Fault, first_line
from sim.experiment import Experiment
from sim.phrases import Row, bias, ranges, thinned, title, where

_MOST_TABLES = 3
_MOST_ESTIMATORS = 6
_WIDE = "<div style='overflow-x: auto; max-width: 100%; margin-bottom: 1em'>"
_CAPTION = "<caption style='text-align: left; white-space: nowrap; padding: 0.3em 0'>"
_RIGHT = "style='text-align: right; white-space: nowrap; padding: 0.1em 0.6em'"


class Shown(Protocol):
    """What is asked of a result to show it."""

    @property
    def path(self) -> Path:
        """Where it lies."""

    @property
    def experiment(self) -> Experiment:
        """What was run."""

    def rows(self) -> dict[str, list[dict[str, Any]]]:
        """Return its tables as plain rows."""


def code(results: Shown) -> str:
    """Return what opens the results again, in one line."""
    return f"sim.open_results({str(results.path)!r})"


def html(results: Shown, status: Callable[[Path], dict[str, Any]]) -> str:
    """Return the results as HTML, every text in it escaped; it never raises."""
    try:
        parts = list(_told(results, status(results.path)))
    except Exception as error:  # whatever lies there, a notebook says so and goes on
        told = isinstance(error, Fault)
        parts = [_line(("" if told else f"{results.path}: ") + first_line(error))]
    return f"<div class='klsim'>{''.join(parts)}</div>"


def _told(results: Shown, state: dict[str, Any]) -> Iterator[str]:
    experiment = results.experiment
    about = f": {experiment.about}" if experiment.about else ""
    yield f"<p><strong>{_text(experiment.name)}</strong>{_text(about)}</p>"
    yield _line(f"{_progress(state)}; tables in {results.path}")
    if not state["summary"]:
        mend = f"klsim analyze {results.path}"
        yield _line(f"There is no summary yet. Of the trials that are there, make one with: {mend}")
        return
    tables = results.rows()
    yield from _tables(tables["summary"], experiment.unit)
    yield from _best(tables)


def _progress(state: dict[str, Any]) -> str:
    trials = f"{state['trials']:,} trials a bag"
    if state.get("used"):
        trials = ", ".join(f"{bag}: {used:,} trials" for bag, used in state["used"].items())
    if state["complete"]:
        return f"Complete, {trials}"
    done, blocks = (sum(numbers) for numbers in zip(*state["bags"].values(), strict=True))
    most = "at most " if state.get("used", {}) is None else ""
    way = "a run is at work" if state["in_use"] else "the same `klsim run` goes on"
    return f"Not complete: {done:,} of {most}{blocks:,} blocks are there, {way}"


def _tables(summary: Sequence[Row], unit: str) -> Iterator[str]:
    groups = [list(g) for _, g in groupby(summary, lambda r: (r["bag"], r["model"], r["target"]))]
    for rows in groups[:_MOST_TABLES]:
        yield _table(rows, unit)
    if not groups:
        yield _line("There are no trials yet.")
        return
    rest = len(groups) - _MOST_TABLES
    more = f" {rest} more tables like these could be made of .summary." if rest > 0 else ""
    yield _line(f"± is one Monte Carlo standard error; “not seen”: within 3 of them of 0.{more}")


def _table(rows: Sequence[Row], unit: str) -> str:
    """Return the biases of a bag, model and target: a row for each size."""
    every = list(dict.fromkeys(row["estimator"] for row in rows))
    estimators = every[:_MOST_ESTIMATORS]
    left_out = len(every) - len(estimators)
    cells = {(row["size"], row["estimator"]): row for row in rows}
    names = (f"<th scope='col' {_RIGHT}>{_text(label)}</th>" for label in ("n", *estimators))
    lines = []
    for size in thinned(list(dict.fromkeys(row["size"] for row in rows))):
        line = (cells.get((size, label)) for label in estimators)
        texts = (f"<td {_RIGHT}>{_text(bias(row)) if row else ''}</td>" for row in line)
        lines.append(f"<tr><th scope='row' {_RIGHT}>{size:,}</th>{''.join(texts)}</tr>")
    body = f"<thead><tr>{''.join(names)}</tr></thead><tbody>{''.join(lines)}</tbody>"
    more = f"; {left_out} more estimators are in .summary" if left_out else ""
    caption = f"{_CAPTION}{_text(title(rows, unit) + more)}</caption>"
    return f"{_WIDE}<table>{caption}{body}</table></div>"


def _best(tables: dict[str, list[dict[str, Any]]]) -> Iterator[str]:
    found = list(best(tables["comparison"], tables["summary"]))
    lines = [list(g) for _, g in groupby(found, lambda r: (r["bag"], r["model"], r["target"]))]
    for line in lines[:_MOST_TABLES]:
        yield _line(f"Smallest error (rmse), {where(line[0])}: {'; '.join(ranges(line))}.")


def _line(text: str) -> str:
    return f"<p>{_text(text)}</p>"


def _text(text: str) -> str:
    """Return a text for HTML; one that runs from right to left moves nothing beside it."""
    return f"<bdi>{escape(text)}</bdi>"
